package fhirpath

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"
)

var (
	stringResult  = system(KindString)
	booleanResult = system(KindBoolean)
	integerResult = system(KindInteger)
)

// textFunctions are those of strings (N1, 5.6, and FHIRPath 2.0 ballot).
var textFunctions = map[string]function{
	"length": textFunction(0, 0, integerResult, func(_ *Evaluator, _ *expr, s []byte, _ [3]Value) (Value, bool) {
		return Integer(int64(utf8.RuneCount(s))), true
	}),
	"upper": textFunction(0, 0, stringResult, func(ev *Evaluator, _ *expr, s []byte, _ [3]Value) (Value, bool) {
		return ev.madeString(bytes.ToUpper(s))
	}),
	"lower": textFunction(0, 0, stringResult, func(ev *Evaluator, _ *expr, s []byte, _ [3]Value) (Value, bool) {
		return ev.madeString(bytes.ToLower(s))
	}),
	"trim": textFunction(0, 0, stringResult, func(ev *Evaluator, _ *expr, s []byte, _ [3]Value) (Value, bool) {
		return ev.newString(bytes.TrimSpace(s)), true
	}),
	"startsWith": textTest(bytes.HasPrefix),
	"endsWith":   textTest(bytes.HasSuffix),
	"contains":   textTest(bytes.Contains),
	"indexOf":    textIndex(bytes.Index),
	"lastIndexOf": textIndex(func(s, part []byte) int {
		return bytes.LastIndex(s, part)
	}),
	"substring": textFunction(1, 2, stringResult, substring),
	"replace": textFunction(2, 2, stringResult, func(ev *Evaluator, e *expr, s []byte, args [3]Value) (Value, bool) {
		old, ok := ev.needText(e, args[0])
		with, ok2 := ev.needText(e, args[1])
		if !ok || !ok2 {
			return Value{}, false
		}
		if !ev.claim(len(s) + bytes.Count(s, old)*(len(with)-len(old))) {
			return Value{}, false
		}
		return ev.newString(bytes.ReplaceAll(s, old, with)), true
	}),
	"matches":        {1, 2, buildMatches(false)},
	"matchesFull":    {1, 2, buildMatches(true)},
	"replaceMatches": textFunction(2, 3, stringResult, replaceMatches),
	"toChars":        {0, 0, buildPieces(func(s, _ []byte) iter.Seq[[]byte] { return bytes.SplitSeq(s, nil) })},
	"split": {1, 1, buildPieces(func(s, sep []byte) iter.Seq[[]byte] {
		if len(sep) == 0 {
			return slices.Values([][]byte{s})
		}
		return bytes.SplitSeq(s, sep)
	})},
	"join":     {0, 1, buildJoin},
	"encode":   textFunction(1, 1, stringResult, codec(encode)),
	"decode":   textFunction(1, 1, stringResult, codec(decode)),
	"escape":   textFunction(1, 1, stringResult, codec(escape)),
	"unescape": textFunction(1, 1, stringResult, codec(unescape)),
}

func textTest(test func(s, part []byte) bool) function {
	return textFunction(1, 1, booleanResult, func(ev *Evaluator, e *expr, s []byte, args [3]Value) (Value, bool) {
		part, ok := ev.needText(e, args[0])
		return Boolean(ok && test(s, part)), ok
	})
}

// textIndex counts in characters, as all of FHIRPath does.
func textIndex(index func(s, part []byte) int) function {
	return textFunction(1, 1, integerResult, func(ev *Evaluator, e *expr, s []byte, args [3]Value) (Value, bool) {
		part, ok := ev.needText(e, args[0])
		if !ok {
			return Value{}, false
		}
		i := index(s, part)
		if i > 0 {
			i = utf8.RuneCount(s[:i])
		}
		return Integer(int64(i)), true
	})
}

func substring(ev *Evaluator, e *expr, s []byte, args [3]Value) (Value, bool) {
	start, ok := ev.needInteger(e, args[0])
	if !ok || start < 0 {
		return Value{}, false
	}
	length := int64(len(s))
	if len(e.Args) == 2 {
		if length, ok = ev.needInteger(e, args[1]); !ok {
			return Value{}, false
		}
	}
	from := characters(s, start)
	if from == len(s) {
		return Value{}, false
	}
	rest := s[from:]
	return ev.newString(rest[:characters(rest, max(length, 0))]), true
}

// characters gives the bytes that the first n characters take.
func characters(s []byte, n int64) int {
	i := 0
	for ; n > 0 && i < len(s); n-- {
		_, size := utf8.DecodeRune(s[i:])
		i += size
	}
	return i
}

// buildPieces makes toChars and split.
func buildPieces(cut func(s, sep []byte) iter.Seq[[]byte]) func(c *compiler, e *expr, input *plan) *plan {
	return func(c *compiler, e *expr, input *plan) *plan {
		c.wantText(e, input)
		var sep *plan
		if len(e.Args) == 1 {
			sep = c.scoped(e.Args[0])
		}
		return fromItems(e, static{types: stringResult.types, many: true}, func() func(ev *Evaluator) {
			get := input.get()
			separator := func(ev *Evaluator) (Value, bool) { return Value{}, true }
			if sep != nil {
				separator = sep.get()
			}
			return func(ev *Evaluator) {
				v, ok := get(ev)
				if !ok || ev.err != nil {
					return
				}
				w, ok := separator(ev)
				if !ok || ev.err != nil {
					return
				}
				s, ok := ev.needText(e, v)
				if !ok {
					return
				}
				var by []byte
				if w.kind != KindNone {
					if by, ok = ev.needText(e, w); !ok {
						return
					}
				}
				for piece := range cut(s, by) {
					if !ev.push(e, ev.newString(piece)) {
						return
					}
				}
			}
		})
	}
}

// buildJoin: the texts one after the other, with a separator between.
func buildJoin(c *compiler, e *expr, input *plan) *plan {
	var sep *plan
	if len(e.Args) == 1 {
		sep = c.scoped(e.Args[0])
	}
	return fromGetter(e, stringResult, func() getter {
		gather := input.gather()
		separator := func(ev *Evaluator) (Value, bool) { return Value{}, false }
		if sep != nil {
			separator = sep.get()
		}
		return func(ev *Evaluator) (Value, bool) {
			from := gather(ev)
			w, _ := separator(ev)
			defer func() { ev.items = ev.items[:from] }()
			if ev.err != nil || len(ev.items) == from {
				return Value{}, false
			}
			var joined []byte
			first := true
			for _, v := range ev.items[from:] {
				s, ok := ev.stringOf(v)
				if !ok && v.systemKind() == KindString {
					continue // extensions only
				}
				if !ok {
					ev.fail(e, "join cannot take %s; expected Strings", v.TypeName())
					return Value{}, false
				}
				if !ev.claim(len(s) + w.textSize()) {
					return Value{}, false
				}
				if !first {
					joined = w.AppendString(joined)
				}
				first = false
				joined = append(joined, s...)
			}
			return ev.newString(joined), true
		}
	})
}

// codec makes encode and its kin; what is no valid code gives empty.
func codec(f func(s []byte, format string) ([]byte, bool)) func(ev *Evaluator, e *expr, s []byte, args [3]Value) (Value, bool) {
	return func(ev *Evaluator, e *expr, s []byte, args [3]Value) (Value, bool) {
		format, ok := ev.needText(e, args[0])
		if !ok {
			return Value{}, false
		}
		out, ok := f(s, string(format))
		if !ok {
			return Value{}, false
		}
		return ev.madeString(out)
	}
}

func encode(s []byte, format string) ([]byte, bool) {
	switch format {
	case "base64":
		return base64.StdEncoding.AppendEncode(nil, s), true
	case "urlbase64":
		return base64.URLEncoding.AppendEncode(nil, s), true
	case "hex":
		return hex.AppendEncode(nil, s), true
	}
	return nil, false
}

func decode(s []byte, format string) (out []byte, ok bool) {
	var err error
	switch format {
	case "base64":
		out, err = base64.StdEncoding.AppendDecode(nil, s)
	case "urlbase64":
		out, err = base64.URLEncoding.AppendDecode(nil, s)
	case "hex":
		out, err = hex.AppendDecode(nil, s)
	default:
		return nil, false
	}
	return out, err == nil && utf8.Valid(out)
}

func escape(s []byte, format string) ([]byte, bool) {
	switch format {
	case "html":
		return []byte(htmlEscaper.Replace(string(s))), true
	case "json":
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if enc.Encode(string(s)) != nil {
			return nil, false
		}
		quoted := bytes.TrimSpace(b.Bytes())
		return quoted[1 : len(quoted)-1], true
	}
	return nil, false
}

var htmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")

func unescape(s []byte, format string) ([]byte, bool) {
	switch format {
	case "html":
		return []byte(html.UnescapeString(string(s))), true
	case "json":
		var out string
		if json.Unmarshal(append(append([]byte{'"'}, s...), '"'), &out) != nil {
			// A text whose quotes were never escaped is taken as it is.
			if bytes.IndexByte(s, '\\') < 0 {
				return s, true
			}
			return nil, false
		}
		return []byte(out), true
	}
	return nil, false
}
