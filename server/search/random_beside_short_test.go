//go:build !slow

package search_test

// randomBeside is how many searches each searcher makes beside a writer.
const randomBeside = 40
