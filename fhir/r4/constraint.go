package r4

// Constraint is an invariant. [Type] and [Element] refer to constraints by
// index; a constraint holds for each value of the type, or each value of the
// element, that lists it, with that value as the focus.
//
// ele-1 holds for every element and is listed on the abstract Element alone,
// ext-1 on Extension alone, dom-* on every type derived from DomainResource.
// Constraints of a backbone element are listed on its type, so they hold as
// well where a content reference reuses it.
type Constraint struct {
	Key          string // "pat-1"; three different constraints share the key "inv-1"
	Path         string // where it is declared: "Patient.contact"
	Human        string // the rule in words
	Expression   string // the rule in FHIRPath
	Warning      bool   // severity warning; otherwise it is error
	BestPractice bool   // the definition calls it a best practice (dom-6, con-3)
}

// ConstraintAt returns the constraint with the given index. The caller must not
// change it.
func ConstraintAt(i uint16) *Constraint { return &constraints[i] }

// NumConstraints returns how many indices [ConstraintAt] has, the zero one, which
// is no constraint, included.
func NumConstraints() int { return len(constraints) }
