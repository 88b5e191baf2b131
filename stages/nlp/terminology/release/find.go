package release

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// A Release is what is read together: one file, or the files of a release that need one
// another.
type Release struct {
	Kind    string // name of its format
	Name    string // what it is called unless the user says otherwise; the next version has the same
	Version string // as its text or its file names say; may be empty
	Files   []File // that are read, in this order

	single *Format
	set    *set
	parts  map[string][]File
}

// Kinds are the names of all formats.
func Kinds() []string {
	var names []string
	for _, s := range sets {
		names = append(names, s.name)
	}
	for _, f := range Formats() {
		names = append(names, f.Name)
	}
	return names
}

// Find looks for releases in files, folders and zip archives. Kind is one of [Kinds], or
// empty for any. In folders and archives it passes over what it does not know; that
// nothing at all was found in one of the names is an error.
func Find(names []string, kind string) ([]Release, error) {
	if kind != "" && !slices.Contains(Kinds(), kind) {
		return nil, fmt.Errorf("unknown kind %q; expected one of %s", kind, strings.Join(Kinds(), ", "))
	}
	var all []Release
	var loose []File // of names that are files of a set, which may need one another
	for _, name := range names {
		files, err := list(name)
		if err != nil {
			return nil, err
		}
		alone := len(files) == 1 && files[0].Name == name
		if alone && setOf(&files[0], kind) != nil {
			loose = append(loose, files[0])
			continue
		}
		found, err := find(files, kind, alone)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, unknown(name, kind)
		}
		all = append(all, found...)
	}
	found, err := find(loose, kind, false)
	return append(all, found...), err
}

func unknown(name, kind string) error {
	if kind != "" {
		return fmt.Errorf("%s: nothing of the kind %s in it; %s", name, kind, expected)
	}
	return fmt.Errorf("%s: no terminology that is known; %s", name, expected)
}

// find gives the releases among files. With named, the only one is of the kind whatever
// it looks like.
func find(files []File, kind string, named bool) ([]Release, error) {
	var out []Release
	for i := range sets {
		s := &sets[i]
		if kind != "" && kind != s.name {
			continue
		}
		found, err := s.find(files)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	for i := range files {
		f := &files[i]
		if setOf(f, "") != nil {
			continue
		}
		head, err := f.head()
		if err != nil {
			return nil, err
		}
		for _, format := range Formats() {
			if kind != "" && kind != format.Name {
				continue
			}
			if named && kind != "" || format.Sniff(head) {
				out = append(out, Release{
					Kind: format.Name, Name: nameOf(format.Name, f), Version: versionOf(head, f.inner), Files: []File{*f}, single: &format,
				})
				break
			}
		}
	}
	return out, nil
}

// head is the begin of a file, unpacked.
func (f *File) head() ([]byte, error) {
	r, err := f.Open(nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	head := make([]byte, sniffBytes)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	return head[:n], nil
}

// afterYear is where a file's name begins to speak of its version.
var afterYear = regexp.MustCompile(`[-_. ]*(?:19|20)\d\d.*$`)

// nameOf is the name of a release of one file: of those of which there is one, the kind.
func nameOf(kind string, f *File) string {
	if kind == "icd10cm-order" || kind == "icd10cm-tabular" {
		return kind
	}
	base := strings.TrimSuffix(f.base(), path.Ext(f.base()))
	name := strings.ToLower(strings.NewReplacer("_", "-", " ", "-").Replace(afterYear.ReplaceAllString(base, "")))
	return cmp.Or(strings.Trim(name, "-"), kind)
}

var (
	versionTag  = regexp.MustCompile(`<version>\s*([^<\s]+)\s*</version>|(?m)^data-version: (\S+)`)
	versionPart = regexp.MustCompile(`20\d\d-\d\d-\d\d|\d{8}|20\d\d[A-Z]{2}|(?:19|20)\d\d|\d+\.\d+`)
)

// versionOf is the version that the begin of a file names, or the last part of its path
// that looks like one.
func versionOf(head []byte, inner string) string {
	if m := versionTag.FindSubmatch(head); m != nil {
		v := string(m[1]) + string(m[2])
		return cmp.Or(versionPart.FindString(v), v)
	}
	parts := strings.Split(inner, "/")
	for _, p := range slices.Backward(parts) {
		if v := versionPart.FindString(p); v != "" {
			return v
		}
	}
	return ""
}

// Size is the bytes that Read counts. Files that are read twice count twice.
func (r *Release) Size() int64 {
	n := int64(0)
	for i := range r.Files {
		f := &r.Files[i]
		n += f.Size
		if r.set != nil && r.set.parts[r.set.partOf(f)].twice {
			n += f.Size
		}
	}
	return n
}

// Read gives all terms of the release to emit. An error names the file and the line. Tick
// is as for [File.Open].
func (r *Release) Read(tick func(n int) error, emit func(terminology.Term)) error {
	if r.set != nil {
		return r.set.read(&reading{parts: r.parts, tick: tick}, emit)
	}
	f := &r.Files[0]
	in, err := f.Open(tick)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := r.single.Read(in, emit); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return nil
}

// A set is a format of several files, which are known by their names.
type set struct {
	name  string
	parts []part
	read  func(in *reading, emit func(terminology.Term)) error
}

// part is one of the files of a set.
type part struct {
	name   string         // as errors call it
	file   *regexp.Regexp // of the base name
	needed bool
	many   bool // of more than one folder: the parts of an edition
	twice  bool // read once for what others need, and once more
}

// setOf is the set that a file belongs to by its name; nil for none.
func setOf(f *File, kind string) *set {
	for i := range sets {
		if (kind == "" || kind == sets[i].name) && sets[i].partOf(f) >= 0 {
			return &sets[i]
		}
	}
	return nil
}

func (s *set) partOf(f *File) int {
	return slices.IndexFunc(s.parts, func(p part) bool { return p.file.MatchString(f.base()) })
}

// find groups the files of the set: by folder, or all when its parts lie in several.
func (s *set) find(files []File) ([]Release, error) {
	groups := map[string]map[string][]File{}
	var order []string
	for i := range files {
		n := s.partOf(&files[i])
		if n < 0 {
			continue
		}
		dir := ""
		if !s.parts[n].many {
			dir = path.Dir(files[i].Name)
		}
		if groups[dir] == nil {
			groups[dir] = map[string][]File{}
			order = append(order, dir)
		}
		p := s.parts[n]
		if !p.many && len(groups[dir][p.name]) > 0 {
			return nil, fmt.Errorf("%s: a second %s beside %s; expected one", files[i].Name, p.name, groups[dir][p.name][0].Name)
		}
		groups[dir][p.name] = append(groups[dir][p.name], files[i])
	}
	order = withoutSubset(order)
	var out []Release
	for _, dir := range order {
		r := Release{Kind: s.name, Name: s.name, set: s, parts: groups[dir]}
		for _, p := range s.parts {
			if p.needed && len(r.parts[p.name]) == 0 {
				have := groups[dir]
				return nil, fmt.Errorf("%s: no %s beside %s; expected it in the same release", cmp.Or(dir, s.name), p.name, anyOf(have))
			}
			r.Files = append(r.Files, r.parts[p.name]...)
		}
		r.Version = versionOf(nil, r.Files[0].inner)
		out = append(out, r)
	}
	return out, nil
}

func anyOf(parts map[string][]File) string {
	var names []string
	for _, files := range parts {
		for _, f := range files {
			names = append(names, f.base())
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// withoutSubset leaves out the prescribable content of RxNorm, which its full release has
// a second time in a folder below.
func withoutSubset(dirs []string) []string {
	const subset = "/prescribe/rrf"
	return slices.DeleteFunc(dirs, func(dir string) bool {
		full, ok := strings.CutSuffix(dir, subset)
		return ok && slices.Contains(dirs, full+"/rrf")
	})
}

// reading is one run over the files of a set.
type reading struct {
	parts map[string][]File
	tick  func(n int) error
}

// lines calls fn for each line of the files of a part, numbered from 1 in each. Errors
// name file and line.
func (in *reading) lines(part string, fn func(n int, line string) error) error {
	return in.each(part, func(r io.Reader) error { return lines(r, fn) })
}

// each calls fn for each file of a part. Errors name the file.
func (in *reading) each(part string, fn func(r io.Reader) error) error {
	for i := range in.parts[part] {
		f := &in.parts[part][i]
		r, err := f.Open(in.tick)
		if err != nil {
			return err
		}
		err = fn(r)
		r.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return nil
}
