package main

import (
	"fmt"
	"strconv"
	"strings"
)

// byteSize is a flag value such as 512MiB or 2GB.
type byteSize int64

var sizeUnits = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"K", 1 << 10},
	{"M", 1 << 20},
	{"G", 1 << 30},
	{"T", 1 << 40},
	{"B", 1},
	{"", 1},
}

// Set parses a size with an optional unit.
func (b *byteSize) Set(s string) error {
	for _, u := range sizeUnits {
		if len(s) < len(u.suffix) || !strings.EqualFold(s[len(s)-len(u.suffix):], u.suffix) {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(s[:len(s)-len(u.suffix)]), 64)
		if err != nil || !(n*u.bytes >= 1 && n*u.bytes < 1<<62) { // so that NaN is none
			break
		}
		*b = byteSize(n * u.bytes)
		return nil
	}
	return fmt.Errorf("%q is no size; write a number with a unit, such as 512MiB or 2GB", s)
}

func (b *byteSize) String() string {
	n := float64(*b)
	for i := 3; i >= 0; i-- {
		if u := sizeUnits[i]; n >= u.bytes {
			return strconv.FormatFloat(n/u.bytes, 'g', 4, 64) + u.suffix
		}
	}
	return strconv.FormatInt(int64(*b), 10) + "B"
}

// Type names the value in help texts.
func (*byteSize) Type() string { return "size" }

// formatBytes writes a number of bytes for people, in units of 1000.
func formatBytes(n int64) string {
	f := float64(n)
	for _, u := range []struct {
		name  string
		bytes float64
	}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}} {
		if f >= u.bytes {
			return strconv.FormatFloat(f/u.bytes, 'f', 1, 64) + " " + u.name
		}
	}
	return strconv.FormatInt(n, 10) + " B"
}

// formatCount writes a whole number with separators: 1,234,567.
func formatCount(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
