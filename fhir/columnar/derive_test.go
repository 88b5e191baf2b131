package columnar_test

import (
	"encoding/binary"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/columnar"
)

func TestSpan(t *testing.T) {
	const layout = "2006-01-02T15:04:05.999999Z"
	for _, test := range []struct{ text, start, end string }{
		{"2024", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"},
		{"2024-02", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"},
		{"2024-12", "2024-12-01T00:00:00Z", "2025-01-01T00:00:00Z"},
		{"2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"},
		{"0001-01-01", "0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z"},
		{"1905-08-23", "1905-08-23T00:00:00Z", "1905-08-24T00:00:00Z"},
		{"9999", "9999-01-01T00:00:00Z", "10000-01-01T00:00:00Z"},
		{"2015-02-07T13:28:17Z", "2015-02-07T13:28:17Z", "2015-02-07T13:28:18Z"},
		{"2015-02-07T13:28:17-05:00", "2015-02-07T18:28:17Z", "2015-02-07T18:28:18Z"},
		{"2015-02-07T00:28:17+14:00", "2015-02-06T10:28:17Z", "2015-02-06T10:28:18Z"},
		{"2015-02-07T13:28:17.2Z", "2015-02-07T13:28:17.2Z", "2015-02-07T13:28:17.3Z"},
		{"2015-02-07T13:28:17.239+02:00", "2015-02-07T11:28:17.239Z", "2015-02-07T11:28:17.24Z"},
		{"2015-02-07T13:28:17.123456Z", "2015-02-07T13:28:17.123456Z", "2015-02-07T13:28:17.123457Z"},
		{"2015-02-07T13:28:17.123456789Z", "2015-02-07T13:28:17.123456Z", "2015-02-07T13:28:17.123457Z"},
		{"2015-02-07T13:28:60Z", "2015-02-07T13:29:00Z", "2015-02-07T13:29:01Z"},
		{"2015-02-07T13:28Z", "2015-02-07T13:28:00Z", "2015-02-07T13:29:00Z"},
		{"2015-02-07T13:28:17", "2015-02-07T13:28:17Z", "2015-02-07T13:28:18Z"},
	} {
		start, end, ok := columnar.Span([]byte(test.text))
		first, last := time.UnixMicro(start).UTC().Format(layout), time.UnixMicro(end).UTC().Format(layout)
		if !ok || first != test.start || last != test.end {
			t.Errorf("%s is %s to %s, %v; want %s to %s", test.text, first, last, ok, test.start, test.end)
		}
	}
	for _, bad := range []string{
		"", "20", "2024-", "2024-13", "2024-00", "2023-02-29", "2024-04-31", "2024-01-00", "2024/01/01", "2024-01-01 10:00:00Z",
		"2024-01-01T", "2024-01-01T10", "2024-01-01T25:00:00Z", "2024-01-01T10:60:00Z", "2024-01-01T10:00:61Z",
		"2024-01-01T10:00:00+2:00", "2024-01-01T10:00:00+15:00", "2024-01-01T10:00:00.Z", "2024-01-01T10:00:00Zjunk", "today",
	} {
		if _, _, ok := columnar.Span([]byte(bad)); ok {
			t.Errorf("%q has a span", bad)
		}
	}
}

func TestDecimal38(t *testing.T) {
	nines := strings.Repeat("9", 32)
	for _, test := range []struct {
		text string
		fits bool
	}{
		{"0", true},
		{"-0", true},
		{"0.0", true},
		{"1", true},
		{"-1", true},
		{"0.5", true},
		{"-12.345678", true},
		{"1.2000000000", true},
		{"1e3", true},
		{"1E-6", true},
		{"1.5e+2", true},
		{"-2.5e-1", true},
		{"100e-8", true},
		{"0e999999999", true},
		{nines + ".999999", true},
		{"-" + nines + ".999999", true},
		{"1e31", true},
		{"0.0000001", false},
		{"1.0000001", false},
		{"1e-7", false},
		{"1" + nines, false},
		{"1e32", false},
		{"1e999999999", false},
		{"1e-999999999", false},
		{"0.00000000000000000000000000000000000000000000000000001", false},
	} {
		v, ok := columnar.Decimal38([]byte(test.text))
		if ok != test.fits {
			t.Errorf("%s fits: %v", test.text, ok)
		}
		if !ok {
			continue
		}
		have := new(big.Int).SetUint64(binary.BigEndian.Uint64(v[:8]))
		have.Lsh(have, 64).Or(have, new(big.Int).SetUint64(binary.BigEndian.Uint64(v[8:])))
		if v[0] >= 0x80 {
			have.Sub(have, new(big.Int).Lsh(big.NewInt(1), 128))
		}
		if strings.HasPrefix(test.text, "0e") {
			if have.Sign() != 0 {
				t.Errorf("%s is %s", test.text, have)
			}
			continue
		}
		want, _ := new(big.Rat).SetString(test.text)
		want.Mul(want, new(big.Rat).SetInt64(1e6))
		if new(big.Rat).SetInt(have).Cmp(want) != 0 {
			t.Errorf("%s is %s millionths, want %s", test.text, have, want)
		}
	}
}

func TestReferenceParts(t *testing.T) {
	for _, test := range []struct{ text, typ, id string }{
		{"Patient/pat-1", "Patient", "pat-1"},
		{"Patient/pat-1/_history/3", "Patient", "pat-1"},
		{"http://example.org/fhir/Patient/pat-1", "Patient", "pat-1"},
		{"https://example.org/Observation/a.b-C/_history/v2", "Observation", "a.b-C"},
		{"Patient/" + strings.Repeat("x", 64), "Patient", strings.Repeat("x", 64)},
		{"Patient/" + strings.Repeat("x", 65), "", ""},
		{"#contained", "", ""},
		{"urn:uuid:11111111-2222-3333-4444-555555555555", "", ""},
		{"urn:oid:1.2.3", "", ""},
		{"Practitioner?identifier=a|b", "", ""},
		{"Unknown/1", "", ""},
		{"patient/1", "", ""},
		{"fhir/Patient/1", "", ""},
		{"/Patient/1", "", ""},
		{"Patient/", "", ""},
		{"Patient", "", ""},
		{"Patient/a b", "", ""},
		{"Patient/1/_history/", "", ""},
		{"_history/1", "", ""},
		{"http://example.org/not-fhir", "", ""},
		{"", "", ""},
	} {
		typ, id, ok := columnar.ReferenceParts([]byte(test.text))
		if ok != (test.typ != "") || ok && (string(typ) != test.typ || string(id) != test.id) {
			t.Errorf("%q is %q %q %v", test.text, typ, id, ok)
		}
	}
}
