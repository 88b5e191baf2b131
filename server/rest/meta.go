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

// metaEdit adds members of lists to meta, or removes them. It is a patch: it is applied
// to what is the current version when it is committed, and makes a version, since the
// tags are part of what was received.
type metaEdit struct {
	typ    r4.TypeID
	remove bool
	lists  map[r4.ElementID][]member // of the meta that was sent
}

// member is a profile, a tag or a security label.
type member struct{ identity, json string }

var (
	metaLists = [...]r4.ElementID{
		r4.TypeMeta.ElementByName("profile"), r4.TypeMeta.ElementByName("security"), r4.TypeMeta.ElementByName("tag"),
	}
	metaListNames = [len(metaLists)]string{"profile", "security", "tag"}
	codingSystem  = r4.TypeCoding.ElementByName("system")
	codingCode    = r4.TypeCoding.ElementByName("code")
	parameterMeta = parameterType.ElementByName("valueMeta")
)

// editMeta does $meta-add and $meta-delete (FHIR R4, Resource-meta-add and -delete).
func (c *call) editMeta(remove bool) (*reply, error) {
	if err := c.checkQuery(); err != nil {
		return nil, err
	}
	if !capability.Of(c.typ).Has(capability.Patch) {
		return nil, outcome.Faultf(outcome.NotAllowed, "%s is never changed", c.typ)
	}
	edit, err := readMetaEdit(c.body, c.typ, remove)
	if err != nil {
		return nil, err
	}
	x, err := c.preparePatchOf(edit)
	if err != nil {
		return nil, err
	}
	defer x.end()
	missing := *c
	missing.method = http.MethodPatch // what is not there is 404 or 410, as of a patch
	done, err := missing.commit(x)
	if err != nil {
		return nil, err
	}
	res, err := c.ds.store.ReadVersion(c.typ, c.id, done.version, nil)
	if err != nil {
		return nil, err
	}
	return metaOf(&res)
}

// metaOfAll gives the profiles, tags and security labels that any resource of the type
// has, or any at all (FHIR R4, Resource-meta at the type and the system level).
func (c *call) metaOfAll() (*reply, error) {
	if err := c.checkQuery(); err != nil {
		return nil, err
	}
	if c.typ != 0 && capability.Of(c.typ) == 0 {
		return nil, outcome.Faultf(outcome.NotFound, "%s is not stored", c.typ)
	}
	if c.access.Limited() {
		return nil, outcome.Faultf(outcome.Forbidden, "$meta of many resources is not allowed to who asks")
	}
	list, err := c.ds.options.Search.Marked(c.ctx, c.typ)
	if err != nil {
		return nil, err
	}
	lists := map[r4.ElementID][]member{}
	var add metaEdit // that adds
	for i := range list {
		if err := readMeta(&list[i], func(t *fhir.Tree, meta fhir.NodeID) {
			for _, e := range metaLists {
				lists[e] = add.merged(lists[e], membersOf(t, t.Child(meta, e)))
			}
		}); err != nil {
			return nil, err
		}
	}
	out := []byte(`{"resourceType":"Parameters","parameter":[{"name":"return"`)
	sep := `,"valueMeta":{`
	for i, e := range metaLists {
		if len(lists[e]) > 0 {
			out = append(append(out, sep...), '"')
			out = appendList(append(append(out, metaListNames[i]...), `":`...), lists[e])
			sep = ","
		}
	}
	if sep == "," {
		out = append(out, '}')
	}
	return &reply{status: http.StatusOK, json: append(out, `}]}`...)}, nil
}

// readMeta calls f with the meta of a resource, if it has one.
func readMeta(res *lake.Resource, f func(t *fhir.Tree, meta fhir.NodeID)) error {
	r, root, ok := readTree(res.JSON)
	defer r.release()
	if !ok {
		return errors.New("a stored resource cannot be read")
	}
	if m := r.tree.Child(root, res.Type.ElementByName("meta")); m != fhir.NoNode {
		f(&r.tree, m)
	}
	return nil
}

// appendList appends members as a list.
func appendList(dst []byte, list []member) []byte {
	for n, m := range list {
		dst = append(append(dst, "[,"[min(n, 1)]), m.json...)
	}
	return append(dst, ']')
}

// readMetaEdit reads the Parameters with the meta.
func readMetaEdit(body []byte, typ r4.TypeID, remove bool) (*metaEdit, error) {
	r, root, ok := readTree(body)
	defer r.release()
	t := &r.tree
	wrong := outcome.Faultf(outcome.Malformed, "expected Parameters with one parameter 'meta', whose valueMeta has what is added or removed")
	if !ok || t.Nodes[root].Type != r4.TypeParameters {
		return nil, wrong.At("Parameters")
	}
	list := t.Child(root, elParameter)
	if list == fhir.NoNode || t.Nodes[list].Kind != fhir.KindArray {
		return nil, wrong.At("Parameters")
	}
	p := t.FirstChild(list)
	if p == fhir.NoNode || t.NextSibling(list, p) != fhir.NoNode || stringOf(t, p, elParameterName) != "meta" {
		return nil, wrong.At("Parameters.parameter")
	}
	meta := t.Child(p, parameterMeta)
	if meta == fhir.NoNode || t.Nodes[meta].Kind != fhir.KindObject {
		return nil, wrong.At("Parameters.parameter[0]")
	}
	edit := &metaEdit{typ: typ, remove: remove, lists: map[r4.ElementID][]member{}}
	for _, e := range metaLists {
		edit.lists[e] = membersOf(t, t.Child(meta, e))
	}
	return edit, nil
}

// membersOf gives the members of a list of meta.
func membersOf(t *fhir.Tree, list fhir.NodeID) (all []member) {
	if list == fhir.NoNode || t.Nodes[list].Kind != fhir.KindArray {
		return nil
	}
	for n := t.FirstChild(list); n != fhir.NoNode; n = t.NextSibling(list, n) {
		m := member{json: string(t.JSON(n))}
		if t.Nodes[n].Kind == fhir.KindString {
			m.identity = string(t.String(n, nil))
		} else { // a Coding is the same whatever its display says
			m.identity = stringOf(t, n, codingSystem) + "\x00" + stringOf(t, n, codingCode)
		}
		all = append(all, m)
	}
	return all
}

// Apply implements [patch.Patch].
func (e *metaEdit) Apply(resource []byte, _ int) ([]byte, error) {
	r, root, ok := readTree(resource)
	defer r.release()
	t := &r.tree
	meta := fhir.NoNode
	if ok {
		meta = t.Child(root, e.typ.ElementByName("meta"))
	}
	if meta == fhir.NoNode || t.Nodes[meta].Kind != fhir.KindObject {
		return nil, outcome.Faultf(outcome.Unprocessable, "the resource has no meta that can be changed").At(e.typ.String() + ".meta")
	}
	lists, changed, err := e.changes(t, meta)
	if err != nil || !changed {
		return resource, err
	}
	out := append([]byte(nil), t.Data[:t.Nodes[meta].Start]...)
	sep := byte('{')
	for c := t.FirstChild(meta); c != fhir.NoNode; c = t.NextSibling(meta, c) {
		value := t.JSON(c)
		if list, ok := lists[t.Nodes[c].Element]; ok {
			delete(lists, t.Nodes[c].Element)
			if value = list; value == nil {
				continue
			}
		}
		out = appendMember(out, sep, t.Key(c), value)
		sep = ','
	}
	for i, element := range metaLists {
		if list := lists[element]; list != nil {
			out = appendMember(out, sep, []byte(metaListNames[i]), list)
			sep = ','
		}
	}
	return append(append(out, '}'), t.Data[t.Nodes[meta].End:]...), nil
}

func appendMember(dst []byte, sep byte, key, value []byte) []byte {
	dst = append(append(dst, sep, '"'), key...)
	return append(append(dst, `":`...), value...)
}

// changes gives the lists as they will be, nil for one that goes, and tells whether any
// is another than it was. A stored meta keeps at least its version, so it is never empty.
func (e *metaEdit) changes(t *fhir.Tree, meta fhir.NodeID) (lists map[r4.ElementID][]byte, changed bool, err error) {
	lists = map[r4.ElementID][]byte{}
	for _, element := range metaLists {
		have := membersOf(t, t.Child(meta, element))
		list := e.merged(have, e.lists[element])
		if len(list) == len(have) {
			continue // members are only added, or only removed
		}
		for c := t.FirstChild(meta); c != fhir.NoNode; c = t.NextSibling(meta, c) {
			if t.Nodes[c].Element == element && t.Nodes[c].Flags&fhir.FlagTwin != 0 {
				return nil, false, outcome.Faultf(outcome.Unprocessable, "profiles that have extensions are changed by an update").At(e.typ.String() + ".meta.profile")
			}
		}
		changed = true
		lists[element] = nil
		if len(list) > 0 {
			lists[element] = appendList(nil, list)
		}
	}
	return lists, changed, nil
}

// merged is a list with the others added, or removed.
func (e *metaEdit) merged(have, others []member) (list []member) {
	with := func(list []member, identity string) bool {
		for i := range list {
			if list[i].identity == identity {
				return true
			}
		}
		return false
	}
	if e.remove {
		for _, m := range have {
			if !with(others, m.identity) {
				list = append(list, m)
			}
		}
		return list
	}
	list = slices.Clone(have)
	for _, m := range others {
		if !with(list, m.identity) {
			list = append(list, m)
		}
	}
	return list
}
