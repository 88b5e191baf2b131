package rest

import (
	"errors"
	"net/http"
	"slices"

	"github.com/fhirlake/fhirlake/fhir"
	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/rest/capability"
	"github.com/fhirlake/fhirlake/store/lake"
)

// allGood is the issue of a resource without others.
var allGood = []fhir.Issue{{Severity: fhir.Information, Code: "informational", Diagnostics: "all good"}}

// operate invokes an operation (FHIR R4, 3.2.0).
func (c *call) operate() (*reply, error) {
	var run func() (*reply, error)
	var post, both bool // how it is invoked
	switch op := c.operation; {
	case c.version != "" && op != capability.Meta.Name && op != capability.MetaAdd.Name && op != capability.MetaDelete.Name:
		return nil, outcome.Faultf(outcome.NotFound, "there is no operation '$%s' here", clip(op))
	case op == capability.Reindex.Name && c.kind == targetOperation && c.typ == 0:
		run, post = c.reindex, true
	case op == capability.Export.Name && c.exportLevel() != "":
		run, both = c.export, true
	case op == capability.Import.Name && c.typ == 0 && c.id == "":
		run, post = c.importBulk, true
	case op == capability.ParameterStatus.Name && c.typ == r4.TypeSearchParameter && c.id == "":
		run = c.parameterStatus
	case op == capability.Validate.Name && c.typ != 0:
		run, both, post = c.validate, c.id != "", true
	case op == capability.Meta.Name && c.id != "":
		run, both = c.meta, true
	case op == capability.MetaAdd.Name && c.id != "" && c.version == "":
		run, post = func() (*reply, error) { return c.editMeta(false) }, true
	case op == capability.MetaDelete.Name && c.id != "" && c.version == "":
		run, post = func() (*reply, error) { return c.editMeta(true) }, true
	case op == capability.MetaAdd.Name && c.id != "", op == capability.MetaDelete.Name && c.id != "":
		return nil, outcome.Faultf(outcome.NotSupported, "operation $%s: what a version says is not changed afterwards", op)
	case op == capability.Meta.Name && c.ds.options.Search != nil:
		run, both = c.metaOfAll, true
	case op == capability.Meta.Name:
		return nil, outcome.Faultf(outcome.NotSupported, "operation $meta of a type: this data store is not searched")
	case op == capability.Everything.Name && c.typ == r4.TypePatient && c.id != "" && c.ds.options.Search != nil:
		run = c.everything
	case op == capability.Everything.Name && c.typ == r4.TypePatient && c.id != "":
		return nil, outcome.Faultf(outcome.NotSupported, "operation $everything: this data store is not searched")
	case op == capability.Purge.Name && c.typ == r4.TypePatient && c.id != "" && c.ds.eraser != nil:
		run, post = func() (*reply, error) {
			return c.erase(func() error { return c.ds.eraser.Purge(c.ctx, c.id) })
		}, true
	case op == capability.Erase.Name && c.id != "" && c.ds.eraser != nil:
		run, post = func() (*reply, error) {
			return c.erase(func() error { return c.ds.eraser.Erase(c.ctx, c.typ, c.id) })
		}, true
	case op == capability.Erase.Name && c.id != "", op == capability.Purge.Name && c.typ == r4.TypePatient && c.id != "":
		return nil, outcome.Faultf(outcome.NotSupported, "operation $%s: this data store cannot remove a history", op)
	default:
		return nil, outcome.Faultf(outcome.NotFound, "there is no operation '$%s' here", clip(op))
	}
	if isPost := c.method == http.MethodPost; !both && isPost != post {
		allow := "GET, HEAD"
		if post {
			allow = "POST"
		}
		return nil, &notAllowed{outcome.Faultf(outcome.NotAllowed, "%s is not allowed for $%s; allowed: %s", clip(c.method), c.operation, allow), allow}
	}
	return run()
}

// meta gives the meta of the current version, or of the one of the URL, as Parameters
// (FHIR R4, Resource-meta).
func (c *call) meta() (*reply, error) {
	if err := c.checkQuery(); err != nil {
		return nil, err
	}
	read := c.current
	if c.version != "" {
		read = c.versionOf
	}
	res, err := read()
	if err != nil {
		return nil, err
	}
	return metaOf(&res)
}

// metaOf makes the reply that has the meta of a resource.
func metaOf(res *lake.Resource) (*reply, error) {
	out := []byte(`{"resourceType":"Parameters","parameter":[{"name":"return"`)
	if err := readMeta(res, func(t *fhir.Tree, meta fhir.NodeID) {
		out = append(append(out, `,"valueMeta":`...), t.JSON(meta)...)
	}); err != nil {
		return nil, err
	}
	return &reply{status: http.StatusOK, version: res.Number, updated: res.Updated, json: append(out, `}]}`...)}, nil
}

// erase removes a resource with its history, or a patient with all that is of it.
func (c *call) erase(remove func() error) (*reply, error) {
	if err := c.checkQuery(); err != nil {
		return nil, err
	}
	if capability.Of(c.typ) == 0 {
		return nil, outcome.Faultf(outcome.NotFound, "%s is not stored", c.typ)
	}
	if err := remove(); errors.Is(err, lake.ErrNotFound) {
		return nil, c.readFault(err)
	} else if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusNoContent}, nil
}

// validate checks a resource and stores nothing (FHIR R4, Resource-validate). That it
// could be checked is 200, whatever was found.
func (c *call) validate() (*reply, error) {
	if err := c.checkQuery("mode", "profile"); err != nil {
		return nil, err
	}
	v := validation{resource: c.body, mode: c.query.Get("mode"), profile: c.query.Get("profile")}
	if err := v.unwrap(c.typ); err != nil {
		return nil, err
	}
	switch v.mode {
	case "", "create", "update", "profile":
	case "delete":
		if c.id == "" {
			return nil, outcome.Faultf(outcome.Malformed, "mode 'delete' needs the id of a resource in the URL")
		}
		return c.validateDelete()
	default:
		return nil, outcome.Faultf(outcome.Malformed, "mode '%s' is none of create, update, delete, profile", clip(v.mode))
	}
	if v.resource == nil && c.id != "" { // the one that is there (value set resource-validation-mode)
		res, err := c.current()
		if err != nil {
			return nil, err
		}
		v.resource = res.JSON
	}
	if v.resource == nil {
		return nil, outcome.Faultf(outcome.Malformed, "there is no resource to validate")
	}
	issues, err := c.check(&v)
	if err != nil {
		return nil, err
	}
	return &reply{status: http.StatusOK, json: outcome.Append(nil, issues, outcome.At{})}, nil
}

// validateDelete tells whether the resource could be deleted.
func (c *call) validateDelete() (*reply, error) {
	if !capability.Of(c.typ).Has(capability.Delete) {
		return nil, outcome.Faultf(outcome.NotAllowed, "%s cannot be deleted", c.typ)
	}
	if _, err := c.current(); err != nil {
		return nil, err
	}
	return &reply{status: http.StatusOK, json: outcome.Append(nil, allGood, outcome.At{})}, nil
}

// check gives the issues of the resource, [allGood] when it has none.
func (c *call) check(v *validation) ([]fhir.Issue, error) {
	var profiles []string
	if v.profile != "" {
		profiles = []string{v.profile}
	}
	w, err := c.ds.newCheck(profiles)
	if err != nil {
		return nil, err
	}
	w.add(func(dst []byte) []byte { return append(dst, v.resource...) })
	if err := w.run(c.ctx); err != nil {
		return nil, err
	}
	defer w.end()
	issues := slices.Clone(w.walk.Of(0))
	r := &w.batch.Records[0]
	wrong := func(expression, why string) {
		issues = append(issues, fhir.Issue{Severity: fhir.Error, Code: fhir.CodeInvalid, Expression: expression, Diagnostics: why})
	}
	switch {
	case r.Type == 0:
	case r.Type != c.typ:
		wrong(r.Type.String(), "the resource is another type than the URL says")
	case c.id != "" && v.mode != "create" && r.ID != nil && string(r.ID) != c.id:
		wrong(r.Type.String()+".id", "the id of the resource is not that of the URL")
	case v.mode == "update" && r.ID == nil:
		wrong(r.Type.String()+".id", "the resource has no id, which an update needs")
	}
	if v.profile != "" && c.ds.options.Profiles == nil {
		issues = append(issues, fhir.Issue{Severity: fhir.Warning, Code: fhir.CodeNotFound, Diagnostics: "profile '" + clip(v.profile) + "' is not known here and was not checked"})
	}
	if len(issues) == 0 {
		return allGood, nil
	}
	return issues, nil
}

// validation is what $validate is asked for.
type validation struct {
	resource      []byte
	mode, profile string
}

var (
	elParameter         = r4.TypeParameters.ElementByName("parameter")
	parameterType       = r4.ElementAt(elParameter).Type
	elParameterName     = parameterType.ElementByName("name")
	elParameterResource = parameterType.ElementByName("resource")
	parameterValues     = [...]r4.ElementID{
		parameterType.ElementByName("valueCode"), parameterType.ElementByName("valueUri"),
		parameterType.ElementByName("valueCanonical"), parameterType.ElementByName("valueString"),
	}
)

// unwrap takes the parameters out of Parameters, unless it is those that are to be
// validated.
func (v *validation) unwrap(typ r4.TypeID) error {
	if len(v.resource) == 0 {
		v.resource = nil
		return nil
	}
	r, root, ok := readTree(v.resource)
	defer r.release()
	t := &r.tree
	if !ok || t.Nodes[root].Type != r4.TypeParameters {
		return nil // what is wrong with it is what is asked
	}
	list := t.Child(root, elParameter)
	if list == fhir.NoNode || t.Nodes[list].Kind != fhir.KindArray {
		return nil
	}
	found := validation{mode: v.mode, profile: v.profile}
	for p := t.FirstChild(list); p != fhir.NoNode; p = t.NextSibling(list, p) {
		switch name := stringOf(t, p, elParameterName); name {
		case "resource":
			if n := t.Child(p, elParameterResource); n != fhir.NoNode {
				found.resource = slices.Clone(t.JSON(n))
			}
		case "mode":
			found.mode = stringOf(t, p, parameterValues[:]...)
		case "profile":
			found.profile = stringOf(t, p, parameterValues[:]...)
		default:
			if typ != r4.TypeParameters {
				return outcome.Faultf(outcome.Malformed, "parameter '%s' is not known; expected resource, mode, profile", clip(name))
			}
		}
	}
	if found.resource != nil || typ != r4.TypeParameters {
		*v = found
	}
	return nil
}

// stringOf gives the first of these members that is a string, "" when none is.
func stringOf(t *fhir.Tree, n fhir.NodeID, elements ...r4.ElementID) string {
	for _, e := range elements {
		if c := t.Child(n, e); c != fhir.NoNode && t.Nodes[c].Kind == fhir.KindString {
			return string(t.String(c, nil))
		}
	}
	return ""
}
