package search

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/fhir/search"
)

// Sizes of a page, and keys of a sort.
const (
	defaultCount = 50
	maxCount     = 1000
	maxSort      = 8
	maxInclude   = 32
)

// PageParameter has the token of a further page.
const PageParameter = "_page"

// elsewhere are parameters of results that cut or format resources: server/rest reads
// them.
var elsewhere = map[string]bool{"_elements": true, "_format": true, "_pretty": true, "_contained": false, "_containedType": false}

// resultParam reads a parameter that says what is shown (R4, 3.1.1.5); known is false
// for one that says what is found.
func (p *parser) resultParam(param Param) (known bool, err error) {
	r := &p.q.Result
	switch param.Name {
	case "_type":
		return true, nil // types has read it
	case "_count":
		n, err := strconv.Atoi(param.Value)
		if err != nil || n < 0 {
			return true, malformed("parameter _count: '%s' is no number of resources", clip(param.Value))
		}
		r.Count, r.OnlyTotal = min(n, maxCount), r.OnlyTotal || n == 0
		return true, nil
	case "_summary":
		switch param.Value {
		case "count":
			r.OnlyTotal = true
		case "true", "false", "text", "data":
		default:
			return true, malformed("parameter _summary: '%s' is none of true, text, data, count, false", clip(param.Value))
		}
		return true, nil
	case "_total":
		switch param.Value {
		case "accurate", "estimate":
			r.Total = true
		case "none":
			r.NoTotal = true
		default:
			return true, malformed("parameter _total: '%s' is none of none, estimate, accurate", clip(param.Value))
		}
		return true, nil
	case "_sort":
		return true, p.sort(param.Value)
	case PageParameter:
		r.Page = param.Value
		return true, nil
	case "_explain":
		r.Explain = param.Value == "true"
		return true, nil
	}
	if answered, ok := elsewhere[param.Name]; ok {
		if !answered && !(param.Name == "_contained" && param.Value == "false") {
			return true, &unknown{param.Name, "is not answered: contained resources are not searched by themselves"}
		}
		return true, nil
	}
	name, modifier, _ := strings.Cut(param.Name, ":")
	if name != "_include" && name != "_revinclude" {
		return false, nil
	}
	if modifier != "" && modifier != "iterate" && modifier != "recurse" { // STU3 has the latter
		return true, malformed("parameter '%s': the modifier '%s' is not answered for this parameter", clip(param.Name), clip(modifier))
	}
	return true, p.include(name == "_revinclude", modifier != "", param)
}

func (p *parser) sort(text string) error {
	r := &p.q.Result
	if r.Sort != nil {
		return malformed("parameter _sort is given twice")
	}
	for code := range strings.SplitSeq(text, ",") {
		key := SortKey{}
		code, key.Descending = strings.CutPrefix(code, "-")
		key.Parameters = p.parameters(p.Type, code)
		if len(key.Parameters) == 0 {
			return &unknown{"_sort", "has a key that is no parameter of these resources: '" + clip(code) + "'"}
		}
		if x := key.Parameters[0]; notAnswered(x) != "" || x.Type == r4.SearchComposite {
			return &unknown{"_sort", "has a key that results are not sorted by: '" + clip(code) + "'"}
		}
		if r.Sort = append(r.Sort, key); len(r.Sort) > maxSort {
			return outcome.Faultf(outcome.TooCostly, "parameter _sort has more than %d keys", maxSort)
		}
	}
	return nil
}

// include reads Type:parameter or Type:parameter:Target; * stands for all parameters.
func (p *parser) include(reverse, iterate bool, param Param) error {
	parts := strings.Split(param.Value, ":")
	if len(parts) > 3 || len(parts) == 1 && parts[0] != "*" {
		return malformed("parameter '%s': '%s' is not Type:parameter:Target", clip(param.Name), clip(param.Value))
	}
	x := Include{Iterate: iterate}
	if len(parts) == 1 { // * means all references of what was found
		if reverse {
			return malformed("parameter '%s': '*' needs the type of the resources that refer", clip(param.Name))
		}
		for _, t := range p.q.Types {
			if err := p.addInclude(reverse, Include{Source: t, Iterate: iterate}); err != nil {
				return err
			}
		}
		return nil
	}
	if x.Source = r4.ResourceTypeByName([]byte(parts[0])); x.Source == 0 {
		return malformed("parameter '%s': '%s' is no resource type", clip(param.Name), clip(parts[0]))
	}
	if parts[1] != "*" {
		x.Reference = p.Table.Parameter(x.Source, parts[1])
		if x.Reference == nil {
			return &unknown{param.Name, "names a parameter that " + x.Source.String() + " does not have: '" + clip(parts[1]) + "'"}
		}
		if x.Reference.Type != r4.SearchReference {
			return malformed("parameter '%s': %s is no reference", clip(param.Name), x.Reference.Code)
		}
	}
	if len(parts) == 3 && parts[2] != "" {
		if x.Target = r4.ResourceTypeByName([]byte(parts[2])); x.Target == 0 {
			return malformed("parameter '%s': '%s' is no resource type", clip(param.Name), clip(parts[2]))
		}
	}
	return p.addInclude(reverse, x)
}

func (p *parser) addInclude(reverse bool, x Include) error {
	r := &p.q.Result
	list := &r.Include
	if reverse {
		list = &r.RevInclude
	}
	if *list = append(*list, x); len(*list) > maxInclude {
		return outcome.Faultf(outcome.TooCostly, "the search has more than %d includes", maxInclude)
	}
	return nil
}

// checkResult refuses what does not go together.
func (p *parser) checkResult() error {
	text := slices.ContainsFunc(p.q.Kept, func(x Param) bool { return x == Param{"_summary", "text"} })
	if text && len(p.q.Result.Include)+len(p.q.Result.RevInclude) > 0 {
		return malformed("parameters _summary=text and _include do not go together") // R4, 3.1.1.5.8
	}
	return nil
}

// references gives the reference parameters of a type that an include means.
func (x *Include) references(table *search.Table) (all []*search.Parameter) {
	if x.Reference != nil {
		return []*search.Parameter{x.Reference}
	}
	for _, q := range table.Parameters(x.Source) {
		if q.Type == r4.SearchReference && q.Origin == search.OriginRows {
			all = append(all, q)
		}
	}
	return all
}
