//go:build slow

package rest_test

// injectEvery is how many times fewer texts each position is asked with than there are.
const injectEvery = 1
