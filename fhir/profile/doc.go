// Package profile is what users add to base R4: StructureDefinitions, ValueSets,
// CodeSystems, Questionnaires and the global profiles of ImplementationGuides. It
// owns how definitions are read ([Read]), found by canonical URL and version
// ([Registry]), expanded into element trees ([Profile]) and how membership in a
// value set is answered ([ValueSet]). What R4 itself defines beside its types (the
// vital signs, the extensions, value sets and code systems) is known without being
// added. The package checks no instance: package
// stages/validate/profiles compiles what is here.
//
// # SnapshotElements
//
// A [Profile] is the tree of [Element]s that a StructureDefinition's snapshot
// lists (FHIR R4, 5.1.0.4; our word snapshot is taken), merged from the
// differentials of its derivations where no snapshot comes with it. The tree is
// kept sparse: an element that no derivation mentions is not in it, and the base
// definition of package r4 holds for it unchanged. So the walk over an instance
// touches what a profile asks for and nothing else, and datatypes are walked into
// as deep as a profile goes.
//
// Invariants, cited by number elsewhere:
//
//  1. A slice holds what it asks beside its unsliced element, not a copy of it:
//     a value that is in the slice is held to both.
//  2. The variants of a choice are slices of the element value[x], whether a
//     definition writes value[x]:valueQuantity or valueQuantity.
//  3. Definitions come from users: every loop over them is bounded by a limit, and
//     what passes it is a [DefinitionError].
//
// Read [Registry] first.
package profile
