package profiles_test

import (
	"testing"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
	"github.com/fhirlake/fhirlake/stages/validate/profiles"
)

// load reads definitions into a new registry. Those at fault are left out.
func load(tb testing.TB, files ...string) *profile.Registry {
	tb.Helper()
	r := profile.NewRegistry()
	err := profile.Read(files, func(res profile.Resource) error {
		_, err := r.Add(res)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// tree parses a resource.
func tree(tb testing.TB, text []byte) (*fhir.Tree, fhir.NodeID) {
	tb.Helper()
	t := &fhir.Tree{}
	t.Reset(text)
	res := parse.NewParser().Parse(t, 0, uint32(len(text)))
	if res.Root == fhir.NoNode {
		tb.Fatalf("no tree: %v", res.Issues)
	}
	return t, res.Root
}

// check holds a resource and all that are in it against the profiles that each
// claims, and the outermost against the ones given.
func check(c *profiles.Checker, t *fhir.Tree, root fhir.NodeID, also ...string) []fhir.Issue {
	var out []fhir.Issue
	report := func(is fhir.Issue) { out = append(out, is) }
	var visit func(n, container, bundle fhir.NodeID)
	visit = func(n, container, bundle fhir.NodeID) {
		for i := n + 1; i < fhir.NodeID(t.Nodes[n].Next); i++ {
			nd := &t.Nodes[i]
			if !nd.Type.IsResourceType() || nd.Kind != fhir.KindObject {
				continue
			}
			switch r4.ElementAt(nd.Element).Path {
			case "Bundle.entry.resource":
				visit(i, i, n)
			default:
				visit(i, container, bundle)
			}
			i = fhir.NodeID(nd.Next) - 1
		}
		claims := claimed(t, n)
		if n == root {
			claims = append(claims, also...)
		}
		c.Check(validate.Subject{Tree: t, Record: root, Resource: n, Container: container, Bundle: bundle, Notes: true}, claims, report)
	}
	visit(root, root, fhir.NoNode)
	return out
}

// subject is a resource that is a record of its own.
func subject(t *fhir.Tree, root fhir.NodeID) validate.Subject {
	return validate.Subject{Tree: t, Record: root, Resource: root, Container: root, Bundle: fhir.NoNode, Notes: true}
}

func claimed(t *fhir.Tree, n fhir.NodeID) []string {
	meta := t.Child(n, t.Nodes[n].Type.ElementByName("meta"))
	if meta == fhir.NoNode {
		return nil
	}
	list := t.Child(meta, r4.TypeMeta.ElementByName("profile"))
	if list == fhir.NoNode {
		return nil
	}
	var out []string
	for i := t.FirstChild(list); i != fhir.NoNode; i = t.NextSibling(list, i) {
		out = append(out, string(t.Raw(i)))
	}
	return out
}

func hasError(issues []fhir.Issue) bool {
	for _, is := range issues {
		if is.Severity <= fhir.Error {
			return true
		}
	}
	return false
}
