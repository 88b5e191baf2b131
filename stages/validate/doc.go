// Package validate is the stage that checks what parse leaves: it reads the
// element tree of each resource and finds where the resource breaks the base
// definitions of FHIR R4. It owns the invariants, required bindings of
// CodeableConcept, references and their targets, contained resources, narratives,
// extensions, Bundles, and the syntax of values that a standard outside of FHIR
// gives (UCUM, MIME types, currencies, languages). It leaves to others: JSON and
// structure (parse), profiles (a [Profiles], wired in), terminology that needs a
// server, and whether what a reference leads to exists outside of the record.
//
// Read [Stage] for the pipeline and [Validator] for a single resource.
//
// # How it is fast
//
// The nodes of a resource lie in document order, so a walk over the tree is a
// loop over an array. A byte for each element says whether the node needs
// anything ([class]); for most values it does not, and the loop goes on. What an
// object needs is in its [plan]. Most invariants ask which members an object has,
// so one pass over the members makes a bit mask of them, by the slots of package
// r4, and such an invariant is one or two tests of that mask ([shape]). What asks
// for more is a Go function ([invariant]); what is rare is FHIRPath, compiled once.
//
// Invariants, cited by number elsewhere:
//
//  1. Nothing is allocated for a resource without issues once the buffers have
//     grown. Paths and messages are made for issues only.
//  2. Work is linear in the size of the record, or sorts what it has collected;
//     nothing searches a list for each item of another.
//  3. What parse has reported is not reported again, and has no consequences: an
//     object with an unknown member is not asked for what it lacks, and one that
//     lacks a required member not for what depends on it.
//  4. A value that a rule cannot judge, such as a code of a system that is not
//     known here, is no issue. A constraint that is neither true nor false does not
//     hold, as the definition says, but for those in [checkedOtherwise].
//
// # Policy
//
// Where the specification leaves room:
//
//   - References that lead out of the record are accepted, as are conditional ones
//     (Practitioner?identifier=...). Within a document or a message, what the first
//     entry refers to must be among the entries.
//   - A required binding of a CodeableConcept asks for a coding of the set; a
//     concept without coding passes when an extension says why.
//   - A unit that is no code of UCUM is a warning: no binding asks for it, and much
//     data has 'mmHg' and the like.
//   - Best practices (dom-6, con-3) are not checked unless [Options] asks for them.
//   - At most 100 issues of a record are kept, then one that says so.
package validate
