package load

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/fhirlake/fhirlake/bench/gen"
	"github.com/fhirlake/fhirlake/stages/nlp/attachment"
)

// A Note is a text that an attachment has.
type Note struct {
	ContentType string
	Base64      []byte
	Text        []byte // UTF-8
}

// GeneratedNotes are those of the documents of a generated population.
func GeneratedNotes(seed uint64, patients int) ([]Note, error) {
	var all []Note
	var err error
	records := gen.NewRecords(seed)
	for n := range patients {
		records.Patient(n, func(typ string, line []byte) {
			if typ != "DocumentReference" || err != nil {
				return
			}
			var some []Note
			some, err = documentNotes(line)
			all = append(all, some...)
		})
	}
	return all, err
}

// ReadNotes reads lines: DocumentReferences as JSON, of which those without a text that can
// be read are passed over, or texts.
func ReadNotes(in io.Reader) ([]Note, error) {
	var all []Note
	r := bufio.NewReaderSize(in, 1<<20)
	for number := 1; ; number++ {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return nil, err
		}
		switch text := bytes.TrimSpace(line); {
		case len(text) == 0:
		case text[0] == '{':
			some, err := documentNotes(text)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			all = append(all, some...)
		default:
			all = append(all, Note{"text/plain", []byte(base64.StdEncoding.EncodeToString(text)), bytes.ToValidUTF8(text, []byte("\ufffd"))})
		}
		if err == io.EOF {
			return all, nil
		}
	}
}

// documentNotes gives the notes in a DocumentReference.
func documentNotes(line []byte) ([]Note, error) {
	var d struct {
		ResourceType string
		Content      []struct {
			Attachment struct {
				ContentType string
				Data        string
			}
		}
	}
	if err := json.Unmarshal(line, &d); err != nil {
		return nil, err
	}
	if d.ResourceType != "DocumentReference" {
		return nil, fmt.Errorf("%q is no DocumentReference", d.ResourceType)
	}
	var all []Note
	var decoder attachment.Decoder
	for _, c := range d.Content {
		if c.Attachment.Data == "" {
			continue
		}
		n := Note{ContentType: c.Attachment.ContentType, Base64: []byte(c.Attachment.Data)}
		data, err := decoder.Base64(n.Base64)
		if err != nil {
			return nil, err
		}
		text, err := decoder.Text(n.ContentType, data)
		var cannot *attachment.Unreadable
		if errors.As(err, &cannot) {
			continue
		}
		if err != nil {
			return nil, err
		}
		n.Text = bytes.Clone(text)
		all = append(all, n)
	}
	return all, nil
}
