package lake

import (
	"errors"
	"slices"

	"github.com/fhirlake/fhirlake/fhir/beside"
	"github.com/fhirlake/fhirlake/store/snapshot"
)

// besideFiles are the open annotations of a segment, of all kinds that have lines for rows.
// They are safe for concurrent use.
type besideFiles []besideFile

type besideFile struct {
	kind snapshot.AnnotationKind
	*snapshot.Annotations
}

// openBeside opens them but for those of some kinds.
func openBeside(dir string, seg *snapshot.Segment, without ...snapshot.AnnotationKind) (besideFiles, error) {
	var files besideFiles
	for i := range seg.Annotations {
		a := &seg.Annotations[i]
		if a.IsTable() || slices.Contains(without, a.Kind) {
			continue
		}
		f, err := snapshot.OpenAnnotations(dir, a.File.Path)
		if err != nil {
			return nil, errors.Join(err, files.close())
		}
		files = append(files, besideFile{a.Kind, f})
	}
	return files, nil
}

// shownTimes is how much larger what is kept beside a resource is when it is shown: what NLP
// found takes seven times its bytes as extensions.
const shownTimes = 8

// shown is about how many bytes the files add to the resources of a segment.
func (files besideFiles) shown() (n int64) {
	for _, f := range files {
		n += shownTimes * f.TextSize()
	}
	return n
}

func (files besideFiles) close() (err error) {
	for _, f := range files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// besideReader reads what is kept beside rows. It belongs to one goroutine; the zero value
// is ready.
type besideReader struct {
	frames []*snapshot.FrameReader // one for each kind: who reads row by row finds its frame decoded
	values beside.Values
}

// read gives what the files have of a row, valid until the next call.
func (r *besideReader) read(files besideFiles, row uint32) (beside.Values, error) {
	r.values = r.values[:0]
	for i, f := range files {
		if i == len(r.frames) {
			d, err := snapshot.NewFrameReader()
			if err != nil {
				return nil, err
			}
			r.frames = append(r.frames, d)
		}
		data, ok, err := r.frames[i].Annotation(f.Annotations, row)
		if err != nil {
			return nil, err
		}
		if ok {
			r.values = append(r.values, beside.Value{Kind: f.kind, Data: data})
		}
	}
	return r.values, nil
}

func (r *besideReader) close() {
	for _, d := range r.frames {
		d.Close()
	}
	r.frames = nil
}
