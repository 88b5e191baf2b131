// Package profiles checks resources against the profiles of a registry (package
// fhir/profile). It owns the compiled form of a profile, the walk over an
// instance, slicing, fixed and pattern values, bindings to value sets, the
// conformance of what references lead to, and the consistency of what a resource
// says with a definition that it names: of a QuestionnaireResponse with its
// Questionnaire, of a StructureDefinition with its base, of an
// OperationDefinition with the profiles of its parameters. It leaves to others:
// structure (parse), base R4 (validate), how definitions are read and expanded
// (fhir/profile).
//
// # How it is fast
//
// A profile repeats the base definition and adds a little. What it repeats has
// been checked already, so [Set] compiles only what it adds: a [plan] is a tree of
// the places where the profile asks for more than base R4 does. The walk goes down
// this tree, not the instance, and finds an element by its id, not its name. A
// claimed profile, a profile of a type, a slice are all plans of the same kind,
// and a value that many of them reach is held to each once.
//
// Invariants, cited by number elsewhere:
//
//  1. What cannot be told is no fault: a code of a system that is not here, a
//     reference to what is not at hand, a profile that is not known. That a claimed
//     profile is not known is information.
//  2. A resource that keeps to its profiles makes no garbage once the buffers have
//     grown. Paths and messages are made for issues only.
//  3. Definitions and instances come from users: each check has a budget of steps,
//     and its end is an issue.
//  4. A check of a profile that is under way for a node counts as passed when it is
//     asked for again: profiles and references may lead in circles.
//
// Read [Set] and [Checker] first.
package profiles
