package delta

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/fhir/beside"
)

// keyOf1 and valueOf1 are what was written of a version in format 1.
const (
	keyOf1   = "7650617469656e74007061742d3100fffffffc"
	valueOf1 = "94d1413d01020700000000000000b00a4df65e470600887766554433221101000000000000000200000000000000" +
		"27000000250000007b227265736f7572636554797065223a2250617469656e74222c226964223a227061742d31227d" +
		"5b7b227365766572697479223a226572726f72222c22636f6465223a2276616c7565227d5d"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFormat1IsRead(t *testing.T) {
	var got Entry
	if err := parseValue(unhex(t, keyOf1), unhex(t, valueOf1), &got); err != nil {
		t.Fatal(err)
	}
	want := Entry{
		Version: Version{Updated: 1767323045006000, Content: 0x1122334455667788, Key: [2]uint64{1, 2}, Method: Update},
		Seq:     7,
		JSON:    []byte(`{"resourceType":"Patient","id":"pat-1"}`),
		Beside:  beside.Values{{Kind: beside.Issues, Data: []byte(`[{"severity":"error","code":"value"}]`)}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestValuesComeBack(t *testing.T) {
	key := unhex(t, keyOf1)
	for name, kept := range map[string]beside.Values{
		"nothing":    nil,
		"issues":     {{Kind: beside.Issues, Data: []byte(`[]`)}},
		"NLP":        {{Kind: beside.NLP, Data: []byte(strings.Repeat("x", 70_000))}},
		"both":       {{Kind: beside.Issues, Data: []byte(`[1]`)}, {Kind: beside.NLP, Data: []byte(`{"a":1}`)}},
		"later ones": {{Kind: beside.NLP, Data: []byte(`2`)}, {Kind: "zzz", Data: []byte(`3`)}},
	} {
		want := Entry{Version: Version{Updated: 5000, Content: 6, Key: [2]uint64{1, 2}, Method: Create}, Seq: 9, JSON: []byte(`{}`), Beside: kept}
		v := appendValue([]byte("before"), key, &want)[len("before"):]
		if len(v) != valueSize(&want) {
			t.Errorf("%s: %d bytes, valueSize says %d", name, len(v), valueSize(&want))
		}
		var got Entry
		if err := parseValue(key, v, &got); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		// What is read is moved behind what the caller has.
		got.keep([]byte("kept"))
		clear(v)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, after the engine has taken its memory back (-want +got):\n%s", name, diff)
		}
	}
}

// FuzzValue takes bytes as what lies beside a version, with a right checksum: what is read
// is written as it was.
func FuzzValue(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x03nlp\x02\x00\x00\x00{}"))
	f.Add([]byte("\x06issues\x02\x00\x00\x00[]\x03nlp\x01\x00\x00\x001"))
	f.Add([]byte("\x03nlp\x02\x00\x00\x00{}\x06issues\x02\x00\x00\x00[]"))
	f.Add([]byte("\x03nlp\xff\xff\xff\xff{}"))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, kept []byte) {
		key := []byte("key")
		e := Entry{Version: Version{Method: Create}, JSON: []byte(`{}`)}
		v := append(appendValue(nil, key, &e), kept...)
		binary.LittleEndian.PutUint32(v[50:], uint32(len(kept)))
		binary.LittleEndian.PutUint32(v, checksum(key, v[4:]))
		var got Entry
		if err := parseValue(key, v, &got); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%q: %v", kept, err)
			}
			return
		}
		if again := appendValue(nil, key, &got); !bytes.Equal(again, v) {
			t.Errorf("%q came back as %q", v, again)
		}
	})
}
