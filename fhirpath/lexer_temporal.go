package fhirpath

import "time"

// temporal reads a literal that begins with @: a date, a time when T follows at
// once, a date and time when T follows the date (N1, 4.1.5 to 4.1.7).
func (l *lexer) temporal() (token, *Error) {
	start := l.at
	l.at++
	if l.peek(0) == 'T' {
		l.at++
		text := l.at
		if err := l.clock(); err != nil {
			return token{}, err
		}
		if l.peek(0) == 'Z' || l.offsetAhead() {
			return token{}, errorAt(l.source, l.at, l.at+1, "a time has no time zone; only a date with a time has one")
		}
		return l.endTemporal(l.token(tokTime, start, l.source[text:l.at]))
	}
	whole, err := l.date()
	if err != nil {
		return token{}, err
	}
	if l.peek(0) != 'T' {
		return l.endTemporal(l.token(tokDate, start, l.source[start+1:l.at]))
	}
	l.at++
	if isDigit(l.peek(0)) {
		if !whole {
			return token{}, errorAt(l.source, start, l.at, "a time after a date without its day; expected @YYYY-MM-DDT")
		}
		if err := l.clock(); err != nil {
			return token{}, err
		}
		if err := l.zone(); err != nil {
			return token{}, err
		}
	}
	return l.endTemporal(l.token(tokDateTime, start, l.source[start+1:l.at]))
}

// endTemporal refuses a literal that runs on into other characters.
func (l *lexer) endTemporal(t token) (token, *Error) {
	c := l.peek(0)
	if isNameByte(c) || c == ':' {
		kind := map[tokenKind]string{tokDate: "date", tokDateTime: "date and time", tokTime: "time"}[t.kind]
		return token{}, errorAt(l.source, l.at, l.at+1, "unexpected %q after a %s", c, kind)
	}
	return t, nil
}

// date reads YYYY, YYYY-MM or YYYY-MM-DD; whole tells that it has the day.
func (l *lexer) date() (whole bool, err *Error) {
	start := l.at
	year, err := l.field(4, 1, 9999, "the year of a date")
	if err != nil || !l.dashed() {
		return false, err
	}
	month, err := l.field(2, 1, 12, "the month of a date")
	if err != nil || !l.dashed() {
		return false, err
	}
	days := time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
	if _, err = l.field(2, 1, days, "the day of "+l.source[start:l.at-1]); err != nil {
		return false, err
	}
	return true, nil
}

// dashed takes a dash that a digit follows: the dash of @2014-x is an operator.
func (l *lexer) dashed() bool {
	if l.peek(0) == '-' && isDigit(l.peek(1)) {
		l.at++
		return true
	}
	return false
}

// clock reads HH, HH:MM, HH:MM:SS or HH:MM:SS.fff.
func (l *lexer) clock() *Error {
	for i, what := range [...]string{"the hour of a time", "the minute of a time", "the second of a time"} {
		if i > 0 {
			if l.peek(0) != ':' {
				return nil
			}
			l.at++
		}
		most := 59
		if i == 0 {
			most = 23
		}
		if _, err := l.field(2, 0, most, what); err != nil {
			return err
		}
	}
	if l.peek(0) == '.' && isDigit(l.peek(1)) {
		l.at++
		l.at += countWhile(l.source[l.at:], isDigit)
	}
	return nil
}

// zone reads a time zone when there is one: Z, +HH:MM or -HH:MM, at most 14 hours.
func (l *lexer) zone() *Error {
	if l.peek(0) == 'Z' {
		l.at++
		return nil
	}
	if !l.offsetAhead() {
		return nil
	}
	start := l.at
	l.at++
	hours, err := l.field(2, 0, 14, "the hour of a time zone")
	if err != nil {
		return err
	}
	l.at++
	minutes, err := l.field(2, 0, 59, "the minute of a time zone")
	if err != nil {
		return err
	}
	if hours == 14 && minutes > 0 {
		return errorAt(l.source, start, l.at, "a time zone of more than 14 hours")
	}
	return nil
}

// offsetAhead tells a time zone from an addition: @2014-01-01T10+1 'h'.
func (l *lexer) offsetAhead() bool {
	return (l.peek(0) == '+' || l.peek(0) == '-') && isDigit(l.peek(1)) && isDigit(l.peek(2)) && l.peek(3) == ':'
}

// field reads a number of so many digits that lies between least and most.
func (l *lexer) field(digits, least, most int, what string) (int, *Error) {
	start, n := l.at, countWhile(l.source[l.at:], isDigit)
	if n != digits {
		end := min(start+max(n, 1), len(l.source))
		return 0, errorAt(l.source, start, end, "expected %d digits for %s, found %d", digits, what, n)
	}
	l.at += n
	v := 0
	for _, c := range []byte(l.source[start:l.at]) {
		v = v*10 + int(c-'0')
	}
	if v < least || v > most {
		return 0, errorAt(l.source, start, l.at, "%s is %s; expected %0*d to %0*d", what, l.source[start:l.at], digits, least, digits, most)
	}
	return v, nil
}
