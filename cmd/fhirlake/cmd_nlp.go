package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/server/dictionary"
	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/attachment"
	"github.com/fhirlake/fhirlake/store/root"
)

func newNLPCommand(g *globals) *cobra.Command {
	var lines, core bool
	var page string
	c := &cobra.Command{
		Use:   "nlp [flags] [FILE|-]",
		Short: "Find the medical entities of a text",
		Long: `Nlp reads a clinical note (a file or standard input; plain text, HTML, RTF, PDF
or a CDA document, by its name or what it looks like) and prints what it
finds as one line of JSON: conditions, medications with their doses, tests with
their values, procedures, anatomy, times and personal data, each with its place in
code points, what the context says of it (denied, past, of a relative ...) and the
codes that the dictionary has for it. A score is no probability; it says how a
mention was found. The dictionary is that of the root, if there is one, with the
terminologies that fhirlake terminology import gave it; --core leaves them out.

With --lines each line of the input is a document, and is answered by a line: plain
text, or
  {"text":"No fever.","mentions":["fever"]}
whose mentions are found at their first occurrence and come first, in their order,
whatever the dictionary says of them.

With --html FILE the text is written there with its entities marked.

The exit code is 3 when a line that begins as JSON is no such document; its answer
is {"error":"..."}.`,
		Example: `  fhirlake nlp note.txt
  echo "No fever. Lisinopril 10 mg daily." | fhirlake nlp -
  fhirlake nlp --lines notes.txt > entities.ndjson
  fhirlake nlp --html note.html note.txt`,
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return usageError("expected one FILE, found %d", len(args))
			case lines && c.Flags().Changed("html"):
				return usageError("--html shows one text; leave out --lines")
			case c.Flags().Changed("html") && page == "":
				return usageError("--html needs the name of a file")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			in, name := c.InOrStdin(), "standard input"
			if len(args) == 1 && args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in, name = f, args[0]
			}
			d, err := newDetector(g, core)
			if err != nil {
				return err
			}
			if lines {
				return nlpLines(d, in, c.OutOrStdout())
			}
			return nlpText(d, in, name, page, c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&lines, "lines", false, "each line of the input is a document")
	c.Flags().StringVar(&page, "html", "", "write the text with its entities marked to `FILE`")
	c.Flags().BoolVar(&core, "core", false, "use the core lexicon alone, without terminologies of the root")
	return c
}

// newDetector makes the engine with the dictionary of the root, or the core lexicon.
func newDetector(g *globals, core bool) (*nlp.Detector, error) {
	index := nlp.CoreIndex
	if !core {
		r, err := root.Open(g.root, root.Options{})
		if err != nil {
			return nil, err
		}
		d, err := dictionary.Open(r, dictionary.Options{})
		if err = errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		index = d.Current
	}
	return nlp.NewDetector(index()), nil
}

// contentTypes are those of files by the ending of their names. Others are looked
// at by content.
var contentTypes = map[string]string{
	".txt": "text/plain", ".md": "text/plain", ".html": "text/html", ".htm": "text/html", ".xhtml": "application/xhtml+xml",
	".xml": "application/xml", ".rtf": "application/rtf", ".pdf": "application/pdf",
}

// nlpText reads one document.
func nlpText(engine *nlp.Detector, in io.Reader, name, page string, out io.Writer) error {
	data, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	var d attachment.Decoder
	text, err := d.Text(contentTypes[strings.ToLower(filepath.Ext(name))], data)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	doc := engine.Detect(text)
	if page != "" {
		if err := os.WriteFile(page, doc.AppendHTML(nil, filepath.Base(name)), 0o644); err != nil {
			return err
		}
	}
	_, err = out.Write(append(doc.AppendJSON(nil, nil), '\n'))
	return err
}

// nlpRequest is a line of --lines that is JSON.
type nlpRequest struct {
	Text     *string  `json:"text"`
	Mentions []string `json:"mentions"`
}

// nlpLines answers each line of in. Answers are written before it waits for more
// input, so that another program may hold a conversation.
func nlpLines(d *nlp.Detector, in io.Reader, out io.Writer) error {
	r, w := bufio.NewReaderSize(in, 64<<10), bufio.NewWriter(out)
	var answer []byte
	faulty := false
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if len(line) > 0 {
			var ok bool
			answer, ok = nlpLine(d, answer[:0], bytes.TrimRight(line, "\r\n"))
			faulty = faulty || !ok
			if _, err := w.Write(append(answer, '\n')); err != nil {
				return err
			}
		}
		if err == io.EOF || r.Buffered() == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
	}
	if faulty {
		return exitError{code: exitRejected}
	}
	return nil
}

// nlpLine adds the answer to one line, and tells whether the line was a document.
func nlpLine(d *nlp.Detector, dst, line []byte) ([]byte, bool) {
	if !bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("{")) {
		return d.Detect(line).AppendJSON(dst, nil), true
	}
	var q nlpRequest
	err := json.Unmarshal(line, &q)
	if err == nil && q.Text == nil {
		err = errors.New(`no "text"`)
	}
	if err != nil {
		dst = append(dst, `{"error":`...)
		return append(fhir.AppendQuoted(dst, "no document: "+err.Error()), '}'), false
	}
	text := []byte(*q.Text)
	return d.DetectWith(text, nlp.Locate(text, q.Mentions)).AppendJSON(dst, q.Mentions), true
}
