// Package fhirpath compiles FHIRPath (N1, with the additions of FHIR R4) and runs
// it on the element tree of package fhir. It owns the language: the parser, the
// resolution of names and types against the R4 model, the functions and the
// operators. It leaves to others where a reference leads, what a value set holds
// and what a profile asks for: those are hooks of [Environment].
//
// Read [Compile], [Program] and [Evaluator]; [Set] runs many programs at once.
package fhirpath
