// Package attachment makes text of the data of an attachment: plain text in any
// usual charset, HTML, XML, RTF and PDF. It owns what is read, by which charset,
// and what a person would see of a marked-up document. It knows no resources:
// bytes and a content type go in, UTF-8 comes out. [Decoder] is the type to read first.
//
// Invariants:
//
//  1. The result is UTF-8, whatever the data is.
//  2. Time and memory are linear in the data, however deep it is nested; the
//     result is at most three times as long, the longest that a byte gets in UTF-8.
//     PDF, which is compressed, has fixed limits of memory, text and time instead.
//  3. Plain text in UTF-8 comes out byte for byte, without a copy.
//  4. No error repeats data.
package attachment
