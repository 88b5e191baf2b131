// Package bulkdata is the server's side of FHIR Bulk Data Access (2.0): what a client may ask
// of an export, the record of it that a job has, the list of files that a client
// gets, and the files themselves. That it is asked over REST, server/rest knows; the jobs are
// run by server/jobs, the work is done by server/bulk.
//
// Files that are kept here lie in the folder of their job (docs/formats/export.md), and are
// found by the list that was written when all were there: no name of a client becomes a path.
//
// Read [Request] and [Service] first (docs/decisions/0049-bulk-export.md).
package bulkdata
