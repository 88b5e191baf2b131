// Package notes is the stage that reads the clinical notes of resources: the attachments of
// each DocumentReference, and on request those of DiagnosticReports, become text (package
// attachment), a [Provider] finds what they speak of, and the result is left beside the batch
// ([pipeline.Notes]) as JSON of package fhir/entity. It owns which elements are notes, where their
// data is, and what is said of a text that cannot be read. It changes no resource, and no
// fault of a note is a fault of its resource.
//
// What a data store has found before comes with its records and is not found again.
//
// Read [Options] first, then [Provider].
package notes
