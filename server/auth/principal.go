package auth

import (
	"context"
	"slices"
	"sync"

	"github.com/fhirlake/fhirlake/fhir/outcome"
	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/server/auth/scope"
)

// Permission is what a key may do.
type Permission string

// The permissions. Admin is to make and delete data stores, to remove histories and to
// see metrics; no permission has another in it.
const (
	Read  Permission = "read"
	Write Permission = "write"
	Admin Permission = "admin"
)

// All is the data store of a grant for all of them.
const All = "*"

// Grant is permissions for a data store.
type Grant struct {
	DataStore   string       `json:"datastore"` // id, or [All]
	Permissions []Permission `json:"permissions"`
}

// Principal is who asks. It is immutable.
type Principal struct {
	Kind string // "key" or "token"
	Name string // id of the key; of a token issuer and subject

	grants     []Grant       // of a key
	scopes     *scope.Grants // of a token
	datastores []string      // of a token
}

// May tells whether a key has a permission for a data store, or with [All] for all. Of a
// token it is no.
func (p *Principal) May(need Permission, datastore string) bool {
	return slices.ContainsFunc(p.grants, func(g Grant) bool {
		return (g.DataStore == All || g.DataStore == datastore) && slices.Contains(g.Permissions, need)
	})
}

// In gives what the principal may do in a data store; nil of nil, which may do all.
func (p *Principal) In(datastore string) *Access {
	if p == nil {
		return nil
	}
	a := &Access{who: p, datastore: datastore}
	if p.scopes != nil && (slices.Contains(p.datastores, All) || slices.Contains(p.datastores, datastore)) {
		a.scopes = p.scopes
	}
	return a
}

// need is what an interaction takes: of a key a permission, of a token a letter, 0 when
// no token may.
type need struct {
	permission Permission
	letters    scope.Letters
}

// needs are the interactions of FHIR, by their codes in R4 and the names of operations.
// What a Bundle needs its entries need.
var needs = map[string]need{
	"read":             {Read, scope.Read},
	"vread":            {Read, scope.Read},
	"history-instance": {Read, scope.Read},
	"history-type":     {Read, scope.Search},
	"history-system":   {Read, scope.Search},
	"search-type":      {Read, scope.Search},
	"search-system":    {Read, scope.Search},
	"create":           {Write, scope.Create},
	"update":           {Write, scope.Update},
	"patch":            {Write, scope.Update},
	"delete":           {Write, scope.Delete},
	"$validate":        {Read, scope.Read},
	"$meta":            {Read, scope.Read},
	"$meta-add":        {Write, scope.Update},
	"$meta-delete":     {Write, scope.Update},
	"$everything":      {Read, scope.Read},
	"$export":          {Read, scope.Read},
	"$import":          {Write, 0},
	"$reindex":         {Admin, 0},
	"$status":          {Admin, 0},
	"$erase":           {Admin, 0},
	"$purge":           {Admin, 0},
}

// Access is what a principal may do in a data store. The nil Access may do all: there is
// no guard. It is safe for concurrent use.
type Access struct {
	who       *Principal
	datastore string
	scopes    *scope.Grants // nil: none
}

// Check tells why an interaction with a type, 0 for all types, is not allowed. That it is
// does not mean that every resource is within reach: see Permit.
func (a *Access) Check(interaction string, t r4.TypeID) error {
	if a == nil {
		return nil
	}
	n, known := needs[interaction]
	switch {
	case known && a.who.May(n.permission, a.datastore):
		return nil
	case !known || n.letters == 0 || a.scopes == nil:
	case t == 0 && a.scopes.Any(n.letters):
		return nil
	case t != 0 && a.scopes.Permit(n.letters, t) != nil:
		return nil
	}
	if t != 0 {
		return outcome.Faultf(outcome.Forbidden, "%s of %s is not allowed to who asks", interaction, t)
	}
	return outcome.Faultf(outcome.Forbidden, "%s is not allowed to who asks", interaction)
}

// Enter tells why nothing of the data store is allowed.
func (a *Access) Enter() error {
	if a == nil || a.scopes != nil || a.who.May(Read, a.datastore) || a.who.May(Write, a.datastore) || a.who.May(Admin, a.datastore) {
		return nil
	}
	return outcome.Faultf(outcome.Forbidden, "this data store is not for who asks")
}

// Limited tells whether some resources are out of reach, so that each must be looked at.
func (a *Access) Limited() bool { return a != nil && a.scopes != nil && !a.scopes.Whole() }

// Permit gives which resources of a type are within reach; nil for none. It is asked of
// a Limited access only.
func (a *Access) Permit(l scope.Letters, t r4.TypeID) *scope.Permit { return a.scopes.Permit(l, t) }

// Owns tells whether what was asked for by one principal is for another.
func (a *Access) Owns(other *Access) bool {
	if a == nil || other == nil {
		return a == other
	}
	return a.who.Kind == other.who.Kind && a.who.Name == other.who.Name && patientOf(a) == patientOf(other)
}

func patientOf(a *Access) string {
	if a.scopes == nil {
		return ""
	}
	return a.scopes.Patient
}

// asking is what the guard knows of a request.
type asking struct {
	who *Principal

	mu     sync.Mutex
	denied string // the first reason
}

type askingKey struct{}

// From gives who asks; nil when there is no guard.
func From(ctx context.Context) *Principal {
	if a, _ := ctx.Value(askingKey{}).(*asking); a != nil {
		return a.who
	}
	return nil
}

// Denied tells the audit that something of a request, such as an entry of a Bundle, was
// refused.
func Denied(ctx context.Context, why string) {
	if a, _ := ctx.Value(askingKey{}).(*asking); a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.denied == "" {
			a.denied = why
		}
	}
}

// With gives a context of a request of a principal; the guard does so.
func With(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, askingKey{}, &asking{who: p})
}
