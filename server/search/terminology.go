package search

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
	"github.com/fhirlake/fhirlake/server/search/query"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/postings"
)

// Value sets and code systems are those of the data store, of the root, and of R4, in
// this order. What they mean is package profile's to say, as it is for validation.

// codesOf gives the codes that a value matches.
func (a *aside) codesOf(v query.Value) (profile.CodeSet, error) {
	var known *profile.Registry
	if a.x.o.Profiles != nil {
		var err error
		if known, err = a.x.o.Profiles(); err != nil {
			return nil, err
		}
	} else {
		known = profile.NewRegistry()
	}
	b := borrowed{aside: a, registry: known.Over(), asked: map[string]bool{}}
	switch v := v.(type) {
	case query.ValueSet:
		url, err := b.valueSet(v)
		if err != nil {
			return nil, err
		}
		set, err := b.registry.Codes(url)
		if errors.Is(err, profile.ErrUnknown) {
			err = fmt.Errorf("no such value set is in this data store, among the added profiles, or in R4")
		}
		if err != nil {
			return nil, outcome.Faultf(outcome.Malformed, "value set '%s': %v", short(v.URL), err)
		}
		return set, nil
	case query.Concept:
		if v.System == "" {
			return nil, outcome.Faultf(outcome.Malformed, "code '%s': which codes are above or below it, its code system tells; expected system|code", short(v.Code))
		}
		if err := b.borrow(r4.TypeCodeSystem, v.System); err != nil {
			return nil, err
		}
		codes, err := b.registry.Related(v.System, v.Code, v.Above)
		if err != nil {
			return nil, outcome.Faultf(outcome.Malformed, "%v", err)
		}
		set := profile.CodeSet{v.System: {Codes: map[string]struct{}{}}}
		for _, code := range codes {
			set[v.System].Codes[code] = struct{}{}
		}
		return set, nil
	}
	return nil, fmt.Errorf("search: %T as value of a token", v)
}

// short cuts a text for a message.
func short(s string) string { return s[:min(len(s), 200)] }

// coded adds what matches a set of codes.
func (p *planner) coded(e *either, v query.Value) error {
	set, err := p.aside.codesOf(v)
	if err != nil {
		return err
	}
	e.loose = true
	for system, c := range set {
		of := fmt.Sprintf("system = %d", p.hash.Text([]byte(system)))
		var hashes []uint64
		for code := range c.Codes {
			hashes = append(hashes, p.hash.Code([]byte(code), false))
		}
		slices.Sort(hashes)
		among := inHashes("code", hashes)
		if len(hashes) > maxLookup {
			table, err := p.aside.table(fmt.Sprintf("codes %v %s", v, system), []postings.Column{{Name: "hash", Type: postings.Uint64}}, func(add func(row ...any) error) error {
				for _, h := range hashes {
					if err := add(h); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			among = "code IN (SELECT hash FROM " + table + ")"
		}
		if c.Whole {
			among = "code <> 0 AND NOT (" + among + ")"
		}
		e.others = append(e.others, "("+of+" AND "+among+")")
	}
	return nil
}

// borrowed are the definitions of the data store that one value set takes.
type borrowed struct {
	*aside
	registry *profile.Registry
	asked    map[string]bool
}

// maxBorrowed bounds the definitions that are looked up in the data store for one value.
const maxBorrowed = 1_000

// valueSet borrows a value set with all that it names, and gives its canonical URL.
func (b *borrowed) valueSet(v query.ValueSet) (string, error) {
	url := v.URL
	for _, base := range b.q.Bases {
		url = strings.TrimPrefix(url, base)
	}
	if id, ok := strings.CutPrefix(url, "ValueSet/"); ok && v.Version == "" {
		r, err := b.x.o.Lake.Read(r4.TypeValueSet, id, nil)
		var gone *lake.GoneError
		if errors.Is(err, lake.ErrNotFound) || errors.As(err, &gone) {
			return "", outcome.Faultf(outcome.Malformed, "value set '%s' is not in this data store", short(v.URL))
		}
		if err != nil {
			return "", err
		}
		const local = "urn:fhirlake:ValueSet" // it need not have a URL
		return local, b.add(r4.TypeValueSet, local, "", r.JSON)
	}
	if v.Version != "" {
		url += "|" + v.Version
	}
	return url, b.borrow(r4.TypeValueSet, url)
}

// borrow looks for a definition in the data store.
func (b *borrowed) borrow(typ r4.TypeID, canonical string) error {
	key := typ.String() + " " + canonical
	if b.asked[key] {
		return nil
	}
	if b.asked[key] = true; len(b.asked) > maxBorrowed {
		return outcome.Faultf(outcome.TooCostly, "the value set names more than %d others and code systems", maxBorrowed)
	}
	url, version, _ := strings.Cut(canonical, "|")
	list, err := b.addresses(b.ctx, b.byURL(typ, url))
	if err != nil {
		return err
	}
	if list, err = b.keepAlive(b.x.o.Lake.Snapshot(), slices.Compact(list)); err != nil {
		return err
	}
	resources, err := b.read(b.ctx, list)
	if err != nil {
		return err
	}
	for i := range resources {
		var has struct{ URL, Version string }
		if err := json.Unmarshal(resources[i].JSON, &has); err != nil || has.URL != url || version != "" && has.Version != version {
			continue // two URLs may have one hash
		}
		if err := b.add(typ, url, has.Version, resources[i].JSON); err != nil {
			return err
		}
	}
	return nil
}

// byURL is a query of the resources of a type that have a URL.
func (b *borrowed) byURL(typ r4.TypeID, url string) string {
	var sets []string
	for _, t := range search.R4().Parameter(typ, "url").Terms {
		sets = append(sets, fmt.Sprintf("SELECT addr%sWHERE %s AND uri = %d", b.plan.from("uri"), b.plan.group(t, search.Main), b.plan.hash.Text([]byte(url))))
	}
	return "SELECT addr FROM (" + union(sets) + ") ORDER BY addr LIMIT 100"
}

// add puts a definition into the registry, with what it names.
func (b *borrowed) add(typ r4.TypeID, url, version string, text []byte) error {
	res := profile.Resource{Type: typ.String(), URL: url, Version: version, JSON: slices.Clone(text)}
	if _, err := b.registry.Add(res); err != nil {
		return outcome.Faultf(outcome.Malformed, "%v", err)
	}
	valueSets, systems := profile.Parts(res)
	for _, s := range valueSets {
		if err := b.borrow(r4.TypeValueSet, s); err != nil {
			return err
		}
	}
	for _, s := range systems {
		if err := b.borrow(r4.TypeCodeSystem, s); err != nil {
			return err
		}
	}
	return nil
}
