package main

import "testing"

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"64MiB": 64 << 20, "64mib": 64 << 20, "64M": 64 << 20, "1.5GiB": 3 << 29, "2GB": 2e9, "1 GiB": 1 << 30, "123": 123, "123B": 123, "4k": 4096,
		"": 0, "GiB": 0, "0": 0, "-1GiB": 0, "nan": 0, "inf": 0, "1e30": 0, "5PB": 0, "0.1B": 0, "512MiB/s": 0,
	} {
		var b byteSize
		err := b.Set(text)
		if (err == nil) != (want > 0) || int64(b) != want {
			t.Errorf("%q is %d, %v; want %d", text, b, err, want)
		}
	}
	for n, want := range map[int64]string{512 << 20: "512MiB", 3 << 29: "1.5GiB", 100: "100B"} {
		if b := byteSize(n); b.String() != want {
			t.Errorf("%d is written %s, want %s", n, b.String(), want)
		}
	}
}

func TestFiguresForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := formatCount(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1500: "1.5 KB", 2_000_000: "2.0 MB", 3_500_000_000: "3.5 GB"} {
		if got := formatBytes(n); got != want {
			t.Errorf("%d bytes are written %s, want %s", n, got, want)
		}
	}
}
