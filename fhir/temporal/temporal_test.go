package temporal_test

import (
	"testing"
	"time"

	"github.com/fhirlake/fhirlake/fhir/columnar"
	"github.com/fhirlake/fhirlake/fhir/decimal"
	"github.com/fhirlake/fhirlake/fhir/temporal"
)

// value reads a FHIRPath literal without its @: a T before all else makes a time,
// one inside or at the end a DateTime.
func value(t testing.TB, literal string) temporal.Value {
	t.Helper()
	kind, text := temporal.Date, literal
	if literal[0] == 'T' {
		kind, text = temporal.Time, literal[1:]
	} else {
		for _, c := range literal {
			if c == 'T' {
				kind = temporal.DateTime
			}
		}
	}
	v, ok := temporal.Parse(kind, []byte(text))
	if !ok {
		t.Fatalf("%q is not read", literal)
	}
	return v
}

func show(v temporal.Value, ok bool) string {
	if !ok {
		return "none"
	}
	return v.String()
}

func number(t testing.TB, text string) decimal.Decimal {
	t.Helper()
	d, ok := decimal.Parse([]byte(text))
	if !ok {
		t.Fatalf("%q is no decimal", text)
	}
	return d
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		kind      temporal.Kind
		text      string
		want      string // "" as the text, "none" not read
		precision temporal.Precision
		digits    int
	}{
		{temporal.Date, "2014", "", temporal.Year, 4},
		{temporal.Date, "2014-02", "", temporal.Month, 6},
		{temporal.Date, "2012-02-29", "", temporal.Day, 8},
		{temporal.Date, "2000-02-29", "", temporal.Day, 8},
		{temporal.Date, "1900-02-29", "none", 0, 0},
		{temporal.Date, "2014-02-30", "none", 0, 0},
		{temporal.Date, "2014-13", "none", 0, 0},
		{temporal.Date, "2014-00", "none", 0, 0},
		{temporal.Date, "2014-01-00", "none", 0, 0},
		{temporal.Date, "0000", "none", 0, 0},
		{temporal.Date, "2014-1", "none", 0, 0},
		{temporal.Date, "2014-", "none", 0, 0},
		{temporal.Date, "2014-01-", "none", 0, 0},
		{temporal.Date, "2014-01-01T", "none", 0, 0},
		{temporal.Date, "201", "none", 0, 0},
		{temporal.Date, "", "none", 0, 0},
		{temporal.DateTime, "2014", "", temporal.Year, 4},
		{temporal.DateTime, "2014T", "2014", temporal.Year, 4},
		{temporal.DateTime, "2014-01T", "2014-01", temporal.Month, 6},
		{temporal.DateTime, "2014-01-25T", "2014-01-25", temporal.Day, 8},
		{temporal.DateTime, "2014-01-25T14", "", temporal.Hour, 10},
		{temporal.DateTime, "2014-01-25T14:30", "", temporal.Minute, 12},
		{temporal.DateTime, "2014-01-25T14:30Z", "", temporal.Minute, 12},
		{temporal.DateTime, "2014-01-25T14:30:14", "", temporal.Second, 14},
		{temporal.DateTime, "2014-01-25T14:30:14.5", "", temporal.Millisecond, 17},
		{temporal.DateTime, "2014-01-25T14:30:14.559+14:00", "", temporal.Millisecond, 17},
		{temporal.DateTime, "2014-01-25T14:30:14.000100-09:30", "", temporal.Millisecond, 17},
		{temporal.DateTime, "2014-01-25T14:30:14.1234567890123456789Z", "2014-01-25T14:30:14.123456789012345678Z", temporal.Millisecond, 17},
		{temporal.DateTime, "2014-01-25T14:30:60Z", "", temporal.Second, 14},
		{temporal.DateTime, "2014-01-25T14:30:61Z", "none", 0, 0},
		{temporal.DateTime, "2014-01-25T14:60:00Z", "none", 0, 0},
		{temporal.DateTime, "2014-01-25T24:00:00Z", "none", 0, 0},
		{temporal.DateTime, "2014-01-25T14:30:14.Z", "none", 0, 0},
		{temporal.DateTime, "2014-01-25T14:30:14+14:01", "none", 0, 0},
		{temporal.DateTime, "2014-01-25T14:30:14+01:60", "none", 0, 0},
		{temporal.DateTime, "2014-01-25T14:30:14 01:00", "none", 0, 0},
		{temporal.DateTime, "2014-01-25T14:30:14z", "none", 0, 0},
		{temporal.DateTime, "2014-01-25Z", "none", 0, 0},
		{temporal.DateTime, "2014-01-25TZ", "none", 0, 0},
		{temporal.DateTime, "2014T10:00", "none", 0, 0},
		{temporal.DateTime, "2014-01-25 14:30", "none", 0, 0},
		{temporal.Time, "14", "", temporal.Hour, 2},
		{temporal.Time, "14:30", "", temporal.Minute, 4},
		{temporal.Time, "14:30:00", "", temporal.Second, 6},
		{temporal.Time, "14:30:00.25", "", temporal.Millisecond, 9},
		{temporal.Time, "14:30Z", "none", 0, 0},
		{temporal.Time, "24:00", "none", 0, 0},
		{temporal.Time, "1:00", "none", 0, 0},
		{0, "2014", "none", 0, 0},
	} {
		v, ok := temporal.Parse(c.kind, []byte(c.text))
		if c.want == "" {
			c.want = c.text
		}
		if got := show(v, ok); got != c.want {
			t.Errorf("%s reads as %s, want %s", c.text, got, c.want)
		}
		if ok && (v.Precision() != c.precision || v.Digits() != c.digits) {
			t.Errorf("%s has precision %d and %d digits", c.text, v.Precision(), v.Digits())
		}
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct{ a, want, b string }{
		{"2014-12-12", "<", "2014-12-13"},
		{"2014-12-12", "=", "2014-12-12"},
		{"2014", "<", "2015-01-01"},
		{"2018-03", "?", "2018-03-01"},
		{"2018", "?", "2018-12"},
		{"2018-02-28", "<", "2018-03"},
		{"2018-03-01T10:30", "?", "2018-03-01T10:30:00"},
		{"2018-03-01T10:29", "<", "2018-03-01T10:30:00"},
		{"2018-03-01T10:30:00", "=", "2018-03-01T10:30:00.0"},
		{"2018-03-01T10:30:00", "<", "2018-03-01T10:30:00.1"},
		{"2018-03-01T10:30:00.10", "=", "2018-03-01T10:30:00.1"},
		{"T10:30", "?", "T10:30:00"},
		{"T10:30:00", "=", "T10:30:00.0"},
		{"T12:00:00", "<", "T14:00:00"},
		{"T12", "<", "T14:00:00"},
		{"2012-04-15", "?", "2012-04-15T10:00:00"},
		{"2012-04-15", "<", "2012-04-16T10:00:00"},
		{"2012-04-15T15:00:00Z", "?", "2012-04-15T10:00:00"},
		{"2012-04-15T15:00:00Z", "?", "2012-04-15T15:00:00"},
		{"2012-04-15T15:00:00+02:00", "=", "2012-04-15T16:00:00+03:00"},
		{"2017-11-05T01:30:00.0-04:00", "<", "2017-11-05T01:15:00.0-05:00"},
		{"2017-11-05T01:30:00.0-04:00", "=", "2017-11-05T00:30:00.0-05:00"},
		{"2012-04-15T00:00:00+14:00", "<", "2012-04-15T00:00:00Z"},
		{"1974-12-25", "?", "1974-12-25T12:34:00-10:00"},
		{"1974-12-25", "<", "2024-01-01T00:00:00Z"},
		{"1974-12-25", "?", "1974-12-26T11:59:59Z"},
		{"1974-12-25", "<", "1974-12-26T12:00:00Z"},
		{"1974-12-24T10:00:00Z", "?", "1974-12-25T"},
		{"1974-12-24T09:59:59Z", "<", "1974-12-25T"},
		{"1974-12-25T12:00:00Z", "?", "1974-12-26T02:00:00"},
		{"1974-12-25T11:59:59Z", "<", "1974-12-26T02:00:00"},
		{"2016-12-31T23:59:60Z", "<", "2017-01-01T00:00:01Z"},
	} {
		checkOrder(t, value(t, c.a), c.want, value(t, c.b))
		switch c.want {
		case "<":
			checkOrder(t, value(t, c.b), ">", value(t, c.a))
		default:
			checkOrder(t, value(t, c.b), c.want, value(t, c.a))
		}
	}
}

func checkOrder(t *testing.T, a temporal.Value, want string, b temporal.Value) {
	t.Helper()
	order, known := temporal.Compare(a, b)
	got := "?"
	if known {
		got = map[int]string{-1: "<", 0: "=", 1: ">"}[order]
	}
	equal, knownEqual := temporal.Equal(a, b)
	if got != want || knownEqual != known || equal != (want == "=") || temporal.Equivalent(a, b) != equal {
		t.Errorf("%v %s %v: Compare says %s, Equal %t %t, want %s", a, want, b, got, equal, knownEqual, want)
	}
}

func TestTimeIsNeverADate(t *testing.T) {
	a, b := value(t, "1974-12-25"), value(t, "T12:14")
	if equal, known := temporal.Equal(a, b); equal || !known {
		t.Errorf("a date equals a time: %t, known %t", equal, known)
	}
	if _, known := temporal.Compare(a, b); known {
		t.Error("a date and a time have no order")
	}
}

func TestAdd(t *testing.T) {
	for _, c := range []struct{ value, amount, unit, want string }{
		{"1973-12-25", "7", "days", "1974-01-01"},
		{"1973-12-25", "7.7", "days", "1974-01-01"},
		{"1973-12-25", "1", "week", "1974-01-01"},
		{"1973-12-25", "1", "month", "1974-01-25"},
		{"1973-12-25", "1", "year", "1974-12-25"},
		{"1974-12-25", "-1", "month", "1974-11-25"},
		{"1974-01-25", "-1", "month", "1973-12-25"},
		{"2020-01-31", "1", "month", "2020-02-29"},
		{"2019-01-31", "13", "months", "2020-02-29"},
		{"2020-02-29", "1", "year", "2021-02-28"},
		{"2020-03-01", "-1", "day", "2020-02-29"},
		{"2014", "24", "months", "2016"},
		{"2014", "23", "months", "2015"},
		{"2014", "-23", "months", "2013"},
		{"2016", "365", "days", "2017"},
		{"2016", "360", "days", "2016"},
		{"2016", "53", "weeks", "2017"},
		{"2014T", "8760", "hours", "2015"},
		{"2014-01", "59", "days", "2014-02"},
		{"2014-01-25T", "25", "hours", "2014-01-26"},
		{"2014-01-25T23", "61", "minutes", "2014-01-26T00"},
		{"2014-01-25T23:59", "119.9", "seconds", "2014-01-26T00:00"},
		{"2014-01-25T23:59", "60000", "milliseconds", "2014-01-26T00:00"},
		{"2014-01-25T10:00:00", "1.5", "hours", "2014-01-25T11:00:00"},
		{"1973-12-25T00:00:00.000+10:00", "7", "days", "1974-01-01T00:00:00.000+10:00"},
		{"1973-12-25T00:00:00.000+10:00", "1", "second", "1973-12-25T00:00:01.000+10:00"},
		{"1973-12-25T00:00:00.000+10:00", "10", "millisecond", "1973-12-25T00:00:00.010+10:00"},
		{"1973-12-25T00:00:00.000+10:00", "0.1", "seconds", "1973-12-25T00:00:00.100+10:00"},
		{"1973-12-25T00:00:00.000Z", "-0.001", "seconds", "1973-12-24T23:59:59.999Z"},
		{"1973-12-25T00:00:00.9Z", "150", "milliseconds", "1973-12-25T00:00:01.050Z"},
		{"1973-12-25T00:00:00.9Z", "100", "milliseconds", "1973-12-25T00:00:01.0Z"},
		{"1973-12-25T00:00:00", "1.9", "seconds", "1973-12-25T00:00:01"},
		{"1973-12-25T00:00:00", "-999", "milliseconds", "1973-12-25T00:00:00"},
		{"2016-12-31T23:59:60Z", "1", "second", "2017-01-01T00:00:01Z"},
		{"T23:00", "2", "hours", "01:00"},
		{"T01:00", "-2", "hours", "23:00"},
		{"T23", "50", "hours", "01"},
		{"T10:30:00", "1e15", "seconds", "12:16:40"},
		{"9999-12-31", "1", "day", "none"},
		{"9999", "1", "year", "none"},
		{"0001", "-1", "year", "none"},
		{"0001-01-01", "-1", "day", "none"},
		{"2014-01-01", "1e18", "weeks", "none"},
		{"2014-01-01T00:00:00", "1e18", "seconds", "none"},
		{"2014-01-01", "1e300", "days", "none"},
		{"2014-01-01", "-9e18", "months", "none"},
		{"2014-01-01", "1", "hour", "none"},
		{"T10:00", "1", "day", "none"},
	} {
		unit, ok := temporal.UnitByName(c.unit)
		if !ok {
			t.Fatalf("no unit %s", c.unit)
		}
		if got := show(value(t, c.value).Add(number(t, c.amount), unit)); got != c.want {
			t.Errorf("%s + %s %s = %s, want %s", c.value, c.amount, c.unit, got, c.want)
		}
	}
}

func TestUnits(t *testing.T) {
	for u := temporal.Years; u <= temporal.Milliseconds; u++ {
		if got, ok := temporal.UnitByName(u.String()); !ok || got != u {
			t.Errorf("%s is unit %d, want %d", u, got, u)
		}
	}
	for _, code := range []string{"a", "mo", "cm", ""} {
		if u, ok := temporal.UnitByUCUM(code); ok {
			t.Errorf("'%s' is %s, want none", code, u)
		}
	}
	for code, want := range map[string]temporal.Unit{
		"wk": temporal.Weeks, "d": temporal.Days, "h": temporal.Hours,
		"min": temporal.Minutes, "s": temporal.Seconds, "ms": temporal.Milliseconds,
	} {
		if u, ok := temporal.UnitByUCUM(code); !ok || u != want {
			t.Errorf("'%s' is %s, want %s", code, u, want)
		}
	}
}

func TestBoundaries(t *testing.T) {
	for _, c := range []struct {
		value     string
		digits    int // 0 for the greatest
		low, high string
	}{
		{"2014", 6, "2014-01", "2014-12"},
		{"2014", 4, "2014", "2014"},
		{"1970-06", 0, "1970-06-01", "1970-06-30"},
		{"2012", 8, "2012-01-01", "2012-12-31"},
		{"2012-02", 8, "2012-02-01", "2012-02-29"},
		{"2014-01-01T08", 0, "2014-01-01T08:00:00.000+14:00", "2014-01-01T08:00:59.999-12:00"},
		{"2014-01-01T08:05+08:00", 17, "2014-01-01T08:05:00.000+08:00", "2014-01-01T08:05:59.999+08:00"},
		{"2014-01-01T08:05-05:00", 17, "2014-01-01T08:05:00.000-05:00", "2014-01-01T08:05:59.999-05:00"},
		{"2014-01-01T08", 8, "2014-01-01", "2014-01-01"},
		{"2010-10-10T", 0, "2010-10-10T00:00:00.000+14:00", "2010-10-10T23:59:59.999-12:00"},
		{"2010-10-10T10:10:10.5Z", 0, "2010-10-10T10:10:10.500Z", "2010-10-10T10:10:10.599Z"},
		{"2010-10-10T10:10:10.123456Z", 0, "2010-10-10T10:10:10.123456Z", "2010-10-10T10:10:10.123456Z"},
		{"2010-10-10T10:10:10.5Z", 14, "2010-10-10T10:10:10Z", "2010-10-10T10:10:10Z"},
		{"2010-10-10T10:10:10.5Z", 12, "2010-10-10T10:10Z", "2010-10-10T10:10Z"},
		{"2010-10-10T10:10:10.5Z", 10, "2010-10-10T10Z", "2010-10-10T10Z"},
		{"2010-10-10T10:10:10.5Z", 6, "2010-10", "2010-10"},
		{"2010-10-10T10:10:10.5Z", 4, "2010", "2010"},
		{"T10:30:10.5", 2, "10", "10"},
		{"T10:30", 9, "10:30:00.000", "10:30:59.999"},
		{"T12:34:00", 0, "12:34:00.000", "12:34:00.999"},
		{"T12", 4, "12:00", "12:59"},
		{"2014", 5, "none", "none"},
		{"2014", 10, "none", "none"},
		{"2014-01-01T08", 18, "none", "none"},
		{"T12", 8, "none", "none"},
	} {
		v := value(t, c.value)
		if c.digits == 0 {
			c.digits = v.BoundaryDigits()
		}
		if got := show(v.LowBoundary(c.digits)); got != c.low {
			t.Errorf("low boundary of %s at %d is %s, want %s", v, c.digits, got, c.low)
		}
		if got := show(v.HighBoundary(c.digits)); got != c.high {
			t.Errorf("high boundary of %s at %d is %s, want %s", v, c.digits, got, c.high)
		}
	}
}

func TestConversions(t *testing.T) {
	if got := show(value(t, "2014-01").ToDateTime()); got != "2014-01" {
		t.Errorf("the DateTime of 2014-01 is %s", got)
	}
	d, ok := value(t, "2014-01-25T14:30:14.559+02:00").ToDate()
	if !ok || d != value(t, "2014-01-25") {
		t.Errorf("the date is %s %t", d, ok)
	}
	if _, ok := value(t, "T12").ToDate(); ok {
		t.Error("a time has no date")
	}
	if _, ok := value(t, "T12").ToDateTime(); ok {
		t.Error("a time has no DateTime")
	}
	at := time.Date(2024, 2, 29, 23, 5, 6, 7_800_000, time.FixedZone("", -3600))
	for kind, want := range map[temporal.Kind]string{
		temporal.Date:     "2024-02-29",
		temporal.DateTime: "2024-02-29T23:05:06.007-01:00",
		temporal.Time:     "23:05:06.007",
	} {
		if got := temporal.FromTime(at, kind).String(); got != want {
			t.Errorf("kind %d of the time is %s, want %s", kind, got, want)
		}
	}
	if got := temporal.FromTime(at.UTC(), temporal.DateTime); got.String() != "2024-03-01T00:05:06.007Z" {
		t.Errorf("in UTC it is %s", got)
	}
	if got := temporal.FromTime(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), temporal.Date); got != (temporal.Value{}) {
		t.Errorf("year 10000 gives %s", got)
	}
	if got := value(t, "2024-02-29T23:05:06.007-01:00").Time(); !got.Equal(at.Truncate(time.Millisecond)) {
		t.Errorf("the time is %s", got)
	}
}

func TestAccessors(t *testing.T) {
	v := value(t, "2014-01-25T14:30:15.5599-02:30")
	got := []int{v.Year(), v.Month(), v.Day(), v.Hour(), v.Minute(), v.Second(), v.Millisecond(), v.Offset()}
	for i, want := range []int{2014, 1, 25, 14, 30, 15, 559, -150} {
		if got[i] != want {
			t.Errorf("component %d is %d, want %d", i, got[i], want)
		}
	}
	if !v.HasZone() || v.Kind() != temporal.DateTime {
		t.Errorf("%s has zone %t and kind %d", v, v.HasZone(), v.Kind())
	}
}

func TestEveryDayFollowsTheOneBefore(t *testing.T) {
	one := decimal.FromInt(1)
	v := value(t, "0001-01-01")
	at := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	for v.Year() < 9999 || v.Month() < 12 || v.Day() < 31 {
		if !v.Time().Equal(at) {
			t.Fatalf("%s, want %s", v, at)
		}
		var ok bool
		if v, ok = v.Add(one, temporal.Days); !ok {
			t.Fatalf("no day after %s", v)
		}
		at = at.AddDate(0, 0, 1)
	}
}

func TestNothingAllocates(t *testing.T) {
	text := []byte("2014-01-25T14:30:14.559+02:00")
	other := value(t, "2014-01-25T14:30")
	seven := decimal.FromInt(7)
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		v, _ := temporal.Parse(temporal.DateTime, text)
		temporal.Compare(v, other)
		v.Bounds()
		v, _ = v.Add(seven, temporal.Seconds)
		v, _ = v.LowBoundary(17)
		buf = v.Append(buf[:0])
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"2014", "2014-02", "2012-02-29", "2014T", "2014-01-25T14", "2014-01-25T14:30:14.559+02:00",
		"2014-01-25T14:30:60Z", "14", "14:30:00.25", "9999-12-31T23:59:59-14:00", "2014-01-25T14:30-00:00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, kind := range []temporal.Kind{temporal.Date, temporal.DateTime, temporal.Time} {
			v, ok := temporal.Parse(kind, text)
			if !ok {
				continue
			}
			again, ok := temporal.Parse(kind, v.Append(nil))
			if !ok || again != v {
				t.Errorf("%s reads as %s", text, v)
			}
			if !temporal.Equivalent(v, v) {
				t.Errorf("%s is not itself", v)
			}
			low, _ := v.LowBoundary(v.BoundaryDigits())
			high, _ := v.HighBoundary(v.BoundaryDigits())
			if c, known := temporal.Compare(low, high); !known || c > 0 {
				t.Errorf("the boundaries of %s are %s and %s", v, low, high)
			}
			if kind != temporal.Time && (v.Precision() <= temporal.Day || v.Precision() >= temporal.Minute) {
				start, end := v.Bounds()
				if s, e, ok := columnar.Span(v.Append(nil)); !ok || s != start || e != end {
					t.Errorf("the bounds of %s are %d and %d, columnar says %d and %d", v, start, end, s, e)
				}
			}
		}
	})
}

func FuzzAdd(f *testing.F) {
	f.Add("2014-01-25T14:30:14.559+02:00", "-1.5", uint8(temporal.Seconds))
	f.Add("2012-02-29", "4", uint8(temporal.Years))
	f.Fuzz(func(t *testing.T, text, amount string, unit uint8) {
		d, ok := decimal.Parse([]byte(amount))
		if !ok {
			return
		}
		for _, kind := range []temporal.Kind{temporal.Date, temporal.DateTime, temporal.Time} {
			v, ok := temporal.Parse(kind, []byte(text))
			if !ok {
				continue
			}
			sum, ok := v.Add(d, temporal.Unit(unit))
			if !ok {
				continue
			}
			if again, ok := temporal.Parse(kind, sum.Append(nil)); !ok || again != sum || sum.Precision() != v.Precision() {
				t.Errorf("%s + %s %s is %s", v, d, temporal.Unit(unit), sum)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	text := []byte("2014-01-25T14:30:14.559+02:00")
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := temporal.Parse(temporal.DateTime, text); !ok {
			b.Fatal("not read")
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	x, y := value(b, "2014-01-25T14:30:14.559+02:00"), value(b, "2014-01-25T14:30:14.560+02:00")
	b.ReportAllocs()
	for b.Loop() {
		temporal.Compare(x, y)
	}
}
