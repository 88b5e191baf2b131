package dictionary

import (
	"bufio"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// A file of terms is a table in zstd, a term a line, so that an index can be made again
// without the release.
const termsHeader = "system\tcode\tpreferred\tterm\tcategory\ttype\tkind\trank\tflags\n"

// termsFields is the number of its columns.
const termsFields = 9

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// termsWriter writes a file of terms. Errors show at close.
type termsWriter struct {
	f    *os.File
	z    *zstd.Encoder
	sum  hash.Hash32
	line []byte
	n    int
	err  error
}

func createTerms(name string) (*termsWriter, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	w := &termsWriter{f: f, sum: crc32.New(castagnoli)}
	w.z, err = zstd.NewWriter(io.MultiWriter(f, w.sum), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	_, w.err = io.WriteString(w.z, termsHeader)
	return w, nil
}

// add writes a term. White space within its texts becomes one space, as it means no more.
func (w *termsWriter) add(t *terminology.Term) {
	flags := ""
	if t.Exact {
		flags += "x"
	}
	if t.Reviewed {
		flags += "r"
	}
	if t.Dosed {
		flags += "d"
	}
	b := w.line[:0]
	for _, s := range [...]string{t.System.String(), t.Code, t.Preferred, t.Text, t.Category.String(), t.Type.String(), t.Kind.String()} {
		if strings.ContainsAny(s, "\t\r\n") {
			s = strings.Join(strings.Fields(s), " ")
		}
		b = append(append(b, s...), '\t')
	}
	b = append(strconv.AppendUint(b, uint64(t.Rank), 10), '\t')
	w.line = append(append(b, flags...), '\n')
	w.n++
	if w.err == nil {
		_, w.err = w.z.Write(w.line)
	}
}

// close ends and syncs the file, and puts what it is into s.
func (w *termsWriter) close(s *Source) error {
	err := errors.Join(w.err, w.z.Close())
	if err == nil {
		err = w.f.Sync()
	}
	st, serr := w.f.Stat()
	if err = errors.Join(err, serr, w.f.Close()); err != nil {
		return err
	}
	s.File, s.Terms, s.Bytes, s.CRC = filepath.Base(w.f.Name()), w.n, st.Size(), w.sum.Sum32()
	return nil
}

// readTerms calls add for each term of the file of a source.
func readTerms(name string, s *Source, add func(*terminology.Term)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := decodeTerms(f, s, add); err != nil {
		return fmt.Errorf("the terms of %s in %s are damaged: %w; import the terminology again, or remove it", s.Name, name, err)
	}
	return nil
}

func decodeTerms(r io.Reader, s *Source, add func(*terminology.Term)) error {
	sum := crc32.New(castagnoli)
	in := io.TeeReader(r, sum)
	z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer z.Close()
	lines := bufio.NewScanner(z)
	lines.Buffer(make([]byte, 0, 64<<10), 32<<20)
	var last terminology.Term
	n := -1
	for lines.Scan() {
		if n++; n == 0 {
			if lines.Text()+"\n" != termsHeader {
				return errors.New("another header")
			}
			continue
		}
		if err := decodeTerm(lines.Text(), &last); err != nil {
			return fmt.Errorf("line %d: %w", n+1, err)
		}
		add(&last)
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	if n != s.Terms || sum.Sum32() != s.CRC {
		return fmt.Errorf("%d terms with another checksum than the list has; expected %d", n, s.Terms)
	}
	return nil
}

// decodeTerm reads a line into t, whose strings it keeps where they are the same.
func decodeTerm(line string, t *terminology.Term) error {
	var f [termsFields]string
	rest, ok := line, true
	for i := range f {
		if !ok {
			return fmt.Errorf("%d fields; expected %d", i, termsFields)
		}
		f[i], rest, ok = strings.Cut(rest, "\t")
	}
	if ok {
		return fmt.Errorf("more than %d fields", termsFields)
	}
	var known [4]bool
	t.System, known[0] = terminology.ParseSystem(f[0])
	t.Category, known[1] = terminology.ParseCategory(f[4])
	t.Type, known[2] = terminology.ParseType(f[5])
	t.Kind, known[3] = terminology.ParseKind(f[6])
	rank, err := strconv.ParseUint(f[7], 10, 8)
	if known != [4]bool{true, true, true, true} || err != nil {
		return fmt.Errorf("system %q, category %q, type %q, kind %q, rank %q: not all are known", f[0], f[4], f[5], f[6], f[7])
	}
	t.Rank = uint8(rank)
	t.Exact, t.Reviewed, t.Dosed = strings.Contains(f[8], "x"), strings.Contains(f[8], "r"), strings.Contains(f[8], "d")
	for _, v := range [...]struct {
		to   *string
		text string
	}{{&t.Code, f[1]}, {&t.Preferred, f[2]}, {&t.Text, f[3]}} {
		if *v.to != v.text {
			*v.to = strings.Clone(v.text)
		}
	}
	return nil
}
