// Package auth owns who asks and what they may: access keys with SigV4 signatures (package
// sigv4) and bearer tokens with SMART scopes (package scope), the file that says which
// there are, and the [Guard] that every request of a server passes. What a request is
// about, such as the entries of a Bundle, is known to server/rest alone, which asks the
// [Access] of the [Principal] for each interaction.
//
// Invariants, cited by number elsewhere:
//
//  1. With a guard a request without a principal reaches only what is open: health, and
//     how to log in. Commands have the token of the lock (server/owner).
//  2. What [needs] does not name, nobody may.
//  3. No secret, token or signature is in a log or an error text.
//
// Read [Guard] and [Principal] first; docs/operations.md has the file.
package auth
