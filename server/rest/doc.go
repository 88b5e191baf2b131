// Package rest is the FHIR REST interface of data stores (FHIR R4, 3.1.0), below
// /datastore/{id}/r4: it reads requests, decides by the rules of HTTP and FHIR what they
// come to, and writes answers. Which version is the current one and what a condition
// comes to is store/lake's; what a search finds is server/search's; listening, logs and
// metrics are server/httpd's.
//
// The path of a request: [Handler] reads it into a call, a call is run by the func of
// its interaction, and that gives a reply. An entry of a Bundle is a call too, so both
// are the same code. A write runs the stages of an import on a batch of one, or in a
// transaction on one batch of all its resources ([DataStore]).
//
// Invariants, cited by number elsewhere:
//
//  1. Every answer that refuses is an OperationOutcome, made by fhir/outcome.
//  2. No error text has content of a resource but the value at fault.
//  3. What an interaction does is what package capability says that it does: whether a
//     type takes it is asked there.
//
// Read [New] and [Options] first. docs/fhir-support.md is generated from
// package capability.
package rest
