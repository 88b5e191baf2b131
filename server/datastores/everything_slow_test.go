//go:build slow

package datastores_test

// everythingWalks is how many times all pages of $everything are read beside a writer.
const everythingWalks = 300
