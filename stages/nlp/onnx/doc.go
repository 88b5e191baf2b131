// Package onnx has texts read by a token-classification model of the user: a folder with model.onnx,
// tokenizer.json, config.json and, if its labels are not the usual ones, labels.json. The model finds
// mentions; what the context says of them and their codes are package nlp's, from the rules and the
// dictionary.
//
// A model is run by ONNX Runtime, a shared library that is looked for when it is needed, and only in a
// binary that is built with the tag onnx: else [Open] gives [ErrNotBuilt]. Everything else
// of the package is in every binary.
//
// # From labels to mentions
//
// A text is cut into windows that the model can take, between sentences where possible. The label of a word
// is the one with the highest mean probability over the word's pieces. B- and S- begin a mention, I-
// and E- go on with one of the same name or begin one; a label without such a prefix goes on with the same.
// The score of a mention is the mean of its words' probabilities.
//
// [Model] is the type to read first.
package onnx
