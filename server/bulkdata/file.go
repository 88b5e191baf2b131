package bulkdata

import (
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/fhirlake/fhirlake/server/bulk"
)

// Name is what clients call a file that is kept here. What is compressed to save space alone
// is given as what it is.
func (f *File) Name(asked bulk.ExportFormat) string {
	name := path.Base(f.Path)
	if asked == bulk.ExportNDJSON {
		name = strings.TrimSuffix(name, ".zst")
	}
	return name
}

// Kept is the format of files that are kept here: NDJSON is kept compressed, which takes less
// space and less time to write (docs/decisions/0049-bulk-export.md).
func Kept(asked bulk.ExportFormat) bulk.ExportFormat {
	if asked == bulk.ExportNDJSON {
		return bulk.ExportNDJSONZstd
	}
	return asked
}

// Find finds the file that a client names; nil: there is none.
func (r *Result) Find(asked bulk.ExportFormat, name string) *File {
	for _, list := range [][]File{r.Files, r.Deleted} {
		for i := range list {
			if list[i].Name(asked) == name {
				return &list[i]
			}
		}
	}
	return nil
}

// Answer is a file that is kept here as the answer to a request.
type Answer struct {
	Dir   string // of the files of the job
	File  *File
	Asked bulk.ExportFormat
	Tag   string // of the content, without quotes
	Time  time.Time
	// Zstd and Gzip say which codings the client takes.
	Zstd, Gzip bool
}

// Serve writes the answer: a part of the file when the request asks for one, which is a part
// of the text, else all of it in the coding that costs the least of those that the client
// takes. The error comes before anything was written.
func (a *Answer) Serve(w http.ResponseWriter, r *http.Request) error {
	f, err := os.Open(filepath.Join(a.Dir, filepath.FromSlash(a.File.Path)))
	if err != nil {
		return fmt.Errorf("open exported file: %w", err)
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", contentType(a.File.Name(a.Asked)))
	h.Set("X-Content-Type-Options", "nosniff")
	packed := strings.HasSuffix(a.File.Path, ".zst") && a.Asked == bulk.ExportNDJSON
	if !packed {
		a.content(w, r, f, "")
		return nil
	}
	h.Add("Vary", "Accept-Encoding")
	part := r.Header.Get("Range") != ""
	if a.Zstd && !part {
		h.Set("Content-Encoding", "zstd")
		a.content(w, r, f, "-zstd")
		return nil
	}
	text, err := newFrames(f, a.File.Bytes)
	if err != nil {
		return fmt.Errorf("read exported file: %w", err)
	}
	defer text.Close()
	if a.Gzip && !part {
		return a.zip(w, r, text)
	}
	a.content(w, r, text, "")
	return nil
}

// content serves what can be read from any place on.
func (a *Answer) content(w http.ResponseWriter, r *http.Request, text interface {
	Read([]byte) (int, error)
	Seek(int64, int) (int64, error)
}, coding string,
) {
	w.Header().Set("Etag", `"`+a.Tag+coding+`"`)
	http.ServeContent(&patient{w, http.NewResponseController(w), time.Time{}}, r, "", a.Time, text)
}

// zip compresses the text on its way. Its length is not known, and no parts of it are given.
func (a *Answer) zip(w http.ResponseWriter, r *http.Request, text *frames) error {
	h := w.Header()
	h.Set("Content-Encoding", "gzip")
	h.Set("Etag", `"`+a.Tag+`-gzip"`)
	h.Set("Last-Modified", a.Time.UTC().Format(http.TimeFormat))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	z, err := gzip.NewWriterLevel(&patient{w, http.NewResponseController(w), time.Time{}}, gzip.BestSpeed)
	if err == nil {
		_, err = copyText(z, text)
	}
	if err != nil || z.Close() != nil {
		panic(http.ErrAbortHandler) // the client must not take what it has for the whole
	}
	return nil
}

func copyText(z *gzip.Writer, text *frames) (n int64, err error) {
	buf := make([]byte, 128<<10)
	for n < text.total {
		m, err := text.Read(buf)
		if m > 0 {
			if _, err := z.Write(buf[:m]); err != nil {
				return n, err
			}
			n += int64(m)
			continue
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// patient gives a client time as long as it takes something: a large file takes longer than
// an answer may else.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	until   time.Time
}

// slow is how long a client may take to take something.
const slow = 2 * time.Minute

func (p *patient) Write(b []byte) (int, error) {
	if now := time.Now(); p.until.Sub(now) < slow/2 {
		p.until = now.Add(slow)
		p.control.SetWriteDeadline(p.until) // where there is none, nothing has to be put off
	}
	return p.ResponseWriter.Write(b)
}

func contentType(name string) string {
	switch path.Ext(name) {
	case ".ndjson":
		return "application/fhir+ndjson"
	case ".gz":
		return "application/gzip"
	case ".zst":
		return "application/zstd"
	}
	return "application/vnd.apache.parquet"
}
