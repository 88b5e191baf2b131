package validate

import (
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
)

func TestUnescapedIsTheSame(t *testing.T) {
	for _, s := range []string{
		``, `a`, `\n`, `a\"b`, `\u00e4`, `\ud83d\ude00`, `x\ud83d\ude00\u0041y\\`, `\ud83d`, `\ud83d\n`, `\\u0041`, `\u0041\\u0042`,
	} {
		if got, want := string(appendUnescaped([]byte("p"), []byte(s))), "p"+string(fhir.AppendUnescaped(nil, []byte(s))); got != want {
			t.Errorf("%s: %q, want %q", s, got, want)
		}
	}
}
