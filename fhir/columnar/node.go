package columnar

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fhirlake/fhirlake/fhir/r4"
)

// Version is the version of the layout (docs/formats/columns.md).
const Version = 1

// MaxLeaves is how many leaf columns the resources of one batch may fill, and
// so at most those of one file, before further ones go into the overflow column.
const MaxLeaves = 2000

// maxRepeat is how often a type may be on a path before it becomes JSON text:
// Questionnaire.item.item is columns, Questionnaire.item.item.item is text.
const maxRepeat = 2

// Role tells what a node holds.
type Role uint8

// The roles of nodes.
const (
	RoleGroup     Role = iota // has children
	RoleString                // text
	RoleInteger               // INT32
	RoleBoolean               // BOOLEAN
	RoleDecimal               // text, with the twin __decimal
	RoleTime                  // text of a date, dateTime or instant, with __start and __end
	RoleReference             // text of a literal reference, with __type and __id
	RoleJSON                  // JSON text of whatever the element is, an array included
	RoleWhole                 // JSON text of the parent object, when it has members without a column
	RoleDouble                // DOUBLE, from the text of a number
	RoleCount                 // INT32 that is not negative, in Column.Counts and not as text
)

var twins = [...][]string{
	RoleDecimal:   {"__decimal"},
	RoleTime:      {"__start", "__end"},
	RoleReference: {"__type", "__id"},
	RoleCount:     nil,
}

// Twins gives the suffixes of the derived columns of a leaf.
func (r Role) Twins() []string { return twins[r] }

// Node is one element of a layout: a group, a list (of groups or of values) or
// a leaf with its derived columns. It is immutable and safe to share.
type Node struct {
	Name     string
	Index    int32        // position in the layout, in the order of growth
	ID       int32        // field id; the items of a list have ID+1, the twins ID+2, +3 and ID+4, +5
	Role     Role         //
	List     bool         // three Parquet levels: Name, list, element
	Required bool         // never absent: resourceType and id
	Def, Rep uint8        // levels of a present value (of an item, for a list)
	Parent   *Node        // nil for the root
	Scope    *Node        // the list, or the root, whose slots the node shares (for a list: is in)
	Type     r4.TypeID    // of a group
	Element  r4.ElementID // 0 for the root and what no definition declares
}

// Leaf tells whether the node has values.
func (n *Node) Leaf() bool { return n.Role != RoleGroup }

// Leaves is the number of Parquet columns that a leaf makes.
func (n *Node) Leaves() int {
	if n.Role == RoleGroup {
		return 0
	}
	return 1 + len(n.Role.Twins())
}

// ByOrder compares nodes by their place in a file's schema.
func ByOrder(a, b *Node) int { return cmp.Compare(a.ID, b.ID) }

type childKey struct {
	parent  int32
	element r4.ElementID
	twin    bool
}

// Layout is the tree of nodes of one resource type, or of a flat table. It is safe
// for concurrent use; those who ask often keep what it answers.
type Layout struct {
	Type    r4.TypeID
	Name    string
	Format  string // key of the version in a file's metadata
	Version int

	Root         *Node
	ResourceType *Node
	ID           *Node
	Meta         *Node
	VersionID    *Node
	LastUpdated  *Node
	Overflow     *Node

	mu    sync.Mutex
	nodes []*Node
	kids  map[childKey]*Node
	core  []*Node
}

var (
	layouts   [1 << 11]atomic.Pointer[Layout]
	layoutsMu sync.Mutex
)

// LayoutOf gives the layout of a resource type.
func LayoutOf(t r4.TypeID) *Layout {
	if l := layouts[t].Load(); l != nil {
		return l
	}
	layoutsMu.Lock()
	defer layoutsMu.Unlock()
	if l := layouts[t].Load(); l != nil {
		return l
	}
	l := newLayout(t)
	layouts[t].Store(l)
	return l
}

const (
	idResourceType = 1
	idRoot         = 2 // the root's elements follow it, as they do any group's
	overflowName   = "overflow__json"
)

func newLayout(t r4.TypeID) *Layout {
	l := &Layout{Type: t, Name: r4.TypeAt(t).Name, Format: "fhirlake.layout", Version: Version, kids: map[childKey]*Node{}}
	l.Root = l.add(Node{Name: l.Name, Type: t, ID: idRoot})
	l.ResourceType = l.add(Node{Name: "resourceType", Role: RoleString, Required: true, ID: idResourceType, Parent: l.Root, Scope: l.Root})
	end := idRoot + groupSpan(nil, t)
	l.Overflow = l.add(Node{Name: overflowName, Role: RoleString, ID: int32(end), Parent: l.Root, Scope: l.Root, Def: 1})
	l.ID = l.Child(l.Root, t.ElementByName("id"), false)
	l.Meta = l.Child(l.Root, t.ElementByName("meta"), false)
	l.VersionID = l.Child(l.Meta, l.Meta.Type.ElementByName("versionId"), false)
	l.LastUpdated = l.Child(l.Meta, l.Meta.Type.ElementByName("lastUpdated"), false)
	l.core = l.makeCore()
	return l
}

func (l *Layout) add(n Node) *Node {
	n.Index = int32(len(l.nodes))
	l.nodes = append(l.nodes, &n)
	return &n
}

// Len is the number of nodes so far.
func (l *Layout) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.nodes)
}

// Core gives the leaves that every file of the type has, in schema order.
func (l *Layout) Core() []*Node { return l.core }

// Child gives the node of element e of group n, or of its `_` twin, growing the
// layout when it is new. It is nil when n's type has no such element.
func (l *Layout) Child(n *Node, e r4.ElementID, twin bool) *Node {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := childKey{n.Index, e, twin}
	c, ok := l.kids[key]
	if !ok {
		c = l.grow(n, e, twin)
		l.kids[key] = c
	}
	return c
}

func (l *Layout) grow(n *Node, e r4.ElementID, twin bool) *Node {
	t := r4.TypeAt(n.Type)
	if n.Role != RoleGroup || e < t.FirstElement || e >= t.FirstElement+r4.ElementID(t.NumElements) {
		return nil
	}
	el := r4.ElementAt(e)
	path := pathOf(n)
	if rootExtension(n) && (twin || !typedInExtension(el)) {
		return l.whole(n)
	}
	role, isList := classify(path, el)
	if twin && r4.TypeAt(el.Type).Kind != r4.KindPrimitive {
		return nil
	}
	id := n.ID + 2
	for _, before := range r4.Elements(n.Type)[:e-t.FirstElement] {
		id += int32(elementSpan(path, &before))
	}
	c := Node{
		Name: el.Name, ID: id, Role: role, List: isList, Parent: n, Element: e, Type: el.Type,
		Scope: scopeOf(n), Def: n.Def + 1, Rep: n.Rep,
	}
	if twin {
		c.Name, c.ID, c.Role, c.List = "_"+el.Name, id+primitiveSpan-1, RoleJSON, false
	}
	if c.Role != RoleGroup {
		c.Type = 0
	}
	if c.List {
		c.Def, c.Rep = n.Def+3, n.Rep+1
	}
	if n.Parent == nil && el.Name == "id" && !twin {
		c.Def, c.Required = 0, true
	}
	return l.add(c)
}

// whole gives the one JSON column of a typed extension.
func (l *Layout) whole(n *Node) *Node {
	key := childKey{n.Index, 0, false}
	c := l.kids[key]
	if c == nil {
		id := int32(int(n.ID) + groupSpan(pathOf(n.Parent), n.Type) - 1)
		c = l.add(Node{Name: "json", ID: id, Role: RoleWhole, Parent: n, Scope: scopeOf(n), Def: n.Def + 1, Rep: n.Rep})
		l.kids[key] = c
	}
	return c
}

// scopeOf gives the list or root whose slots the children of n have.
func scopeOf(n *Node) *Node {
	if n.List || n.Parent == nil {
		return n
	}
	return n.Scope
}

// pathOf gives the types of the groups from the root to n.
func pathOf(n *Node) []r4.TypeID {
	var path []r4.TypeID
	for ; n != nil; n = n.Parent {
		path = append(path, n.Type)
	}
	slices.Reverse(path)
	return path
}
