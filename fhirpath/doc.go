// Package fhirpath is the place of the FHIRPath engine: Compile, Program, Eval
// over the element tree of package fhir. It is not written yet; nothing imports
// it, and the layout test holds its place in the direction of imports.
package fhirpath
