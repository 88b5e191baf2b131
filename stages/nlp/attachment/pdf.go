package attachment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/klippa-app/go-pdfium"
	pdferrors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// PDF is read by PDFium, Chromium's reader, as WebAssembly: it has its own memory,
// sees no files, and what goes wrong in it is an error here (decision 0053). The
// limits are far above what documents need, since time is the one thing by which a
// result could depend on the machine.
const (
	maxPDF       = 32 << 20         // bytes of a document, which lies in the reader's memory as a whole
	maxPDFText   = 32 << 20         // bytes of its text
	maxPDFTime   = 60 * time.Second // for one document
	maxPDFMemory = 128 << 20        // of the reader of one document
	maxPDFs      = 2                // documents that are read at once
)

// pdfReaders starts what reads PDF, which takes seconds, when the first one comes.
var pdfReaders = sync.OnceValues(func() (pdfium.Pool, error) {
	p, err := webassembly.Init(webassembly.Config{
		Context:  experimental.WithMemoryAllocator(context.Background(), experimental.MemoryAllocatorFunc(allocatePDF)),
		MaxTotal: maxPDFs,
		FSConfig: wazero.NewFSConfig(), // none
		Stdout:   io.Discard,
		Stderr:   io.Discard,
		RuntimeConfig: wazero.NewRuntimeConfig().
			WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesExceptionHandling).
			WithCloseOnContextDone(true).
			WithMemoryLimitPages(maxPDFMemory >> 16),
	})
	debug.FreeOSMemory() // compiling took hundreds of megabytes that are not needed again
	return p, err
})

// pdfMemory is the memory of a reader. It doubles, so that of all that it was
// before there is no more than what it is.
type pdfMemory struct {
	bytes []byte
	max   uint64
}

func allocatePDF(initial, most uint64) experimental.LinearMemory {
	return &pdfMemory{make([]byte, 0, initial), most}
}

// Reallocate implements experimental.LinearMemory.
func (m *pdfMemory) Reallocate(size uint64) []byte {
	if size > uint64(cap(m.bytes)) {
		grown := make([]byte, size, min(max(size, 2*uint64(cap(m.bytes))), m.max))
		copy(grown, m.bytes)
		m.bytes = grown
	}
	m.bytes = m.bytes[:size]
	return m.bytes
}

// Free implements experimental.LinearMemory. A call that was cut off may still be
// about to return, so it leaves the memory to the garbage collector.
func (m *pdfMemory) Free() {}

var (
	errNoTime    = &Unreadable{"the PDF takes too long to read"}
	errDamaged   = &Unreadable{"the PDF is damaged"}
	errTooMuch   = &Unreadable{"the PDF is damaged, or needs more memory than a document may take"}
	errEncrypted = &Unreadable{"the PDF is encrypted"}
	errNoText    = &Unreadable{"the PDF has no text"}
)

// fromPDF reads PDF, for at most limit. An error that is no *Unreadable says that
// the reader does not run on this machine.
func (d *Decoder) fromPDF(data []byte, limit time.Duration) ([]byte, error) {
	if len(data) > maxPDF {
		return nil, &Unreadable{fmt.Sprintf("the PDF has more than %d MB", maxPDF>>20)}
	}
	readers, err := pdfReaders()
	if err != nil {
		return nil, fmt.Errorf("start the reader of PDF: %w", err)
	}
	reader, err := readers.GetInstanceWithContext(context.Background())
	if err != nil {
		return nil, fmt.Errorf("start the reader of PDF: %w", err)
	}
	killed := make(chan struct{})
	timer := time.AfterFunc(limit, func() {
		_ = reader.Kill()
		close(killed)
	})
	d.text, err = appendPDF(d.text[:0], reader, data)
	if !timer.Stop() {
		<-killed
		return nil, errNoTime
	}
	_ = reader.Close() // each document has a reader of its own; of what this one held nothing is used again
	if err != nil {
		return nil, err
	}
	return d.text, nil
}

// appendPDF appends the text of the pages.
func appendPDF(dst []byte, reader pdfium.Pdfium, data []byte) ([]byte, error) {
	doc, err := reader.OpenDocument(&requests.OpenDocument{File: &data})
	switch {
	case errors.Is(err, pdferrors.ErrPassword) || errors.Is(err, pdferrors.ErrSecurity):
		return dst, errEncrypted
	case errors.Is(err, pdferrors.ErrFile) || errors.Is(err, pdferrors.ErrFormat) || errors.Is(err, pdferrors.ErrPage):
		return dst, errDamaged
	case err != nil:
		return dst, errTooMuch
	}
	pages, err := reader.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: doc.Document})
	if err != nil {
		return dst, errTooMuch
	}
	damaged := false
	for i := range pages.PageCount {
		page, err := reader.FPDF_LoadPage(&requests.FPDF_LoadPage{Document: doc.Document, Index: i})
		switch {
		case errors.Is(err, pdferrors.ErrPage):
			damaged = true // the other pages may be sound
			continue
		case err != nil:
			return dst, errTooMuch
		}
		dst, err = appendPage(dst, reader, page.Page)
		if err != nil {
			return dst, errTooMuch
		}
		if len(dst) > maxPDFText {
			return dst, &Unreadable{fmt.Sprintf("the PDF has more than %d MB of text", maxPDFText>>20)}
		}
	}
	switch {
	case len(bytes.TrimSpace(dst)) > 0:
		return dst, nil
	case damaged || pages.PageCount == 0:
		return dst, errDamaged
	}
	return dst, errNoText
}

// appendPage appends the text of a page, on lines of its own.
func appendPage(dst []byte, reader pdfium.Pdfium, page references.FPDF_PAGE) ([]byte, error) {
	text, err := reader.FPDFText_LoadPage(&requests.FPDFText_LoadPage{Page: requests.Page{ByReference: &page}})
	if err != nil {
		return dst, err
	}
	n, err := reader.FPDFText_CountChars(&requests.FPDFText_CountChars{TextPage: text.TextPage})
	if err != nil {
		return dst, err
	}
	if n.Count > 0 {
		s, err := reader.FPDFText_GetText(&requests.FPDFText_GetText{TextPage: text.TextPage, Count: n.Count})
		if err != nil {
			return dst, err
		}
		dst = appendPrinted(dst, s.Text)
		if len(dst) > 0 && dst[len(dst)-1] != '\n' {
			dst = append(dst, '\n')
		}
	}
	if _, err := reader.FPDFText_ClosePage(&requests.FPDFText_ClosePage{TextPage: text.TextPage}); err != nil {
		return dst, err
	}
	_, err = reader.FPDF_ClosePage(&requests.FPDF_ClosePage{Page: page})
	return dst, err
}

// hyphenMark is what PDFium has for a hyphen at the end of a line.
const hyphenMark = '\x02'

// appendPrinted appends the text of a page as PDFium gives it: a word that is
// hyphenated becomes one, and lines end as everywhere.
func appendPrinted(dst []byte, s string) []byte {
	joins := false
	for _, c := range s {
		switch {
		case c == hyphenMark || c == '\ufffe':
			joins = true
			continue
		case c == 0 || c == '\r' || joins && c == '\n':
			continue
		}
		joins = false
		dst = utf8.AppendRune(dst, c)
	}
	return dst
}
