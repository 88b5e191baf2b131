// Package patch changes a resource as a client asks (FHIR R4, 3.1.0.7): by a JSON
// Patch (RFC 6902) or by a FHIRPath Patch, which is a Parameters resource. It works on
// the text: numbers, escapes and the order of members stay as they are where nothing
// is changed. Whether the result is a valid resource, and still the same one, it leaves
// to its caller.
//
// A patch is read before the resource is, so that what is wrong with it (400) is told
// without one; what does not go with the resource is 422.
//
// Read [JSON] and [FHIRPath] first.
package patch
