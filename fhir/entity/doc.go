// Package entity owns what is known of the clinical text in a resource: the JSON that is kept
// beside the resource (docs/formats/nlp.md), its reader, and how a resource shows it, as
// Amazon HealthLake does. The model is Amazon Comprehend Medical's. It knows no text and finds
// nothing: that is package stages/nlp's, which writes this JSON.
//
//	Result   = engine, dictionary, *Text, [ derived ]
//	Text     = path, status, [ message ], *Entity
//	Entity   = text, offsets, category, type, score, *Trait, *Attribute, *Concept of each Operation
//
// Offsets count code points of the decoded text, from 0, the end exclusive.
//
// Read [Result] first, then [Reader].
package entity
