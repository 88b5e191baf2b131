//go:build slow

package search_test

// besideRounds is how many writes go on beside searches.
const besideRounds = 5000
