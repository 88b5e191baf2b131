package search_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/bench/corpus"
	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	fhirsearch "github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/server/search"
	"github.com/fhirlake/fhirlake/stages/index"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/store/lake"
)

// model holds resources in memory and answers queries by the definition, row by row: no
// SQL, no hash, no index.
type model struct {
	table *fhirsearch.Table
	all   []*modelled
	byRef map[string]*modelled
}

// modelled is a resource with its search values.
type modelled struct {
	typ r4.TypeID
	id  string
	v   *fhirsearch.Values
}

// add reads a resource as it is stored.
func (m *model) add(t testing.TB, r *lake.Resource) {
	chain, err := pipeline.NewChain(parse.New(), index.New(m.table))
	if err != nil {
		t.Fatal(err)
	}
	b := &pipeline.Batch{Lenient: true, Data: append(slices.Clone(r.JSON), '\n')}
	b.Records = []pipeline.Record{{Entry: -1, End: uint32(len(r.JSON)), Root: fhir.NoNode}}
	b.Pad()
	if err := chain.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	x := &modelled{r.Type, r.ID, pipeline.SearchValues.Of(b)}
	m.all = append(m.all, x)
	m.byRef[r.Type.String()+"/"+r.ID] = x
}

// find gives the resources that match, sorted.
func (m *model) find(q *search.Query) (ids []string) {
	for _, x := range m.all {
		if slices.Contains(q.Types, x.typ) && m.matches(q.Conditions, x) {
			ids = append(ids, x.typ.String()+"/"+x.id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (m *model) matches(all []search.Condition, x *modelled) bool {
	for i := range all {
		if !m.condition(&all[i], x) {
			return false
		}
	}
	return true
}

func (m *model) condition(c *search.Condition, x *modelled) bool {
	switch {
	case c.Leaf != nil:
		return m.leaf(c.Leaf, x) != c.Leaf.Not
	case c.Link != nil:
		return m.link(c.Link, x)
	}
	return slices.ContainsFunc(c.Any, func(c search.Condition) bool { return m.condition(&c, x) })
}

// targets are the resources that a reference parameter of x points to.
func (m *model) targets(p *fhirsearch.Parameter, x *modelled) (all []*modelled) {
	for _, t := range p.Terms {
		for i := range x.v.References {
			r := &x.v.References[i]
			if r.Group == t.Group(fhirsearch.Main) && (t.Target == 0 || t.Target == r.Type) && r.URL.Empty() {
				if y := m.byRef[r.Type.String()+"/"+string(x.v.Text(r.ID))]; y != nil {
					all = append(all, y)
				}
			}
		}
	}
	return all
}

func (m *model) link(l *search.Link, x *modelled) bool {
	if !l.Reverse {
		return x.typ == l.Source && slices.ContainsFunc(m.targets(l.Reference, x), func(y *modelled) bool {
			return y.typ == l.Target && m.condition(&l.Inner, y)
		})
	}
	return slices.ContainsFunc(m.all, func(y *modelled) bool {
		return y.typ == l.Source && slices.Contains(m.targets(l.Reference, y), x) && m.condition(&l.Inner, y)
	})
}

func (m *model) leaf(l *search.Leaf, x *modelled) bool {
	i := slices.Index(l.Types, x.typ)
	if i < 0 {
		return false
	}
	p := l.Parameters[i]
	if p.Origin == fhirsearch.OriginID {
		return slices.ContainsFunc(l.Values, func(v search.Value) bool { return v.Text == x.id })
	}
	if len(p.Bindings) > 0 {
		return slices.ContainsFunc(l.Values, func(v search.Value) bool { return composite(p, &v, x) })
	}
	for _, t := range p.Terms {
		facet := map[search.Modifier]fhirsearch.Facet{
			search.ModifierText: fhirsearch.FacetText, search.ModifierOfType: fhirsearch.FacetOfType, search.ModifierIdentifier: fhirsearch.FacetIdentifier,
		}[l.Modifier]
		if len(rowsOf(t, facet, l.Modifier, l.Values, x)) > 0 {
			return true
		}
	}
	return false
}

func composite(p *fhirsearch.Parameter, v *search.Value, x *modelled) bool {
	for _, b := range p.Bindings {
		parts := map[uint32]int{} // how many components match in an element
		whole, wanted := 0, 0
		for i, terms := range b.Components {
			seen := map[uint32]bool{}
			for _, t := range terms {
				for _, part := range rowsOf(t, fhirsearch.Main, search.ModifierNone, v.Parts[i:i+1], x) {
					seen[part] = true
				}
			}
			switch {
			case !b.Parts || b.Whole[i]:
				wanted++
				if len(seen) > 0 {
					whole++
				}
			default:
				for part := range seen {
					if part != 0 {
						parts[part]++
					}
				}
			}
		}
		if whole == wanted && (wanted == len(b.Components) || hasAll(parts, len(b.Components)-wanted)) {
			return true
		}
	}
	return false
}

func hasAll(parts map[uint32]int, n int) bool {
	for _, m := range parts {
		if m == n {
			return true
		}
	}
	return false
}

// rowsOf gives the parts of the rows of a term that one of the values matches.
func rowsOf(t fhirsearch.Term, facet fhirsearch.Facet, m search.Modifier, values []search.Value, x *modelled) (parts []uint32) {
	g := t.Group(facet)
	take := func(r *fhirsearch.Row, match func(*search.Value) bool) {
		if r.Group == g && (m == search.ModifierMissing || slices.ContainsFunc(values, func(v search.Value) bool { return match(&v) })) {
			parts = append(parts, r.Part)
		}
	}
	v := x.v
	for i := range v.Tokens {
		r := &v.Tokens[i]
		take(&r.Row, func(q *search.Value) bool { return token(v, r, q) })
	}
	for i := range v.Strings {
		r := &v.Strings[i]
		take(&r.Row, func(q *search.Value) bool { return stringMatches(v, r, q, m) })
	}
	for i := range v.Dates {
		r := &v.Dates[i]
		take(&r.Row, func(q *search.Value) bool { return q.Prefix.MatchesTime(q.Time, r.Range, modelNow.UnixMicro()) })
	}
	for i := range v.Numbers {
		r := &v.Numbers[i]
		take(&r.Row, func(q *search.Value) bool { return q.Prefix.MatchesNumber(q.Amount, r.Interval) })
	}
	for i := range v.Quantities {
		r := &v.Quantities[i]
		take(&r.Row, func(q *search.Value) bool { return quantity(v, r, q) })
	}
	for i := range v.References {
		r := &v.References[i]
		if t.Target == 0 || t.Target == r.Type || facet != fhirsearch.Main {
			take(&r.Row, func(q *search.Value) bool { return reference(v, r, q) })
		}
	}
	for i := range v.URIs {
		r := &v.URIs[i]
		take(&r.Row, func(q *search.Value) bool { return uri(v, r, q, m) })
	}
	return parts
}

func folded(s string) string { b, _ := fhirsearch.AppendFolded(nil, []byte(s)); return string(b) }

func token(v *fhirsearch.Values, r *fhirsearch.Token, q *search.Value) bool {
	code, system := string(v.Text(r.Code)), string(v.Text(r.System))
	if q.Code != "" && (r.Folded && code != folded(q.Code) || !r.Folded && code != q.Code) {
		return false
	}
	switch {
	case !q.HasSystem:
		return true
	case q.System == "":
		return system == "" || r.Implied
	}
	return system == q.System
}

func stringMatches(v *fhirsearch.Values, r *fhirsearch.String, q *search.Value, m search.Modifier) bool {
	text := string(v.Text(r.Folded))
	f := folded(q.Text)
	switch {
	case m == search.ModifierExact:
		return !r.Word && string(v.Text(r.Exact)) == q.Text
	case f == "":
		return false
	case m == search.ModifierContains:
		return !r.Word && strings.Contains(text, f)
	}
	return strings.HasPrefix(text, f)
}

func quantity(v *fhirsearch.Values, r *fhirsearch.Quantity, q *search.Value) bool {
	system, code := string(v.Text(r.System)), string(v.Text(r.Code))
	same := q.Prefix.MatchesNumber(q.Amount, r.Interval)
	switch {
	case q.Code == "":
		return same && (!q.HasSystem || system == q.System)
	case !q.HasSystem:
		return same && (code == q.Code || string(v.Text(r.Unit)) == q.Code)
	case q.Base != "" && string(v.Text(r.Base)) == q.Base:
		return q.Prefix.MatchesNumber(q.In, r.In)
	}
	return same && system == q.System && code == q.Code
}

func reference(v *fhirsearch.Values, r *fhirsearch.Reference, q *search.Value) bool {
	id, target, version := v.Text(r.ID), v.Text(r.URL), v.Text(r.Version)
	return slices.ContainsFunc(q.References, func(p fhirsearch.ReferenceParts) bool {
		if len(p.Version) > 0 && !bytes.Equal(p.Version, version) {
			return false
		}
		if len(p.URL) > 0 || len(target) > 0 {
			return bytes.Equal(p.URL, target)
		}
		return p.Type == r.Type && bytes.Equal(p.ID, id) && len(id) > 0
	})
}

func uri(v *fhirsearch.Values, r *fhirsearch.URI, q *search.Value, m search.Modifier) bool {
	text, version := string(v.Text(r.Value)), string(v.Text(r.Version))
	switch m {
	case search.ModifierBelow:
		return strings.HasPrefix(text, q.Text)
	case search.ModifierAbove:
		rest, ok := strings.CutPrefix(q.Text, text)
		return ok && text != "" && (rest == "" || rest[0] == '/' || strings.HasSuffix(text, "/"))
	}
	c := fhirsearch.CanonicalOf([]byte(q.Text))
	return text == q.Text || len(c.Version) > 0 && text == string(c.URL) && version == string(c.Version)
}

// queries makes random queries out of values that resources have.
type queries struct {
	r *rand.Rand
	m *model
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// parameter makes a parameter of a type, with a value of some resource; "" when there is
// none.
func (g *queries) parameter(typ r4.TypeID, depth int) string {
	all := g.m.table.Parameters(typ)
	p := all[g.r.IntN(len(all))]
	if p.Type == r4.SearchReference && depth < 3 && g.r.IntN(3) == 0 {
		targets := p.Targets
		if len(targets) == 0 {
			targets = []r4.TypeID{r4.TypePatient, r4.TypeOrganization, r4.TypeObservation}
		}
		t := targets[g.r.IntN(len(targets))]
		if rest := g.parameter(t, depth+1); rest != "" {
			return p.Code + ":" + t.String() + "." + rest
		}
	}
	if depth < 3 && g.r.IntN(8) == 0 {
		source := g.m.all[g.r.IntN(len(g.m.all))].typ
		for _, q := range g.m.table.Parameters(source) {
			if q.Type == r4.SearchReference && (len(q.Targets) == 0 || slices.Contains(q.Targets, typ)) && g.r.IntN(2) == 0 {
				if rest := g.parameter(source, depth+1); rest != "" {
					return "_has:" + source.String() + ":" + q.Code + ":" + rest
				}
			}
		}
	}
	if p.Origin == fhirsearch.OriginRows && p.Type != r4.SearchComposite && g.r.IntN(10) == 0 {
		return p.Code + ":missing=" + pick(g.r, "true", "false")
	}
	x := g.m.all[g.r.IntN(len(g.m.all))]
	for range 40 {
		if x.typ != typ {
			x = g.m.all[g.r.IntN(len(g.m.all))]
		}
	}
	if p.Type == r4.SearchComposite {
		b := p.Bindings[g.r.IntN(len(p.Bindings))]
		var parts []string
		for _, terms := range b.Components {
			parts = append(parts, g.value(terms[g.r.IntN(len(terms))], fhirsearch.Main, x))
		}
		if slices.Contains(parts, "") {
			return ""
		}
		return p.Code + "=" + url.QueryEscape(strings.Join(parts, "$"))
	}
	if len(p.Terms) == 0 {
		return ""
	}
	t := p.Terms[g.r.IntN(len(p.Terms))]
	modifier, facet := "", fhirsearch.Main
	switch p.Type {
	case r4.SearchToken:
		modifier = pick(g.r, "", "", "", ":not", ":text", ":of-type")
		facet = map[string]fhirsearch.Facet{":text": fhirsearch.FacetText, ":of-type": fhirsearch.FacetOfType}[modifier]
	case r4.SearchString:
		modifier = pick(g.r, "", "", ":exact", ":contains")
	case r4.SearchURI:
		modifier = pick(g.r, "", ":below", ":above")
	case r4.SearchReference:
		modifier = pick(g.r, "", "", ":identifier")
		if modifier != "" {
			facet = fhirsearch.FacetIdentifier
		}
	}
	value := g.value(t, facet, x)
	if value == "" {
		return ""
	}
	if g.r.IntN(4) == 0 {
		if other := g.value(t, facet, g.m.all[g.r.IntN(len(g.m.all))]); other != "" {
			value += "," + other
		}
	}
	return p.Code + modifier + "=" + url.QueryEscape(value)
}

func escape(b []byte) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `$`, `\$`, `|`, `\|`).Replace(string(b))
}

// value makes a value of one of the rows that a resource has of a term.
func (g *queries) value(t fhirsearch.Term, facet fhirsearch.Facet, x *modelled) string {
	v, id := x.v, t.Group(facet)
	prefix := pick(g.r, "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
	var all []string
	for i := range v.Tokens {
		if r := &v.Tokens[i]; r.Group == id && !r.Code.Empty() {
			code, system := escape(v.Text(r.Code)), escape(v.Text(r.System))
			if facet == fhirsearch.FacetOfType {
				all = append(all, system+"|"+strings.Replace(code, `\|`, "|", 1))
			} else {
				all = append(all, pick(g.r, code, system+"|"+code, "|"+code, strings.ToUpper(code)))
			}
		}
	}
	for i := range v.Strings {
		if r := &v.Strings[i]; r.Group == id {
			text := v.Text(r.Folded)
			if !r.Exact.Empty() {
				text = v.Text(r.Exact)
			}
			n := g.r.IntN(len(text) + 1)
			all = append(all, escape(text), escape(bytes.ToValidUTF8(text[:n], nil)), escape(bytes.ToValidUTF8(text[n:], nil)))
		}
	}
	for i := range v.Dates {
		if r := &v.Dates[i]; r.Group == id && r.Start > -1<<60 {
			text := modelTime(r.Start)
			all = append(all, prefix+pick(g.r, text, text[:10], text[:7], text[:4]))
		}
	}
	for i := range v.Numbers {
		if r := &v.Numbers[i]; r.Group == id {
			all = append(all, prefix+fmt.Sprint(r.Low), prefix+fmt.Sprintf("%.0f", r.High))
		}
	}
	for i := range v.Quantities {
		if r := &v.Quantities[i]; r.Group == id {
			system, code := escape(v.Text(r.System)), escape(v.Text(r.Code))
			number := pick(g.r, fmt.Sprint(r.Low), fmt.Sprintf("%.0f", r.High), fmt.Sprintf("%.3e", r.Low))
			all = append(all, prefix+number+pick(g.r, "", "||"+code, "|"+system+"|"+code, "|"+system+"|"))
		}
	}
	for i := range v.References {
		if r := &v.References[i]; r.Group == id {
			target, version := escape(v.Text(r.URL)), escape(v.Text(r.Version))
			if target == "" && !r.ID.Empty() {
				target = pick(g.r, r.Type.String()+"/", "", base+"/"+r.Type.String()+"/") + escape(v.Text(r.ID))
			}
			if version != "" && g.r.IntN(2) == 0 {
				target += "|" + version
			}
			all = append(all, target)
		}
	}
	for i := range v.URIs {
		if r := &v.URIs[i]; r.Group == id {
			text := string(v.Text(r.Value))
			all = append(all, escape([]byte(text)), escape([]byte(text+"/more")), escape([]byte(text[:g.r.IntN(len(text)+1)])))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return all[g.r.IntN(len(all))]
}

// TestRandomQueriesFindWhatTheModelFinds compares the index, half of whose resources are
// in the snapshot and half were written since, with the model.
func TestRandomQueriesFindWhatTheModelFinds(t *testing.T) {
	dir := corpus.Folder(t, "r4-examples")
	var file bytes.Buffer
	written := map[string]string{}
	refs := []string{}
	n := 0
	for _, name := range []string{
		"Patient", "Observation", "Encounter", "Condition", "ValueSet", "RiskAssessment", "MedicationRequest", "Practitioner", "Organization",
		"Location", "DiagnosticReport", "Provenance", "Medication", "List", "DocumentReference", "Group", "Immunization", "CodeSystem",
	} {
		data := corpus.Read(t, filepath.Join(dir, name+".ndjson.gz"))
		corpus.EachLine(data, func(_ int, start, end uint32) {
			line := data[start:end]
			id := idOf(line)
			if id == "" || slices.Contains(refs, name+"/"+id) {
				return
			}
			refs = append(refs, name+"/"+id)
			if n++; n%2 == 0 {
				file.Write(append(line, '\n'))
			} else if rest, ok := bytes.CutPrefix(line, []byte(`{"resourceType":"`+name+`","id":"`+id+`",`)); ok && !bytes.HasPrefix(rest, []byte(`"meta"`)) {
				written[name+"/"+id] = string(bytes.TrimSuffix(rest, []byte("}")))
			} else {
				file.Write(append(line, '\n'))
			}
		})
	}
	input := filepath.Join(t.TempDir(), "in.ndjson")
	if err := os.WriteFile(input, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newStore(t, func(o *search.Options) { o.Now = modelClock })
	s.lenient = true
	s.load(input)
	s.put(written)
	m := &model{table: fhirsearch.R4(), byRef: map[string]*modelled{}}
	for _, ref := range refs {
		typ, id, _ := strings.Cut(ref, "/")
		r, err := s.lake.Read(r4.ResourceTypeByName([]byte(typ)), id, nil)
		if errors.Is(err, lake.ErrNotFound) {
			continue // rejected
		}
		if err != nil {
			t.Fatal(err)
		}
		m.add(t, &r)
	}
	if len(written) < 100 || len(m.all) < 400 {
		t.Fatalf("%d resources, of which %d were written: too few", len(m.all), len(written))
	}
	g := &queries{rand.New(rand.NewPCG(1, 2)), m}
	asked, found := 0, 0
	rounds := 500
	if testing.Short() {
		rounds = 150
	}
	for range rounds {
		typ := m.all[g.r.IntN(len(m.all))].typ
		var list []string
		for range 1 + g.r.IntN(2) {
			if p := g.parameter(typ, 0); p != "" {
				list = append(list, p)
			}
		}
		if len(list) == 0 {
			continue
		}
		query := strings.Join(list, "&")
		q, err := search.Parse(search.Scope{Table: m.table, Type: typ, Base: base}, params(t, query))
		var f *outcome.Fault
		if errors.As(err, &f) {
			continue
		}
		if err != nil {
			t.Fatalf("%s?%s: %v", typ, query, err)
		}
		want := m.find(q)
		asked++
		found += len(want)
		if len(q.Ignored) > 0 {
			continue
		}
		got, _ := s.walk(typ.String(), query+"&_count="+pick(g.r, "20", "100"))
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s?%s (-want +got):\n%s", typ, query, d)
		}
		p, err := s.search(typ.String(), query+"&_summary=count")
		if err != nil || p.Total != int64(len(want)) {
			t.Errorf("%s?%s: total %+v, %v; want %d", typ, query, p, err, len(want))
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d queries found %d resources", asked, found)
	if asked < rounds/3 || found < asked {
		t.Errorf("%d queries found %d resources: too few to tell anything", asked, found)
	}
}
