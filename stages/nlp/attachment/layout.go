package attachment

// layout writes text as it would stand on a page: runs of white space are one
// space, and what separates lines, cells and items is written only once
// something follows it. What has to be written is kept as counts.
type layout struct {
	out    []byte
	pre    int  // open elements whose lines stay as they are
	breaks int  // line ends before what comes next
	tabs   int  // cells that ended since
	space  bool // white space before what comes next
	bullet bool // what comes next is the first of an item
	fresh  bool // nothing stands yet in the cell or the item
	row    rowState
}

// rowState tells where in a table the text is.
type rowState uint8

const (
	noRow    rowState = iota // in none: cells mean nothing
	emptyRow                 // in a row where nothing stands yet
	inRow
)

// What bytes of text are.
const (
	charOther = iota
	charSpace
	charLead // the first byte of U+00A0 and U+00AD
	charNone
)

var charOf = func() (c [256]byte) {
	for _, b := range []byte(" \t\n\f\r\v") {
		c[b] = charSpace
	}
	c[0] = charNone
	c[0xc2] = charLead
	return c
}()

// add writes text.
func (l *layout) add(s []byte) {
	if l.pre > 0 {
		l.addLines(s)
		return
	}
	for i := 0; i < len(s); {
		switch charOf[s[i]] {
		case charSpace:
			l.space = true
			i++
			continue
		case charNone:
			i++
			continue
		case charLead:
			if n := l.special(s[i:]); n > 0 {
				i += n
				continue
			}
		}
		begin := i
		for i++; i < len(s) && charOf[s[i]] == charOther; i++ {
		}
		l.begin()
		l.out = append(l.out, s[begin:i]...)
	}
}

// special takes a character that is not written as it is, and gives its length.
func (l *layout) special(s []byte) int {
	if len(s) > 1 {
		switch s[1] {
		case 0xa0: // a no-break space; alone on a line it makes the line
			if l.breaks > 0 {
				l.begin()
			}
			l.space = true
			return 2
		case 0xad: // a soft hyphen, which is not seen
			return 2
		}
	}
	return 0
}

// addLines writes text whose lines stay as they are.
func (l *layout) addLines(s []byte) {
	for i := 0; i < len(s); {
		switch s[i] {
		case 0:
			i++
			continue
		case '\n', '\r':
			if s[i] == '\r' && i+1 < len(s) && s[i+1] == '\n' {
				i++
			}
			l.lineEnd()
			i++
			continue
		case 0xc2:
			if len(s) > i+1 && s[i+1] == 0xad {
				i += 2
				continue
			}
		}
		begin := i
		for i++; i < len(s) && s[i] != '\n' && s[i] != '\r' && s[i] != 0 && s[i] != 0xc2; i++ {
		}
		l.begin()
		l.out = append(l.out, s[begin:i]...)
	}
}

// begin writes what has to stand before the text that comes next.
func (l *layout) begin() {
	switch {
	case len(l.out) == 0:
	case l.breaks > 0:
		for ; l.breaks > 0; l.breaks-- {
			l.out = append(l.out, '\n')
		}
	case l.tabs > 0:
		for ; l.tabs > 0; l.tabs-- {
			l.out = append(l.out, '\t')
		}
	case l.space:
		l.out = append(l.out, ' ')
	}
	if l.bullet {
		l.out = append(l.out, "- "...)
	}
	l.breaks, l.tabs = 0, 0
	l.space, l.bullet, l.fresh = false, false, false
	if l.row == emptyRow {
		l.row = inRow
	}
}

// breakLine lets what comes next stand on a new line, n line ends after what is
// there. The first block of a cell or an item begins beside its tab or bullet.
func (l *layout) breakLine(n int) {
	l.space = false
	if len(l.out) > 0 && !l.fresh {
		l.breaks = max(l.breaks, n)
	}
}

// lineEnd ends the line, be it empty or not.
func (l *layout) lineEnd() {
	l.space = false
	if len(l.out) > 0 {
		l.breaks++
	}
}

func (l *layout) beginItem() {
	l.bullet, l.fresh = true, true
}

func (l *layout) endItem() {
	l.bullet, l.fresh = false, false
}

// endRow ends a row, if there is one, and what comes next is in state.
func (l *layout) endRow(state rowState) {
	l.fresh, l.tabs = false, 0
	l.breakLine(1)
	l.row = state
}

// beginCell separates a cell from the one before it. Blocks that the last one
// ended with do not move it to another line.
func (l *layout) beginCell() {
	switch l.row {
	case noRow:
		return
	case inRow:
		l.breaks = 0
		l.tabs++
	}
	l.fresh, l.space = true, false
}
