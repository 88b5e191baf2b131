package ndjson

import (
	"bytes"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/pipeline"
)

// position is where the next line starts.
type position struct {
	file   *pipeline.File
	line   int64
	offset int64
}

// split appends a record to b for each whole line of b.data[from:] and gives
// the index after the last line end. Blank lines are counted and make none; a
// line longer than limit makes a rejected one.
func (p *position) split(b *block, from, limit int) int {
	data := b.data
	for from < len(data) {
		n := bytes.IndexByte(data[from:], '\n')
		if n < 0 {
			break
		}
		end := from + n
		if end > from && data[end-1] == '\r' {
			end--
		}
		switch {
		case n > limit:
			b.reject(p, int64(n), limit)
		case n > 0 && data[from] == '{' || !blank(data[from:end]):
			b.records = append(b.records, pipeline.Record{
				File: p.file, Line: p.line, Offset: p.offset, Entry: -1,
				Start: uint32(from), End: uint32(end), Root: fhir.NoNode,
			})
		}
		p.line++
		p.offset += int64(n) + 1
		from += n + 1
	}
	return from
}

// blank tells whether a line has nothing but JSON white space.
func blank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return false
		}
	}
	return true
}

// byteOrderMark is U+FEFF in UTF-8; some editors put it at the start of a file.
const byteOrderMark = "\xef\xbb\xbf"

// markLen gives the length of a byte order mark at the start of data.
func markLen(data []byte) int {
	if bytes.HasPrefix(data, []byte(byteOrderMark)) {
		return len(byteOrderMark)
	}
	return 0
}
