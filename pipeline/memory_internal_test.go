package pipeline

import (
	"testing"

	"github.com/fhirlake/fhirlake/fhir/beside"
)

func TestWhatIsBesideRecordsIsCharged(t *testing.T) {
	var b Batch
	before := b.memory()
	b.Keep(0, beside.Values{{Kind: beside.Issues, Data: make([]byte, 1000)}, {Kind: beside.NLP, Data: make([]byte, 9000)}})
	kept := b.memory() - before
	Notes.Of(&b).Data = make([]byte, 0, 50_000)
	if found := b.memory() - before - kept; kept < 10_000 || found < 50_000 {
		t.Errorf("10000 bytes that are kept are charged as %d, room for 50000 that are found as %d", kept, found)
	}
}
