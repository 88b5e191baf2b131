package nlp

import (
	"embed"
	"fmt"
	"strings"

	"github.com/fhirlake/fhirlake/stages/nlp/phrase"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/token"
)

// kind is what phrases of the rule tables do, a bit each: a phrase may do several things.
type kind uint64

const (
	negPre kind = 1 << iota
	negPost
	negPseudo
	stop
	lowPre
	lowPost
	hypPre
	hypPost
	histPre
	histPost
	histPseudo
	family
	familyPost
	self
	report
	section
	unit
	form
	route
	frequency
	every
	period
	acuity
	quality
	direction
	value
	timeWord
	ago
	forWord
	month
	title
	idWord
	phoneWord
	ageWord
	yearsOld
	copula
	negRaise
	substance
	habit
	cue
	consumption
	quit
	abstains
	count
	number
	often
)

var kindNames = map[string]kind{
	"neg-pre": negPre, "neg-post": negPost, "neg-both": negPre | negPost, "neg-pseudo": negPseudo, "stop": stop, "low-pre": lowPre,
	"low-post": lowPost, "hyp-pre": hypPre, "hyp-post": hypPost, "hist-pre": histPre, "hist-post": histPost, "hist-pseudo": histPseudo,
	"family": family, "family-post": familyPost, "self": self, "report": report, "section": section, "unit": unit, "form": form,
	"route": route, "frequency": frequency, "every": every, "period": period, "acuity": acuity, "quality": quality, "direction": direction,
	"value": value, "time": timeWord, "ago": ago, "for": forWord, "month": month, "title": title, "id": idWord, "phone": phoneWord, "age": ageWord,
	"years-old": yearsOld, "copula": stop | copula, "neg-raise": negRaise,
	"substance": substance, "habit": habit, "cue": cue, "consumption": consumption, "quit": quit, "abstains": abstains, "count": count,
	"number": number, "often": often,
}

// context are the kinds that a sentence keeps for its entities.
const context = negPre | negRaise | negPost | negPseudo | stop | lowPre | lowPost | hypPre | hypPost | histPre | histPost | histPseudo | family | familyPost | self | report

// argument tells the phrases of one kind apart.
type argument uint8

const (
	noArgument argument = iota
	sectionFamily
	sectionPast
	sectionAllergies
	sectionMedications
	sectionPlan
	sectionAssessment
	sectionSocial
	sectionOther
	unitMass
	unitVolume
	unitRate
	unitTest
	habitAlcohol
	habitTobacco
	habitDrugs
	habitStreet  // drugs that are no medication, whatever the dictionary says
	habitAnyDrug // "drugs": of medications too
)

var argumentNames = map[string]argument{
	"": noArgument, "family": sectionFamily, "past": sectionPast, "allergies": sectionAllergies, "medications": sectionMedications,
	"plan": sectionPlan, "assessment": sectionAssessment, "other": sectionOther, "mass": unitMass, "volume": unitVolume,
	"rate": unitRate, "test": unitTest, "social": sectionSocial,
	"alcohol": habitAlcohol, "tobacco": habitTobacco, "drugs": habitDrugs, "street-drug": habitStreet, "any-drug": habitAnyDrug,
}

type rule struct {
	kind     kind
	argument argument
}

// ruleSet is all phrases of the tables; the value of a phrase is its place in rules.
type ruleSet struct {
	set   *phrase.Set
	rules []rule
}

//go:embed rules/*.tsv
var ruleFiles embed.FS

// rows calls fn with the fields of each line of a table, without header and comments.
func rows(name string, fn func(f []string)) {
	b, err := ruleFiles.ReadFile("rules/" + name)
	if err != nil {
		panic(fmt.Sprintf("nlp: %v", err))
	}
	first := true
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\n")
		if first || line == "" || line[0] == '#' {
			first = false
			continue
		}
		f := strings.Split(line, "\t")
		for len(f) < 4 {
			f = append(f, "")
		}
		fn(f)
	}
}

var language = func() *ruleSet {
	s := &ruleSet{rules: make([]rule, 1)}
	seen := map[string]uint32{}
	var list []phrase.Phrase
	for _, name := range []string{"context.tsv", "sections.tsv", "attributes.tsv", "behavior.tsv"} {
		rows(name, func(f []string) {
			k, okKind := kindNames[f[1]]
			a, okArgument := argumentNames[f[2]]
			if !okKind || !okArgument {
				panic(fmt.Sprintf("nlp: rules/%s: %q: unknown kind %q or argument %q", name, f[0], f[1], f[2]))
			}
			words := phrase.Words(nil, token.Append(nil, []byte(f[0])))
			key := fmt.Sprint(words)
			if at, ok := seen[key]; ok {
				s.rules[at].kind |= k
				if s.rules[at].argument == noArgument {
					s.rules[at].argument = a
				}
				return
			}
			seen[key] = uint32(len(s.rules))
			list = append(list, phrase.Phrase{Words: words, Value: uint32(len(s.rules))})
			s.rules = append(s.rules, rule{k, a})
		})
	}
	s.set = phrase.Build(list, nil)
	return s
}()

// A suffix is a rule of word formation.
type suffix struct {
	text     string
	category terminology.Category
	kind     terminology.Kind
	not      map[string]bool
}

// suffixes are by their last three letters, see suffixKey.
var suffixes = func() (table [1 << 15][]suffix) {
	rows("suffixes.tsv", func(f []string) {
		c, ok1 := terminology.ParseCategory(f[1])
		k, ok2 := terminology.ParseKind(strings.TrimPrefix(f[2], "-"))
		if !ok1 || !ok2 {
			panic(fmt.Sprintf("nlp: rules/suffixes.tsv: %q", f))
		}
		s := suffix{text: f[0], category: c, kind: k, not: map[string]bool{}}
		for _, w := range strings.Fields(f[3]) {
			s.not[w] = true
		}
		key := suffixKey([]byte(f[0]))
		table[key] = append(table[key], s)
	})
	return table
}()

func suffixKey(w []byte) int {
	n := len(w)
	return int(w[n-1]&31)<<10 | int(w[n-2]&31)<<5 | int(w[n-3]&31)
}

// minStem is how many letters have to go before a suffix.
const minStem = 3

// maxFormed is the longest word that is looked at for its formation.
const maxFormed = 40

// formed tells what a word is by its ending.
func formed(word []byte) *suffix {
	n := len(word)
	if n < 6 || n > maxFormed {
		return nil
	}
	var buf [maxFormed]byte
	w := buf[:n]
	for i, b := range word {
		if b >= 'A' && b <= 'Z' {
			b |= 0x20
		}
		if b < 'a' || b > 'z' {
			return nil
		}
		w[i] = b
	}
	for try := 0; try < 2; try++ {
		list := suffixes[suffixKey(w)]
		for i := range list {
			s := &list[i]
			if len(w) >= len(s.text)+minStem && string(w[len(w)-len(s.text):]) == s.text && !s.not[string(w)] {
				return s
			}
		}
		if w[len(w)-1] != 's' || len(w) < 7 {
			return nil
		}
		w = w[:len(w)-1]
	}
	return nil
}
