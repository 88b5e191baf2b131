package parse_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/stages/parse"
)

// TestPrimitives checks each primitive type with values of Extension.value[x].
func TestPrimitives(t *testing.T) {
	digits := func(n int) string { return strings.Repeat("7", n) }
	for _, c := range []struct{ member, valid, invalid string }{
		{"valueBoolean", `true|false`, `True|TRUE|1|"true"|null`},
		{"valueInteger", `0|1|-1|2147483647|-2147483648|100`, `-0|01|2147483648|-2147483649|1.0|1e3|"1"|99999999999999999999|+1`},
		{"valueUnsignedInt", `0|1|2147483647`, `-1|-0|2147483648|00|0.5`},
		{"valuePositiveInt", `1|2147483647`, `0|-1|2147483648|1e0`},
		{
			"valueDecimal", `0|-0|0.0|-0.10|1e3|1E+3|1.5e-10|1234567890123456789.012345678901234567890|1e308|1e-308|1e0000000000000000|` + digits(1024),
			`1e309|1e-309|1e400|1e99999999999999999999|.5|1.|00|01.5|+1|"1"|NaN|Infinity|1e|1e+|` + digits(1025),
		},
		{"valueString", `"a"|" "|"a  b"|"é"|"\u00e9"|"日本"|"a\\b"|"` + digits(100_000) + `"`, `""|1|"\ud83d"`},
		{"valueMarkdown", `"# a\n\nb"|" a "`, `""|true`},
		{"valueCode", `"a"|"a b"|"é-1"|"a\u0062"|"a\tb"`, `""|" a"|"a "|"a  b"|"a\n"|"\u0020a"|1`},
		{"valueUri", `"http://example.org/a?b#c"|"urn:uuid:1"|"#a"|"é"|"a\u0062"`, `""|"a b"|" a"|"a\tb"|"a\u0020b"|{}`},
		{"valueUrl", `"http://example.org"`, `""|"a b"|"a\n"`},
		{"valueCanonical", `"http://example.org/a\|1.0#x"|"#a"`, `""|"a b"`},
		{"valueId", `"a"|"A-1.b"|"` + digits(64) + `"|"\u0061"`, `""|"` + digits(65) + `"|"a_b"|"a b"|"é"|"a/b"|"\u005f"`},
		{"valueOid", `"urn:oid:1.2.3"|"urn:oid:2.0"|"urn:oid:0.10.2021"`, `""|"1.2.3"|"urn:oid:3.1"|"urn:oid:1"|"urn:oid:1."|"urn:oid:1.01"|"urn:oid:1.a"|"URN:OID:1.2"`},
		{
			"valueUuid", `"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"`,
			`""|"c757873d-ec9a-4326-a141-556f43239520"|"urn:uuid:C757873D-EC9A-4326-A141-556F43239520"|"urn:uuid:c757873d-ec9a-4326-a141-556f4323952"|"urn:uuid:c757873dxec9a-4326-a141-556f43239520"`,
		},
		{"valueBase64Binary", `"YQ=="|"YWI="|"YWJj"|"YWJj YWJj"|"YW\nJj"|"+/+/"|" YWJj "`, `""|"YQ"|"YQ="|"Y==="|"YQ==YQ=="|"YQ=a"|"Y_-j"|" "|"YWJjYWJjYWJjYWJjYWJjYW!j"|"YQ==YWJjYWJjYWJjYWJjYWJj"|"é==="`},
		{
			"valueDate", `"2021"|"2021-02"|"2021-02-28"|"2020-02-29"|"2000-02-29"|"0001-01-01"|"9999-12-31"|"2021-04-30"|"2021-\u0030\u0031"`,
			`""|"21"|"2021-2"|"2021-13"|"2021-00"|"2021-02-29"|"1900-02-29"|"2021-04-31"|"2021-01-32"|"2021-01-00"|"0000"|"0000-01-01"|"2021-01-01T00:00:00Z"|"2021-"|"2021-01-"|"2021-01-1"|"2021/01/01"|" 2021"|"2021 "|"20211"|"202a"|"2021-0a"|"2021-01-0a"|"２０２１"`,
		},
		{
			"valueDateTime", `"2021"|"2021-02"|"2021-02-28"|"2021-02-28T10:00:00Z"|"2021-02-28T10:00:00+01:00"|"2021-02-28T23:59:60.123456789Z"|"2021-02-28T00:00:00-14:00"|"2021-02-28T00:00:00.1+13:59"`,
			`"2021-02-28T10:00:00"|"2021-02-28T10:00Z"|"2021-02-28T10Z"|"2021-02-28TZ"|"2021-02-28T25:00:00Z"|"2021-02-28T24:00:00Z"|"2021-02-28T10:60:00Z"|"2021-02-28T10:00:61Z"|"2021-02-28T10:00:00.Z"|"2021-02-28T10:00:00+14:01"|"2021-02-28T10:00:00+1:00"|"2021-02-28T10:00:00+0100"|"2021-02-28t10:00:00z"|"2021-02-28 10:00:00Z"|"2021-02-30T10:00:00Z"|"2021-02-28T10:00:00ZZ"|"2021-02-28T"|"2021-02Z"|"2021-02-28Z"|"2021-02-28T10:00:00+20:00"`,
		},
		{
			"valueInstant", `"2021-02-28T10:00:00Z"|"2015-02-07T13:28:17.239+02:00"|"2016-12-31T23:59:60Z"`,
			`"2021"|"2021-02"|"2021-02-28"|"2021-02-28T10:00Z"|"2021-02-28T10:00:00"|"2021-02-29T10:00:00Z"|""`,
		},
		{"valueTime", `"00:00:00"|"23:59:60"|"12:30:00.125"`, `""|"24:00:00"|"12:30"|"12:30:00Z"|"12:30:00."|"1:30:00"|"12:30:61"|"12:60:00"`},
	} {
		t.Run(c.member, func(t *testing.T) {
			p := parse.NewParser()
			for k, list := range []string{c.valid, c.invalid} {
				// A bar within a value is written with a backslash before it.
				for v := range strings.SplitSeq(strings.ReplaceAll(list, `\|`, "\x00"), "|") {
					v = strings.ReplaceAll(v, "\x00", "|")
					// At the end of the text and far from it other code is at work.
					for _, tail := range []string{`}]}`, `}],"name":[{"family":"long enough to be far from the end of the text"}]}`} {
						text := `{"resourceType":"Patient","extension":[{"url":"urn:x","` + c.member + `":` + v + tail
						if res := parseText(p, text); res.Failed() != (k == 1) {
							t.Errorf("%.200s: %+v", text, res.Issues)
						}
					}
				}
			}
		})
	}
}

// TestEveryByteOfTimes changes each byte of valid dates and times to all others and
// compares with the regular expressions of R4 and with package time.
func TestEveryByteOfTimes(t *testing.T) {
	const (
		year = `([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)`
		day  = `-(0[1-9]|1[0-2])-(0[1-9]|[1-2][0-9]|3[0-1])`
		hour = `([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?`
		zone = `(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))`
	)
	p := parse.NewParser()
	for member, form := range map[string]string{
		"valueDate":     `^` + year + `(-(0[1-9]|1[0-2])|` + day + `)?$`,
		"valueDateTime": `^` + year + `(-(0[1-9]|1[0-2])|` + day + `(T` + hour + zone + `)?)?$`,
		"valueInstant":  `^` + year + day + `T` + hour + zone + `$`,
		"valueTime":     `^` + hour + `$`,
	} {
		re := regexp.MustCompile(form)
		for _, base := range []string{
			"2021", "2021-11", "2021-02-28", "2020-02-29", "2021-12-31", "1000-10-10", "23:59:60", "10:00:00.5",
			"2021-02-28T10:00:00Z", "2021-02-28T23:59:59.125+14:00", "2021-02-28T20:00:00-09:30",
		} {
			for i := range len(base) {
				for c := range 256 {
					v := base[:i] + string([]byte{byte(c)}) + base[i+1:]
					want := re.MatchString(v)
					if want && len(v) >= 10 && v[4] == '-' {
						_, err := time.Parse(time.DateOnly, v[:10])
						want = err == nil
					}
					for _, tail := range []string{`"}]}`, `"}],"name":[{"family":"long enough to be far from the end of the text"}]}`} {
						text := `{"resourceType":"Patient","extension":[{"url":"urn:x","` + member + `":"` + v + tail
						if res := parseText(p, text); res.Failed() == want {
							t.Fatalf("%q: %+v", text, res.Issues)
						}
					}
				}
			}
		}
	}
}

// TestEveryByteOfStrings puts every byte at every place of a string.
func TestEveryByteOfStrings(t *testing.T) {
	const base = "abcdefghijklmnopqrstuvwx"
	p := parse.NewParser()
	for member, form := range map[string]string{
		"valueString":       `^[ !#-\[\]-\x7f]*$`,
		"valueCode":         `^[!#-\[\]-\x7f]+( [!#-\[\]-\x7f]+)*$`,
		"valueUri":          `^[!#-\[\]-\x7f]*$`,
		"valueId":           `^[A-Za-z0-9.-]{1,64}$`,
		"valueBase64Binary": `^[A-Za-z0-9+/]+=?$`,
	} {
		re := regexp.MustCompile(form)
		for i := range len(base) {
			for c := range 256 {
				v := base[:i] + string([]byte{byte(c)}) + base[i+1:]
				for _, tail := range []string{`"}]}`, `"}],"name":[{"family":"long enough to be far from the end of the text"}]}`} {
					text := `{"resourceType":"Patient","extension":[{"url":"urn:x","` + member + `":"` + v + tail
					if c == '\\' || member == "valueBase64Binary" && c == ' ' {
						continue // an escape, or three digits are left of a group
					}
					if res := parseText(p, text); res.Failed() == re.MatchString(v) {
						t.Fatalf("%q: %+v", text, res.Issues)
					}
				}
			}
		}
	}
}

// TestUTF8 puts valid and invalid sequences into a string at each alignment.
func TestUTF8(t *testing.T) {
	p := parse.NewParser()
	for _, c := range []struct {
		text  string
		valid bool
	}{
		{"\xc3\xa9", true},
		{"\xe2\x82\xac", true},
		{"\xf0\x9f\x98\x80", true},
		{"\x7f", true},
		{"\u2028", true},
		{"\xc3\x28", false},
		{"\xff", false},
		{"\xed\xa0\x80", false},
		{"\xf0\x28\x8c\x28", false},
		{"\xc0\xaf", false},
		{"\xf4\x90\x80\x80", false},
		{"\xe2\x82", false},
		{"\x80", false},
		{"\x00", false},
		{"\x1f", false},
	} {
		for before := range 20 {
			for _, after := range []int{0, 1, 7, 40} {
				text := `{"resourceType":"Patient","name":[{"family":"` + strings.Repeat("a", before) + c.text + strings.Repeat("b", after) + `"}]}`
				res := parseText(p, text)
				if c.valid != (len(res.Issues) == 0) {
					t.Fatalf("%q: %+v", text, res.Issues)
				}
				if !c.valid && res.Issues[0].Column != int32(46+before) {
					t.Fatalf("%q: %+v", text, res.Issues)
				}
			}
		}
	}
}
