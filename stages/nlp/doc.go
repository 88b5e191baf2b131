// Package nlp reads clinical text: it finds conditions, medications, tests,
// procedures, anatomy, time expressions and personal data, tells what is denied,
// past, hypothetical or of a relative, and gives the codes that a terminology
// has for them. The output is Comprehend Medical's model. It owns the passes over the text and
// the rules of language in folder rules; terms and codes are those of the
// [terminology.Index] that it is given. It knows no resources: who takes the
// text out of a DocumentReference is not its business. [Detector] is the type to read first.
//
// Invariants:
//
//  1. Text[Begin:End] in code points is the text of every entity and attribute.
//  2. Equal text, dictionary and version give equal results.
//  3. Time is linear in the text: sentences are cut at [maxSentence] tokens, and
//     whatever looks ahead or back stays within one.
//  4. Detect allocates only to make its buffers longer.
package nlp
