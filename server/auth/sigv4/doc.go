// Package sigv4 verifies AWS Signature Version 4 of a request, in the header or in the
// query (presigned). Whose key it is and what the key may do is package auth's.
//
// # What is signed
//
//	string to sign    = "AWS4-HMAC-SHA256", time, scope, SHA-256(canonical request)
//	canonical request = method, path, query, headers, names of headers, SHA-256(body)
//
// The path is the one of the request line, each byte but letters, digits, "-._~" and "/"
// percent-encoded once more: that is the rule of all services but S3. Names and values of
// the query are decoded, a plus sign to a space, and encoded anew, sorted. The headers are
// those that the client names: "host", the time and every x-amz-* that is there must be
// among them, or what they say would not be protected.
//
// # The body
//
// It is read whole and hashed before anything of the request is believed; the handler
// reads it from memory. X-Amz-Content-Sha256 is not needed; when it is there it must be
// the hash of the body. UNSIGNED-PAYLOAD and the STREAMING forms are refused, over TLS
// too: whether a proxy has ended TLS cannot be known here.
//
// # Replay
//
// A request that is sent again within the time that it is valid is valid: 5 minutes to
// either side of its time, a presigned one until it expires. There is no memory of
// signatures, as in AWS. TLS keeps requests from those who could send them again; writes
// that must not be done twice have If-Match, If-None-Exist and the idempotency key.
//
// Read [Verify] first.
package sigv4
