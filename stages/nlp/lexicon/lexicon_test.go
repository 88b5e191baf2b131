package lexicon

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// names returns every name of the term.
func (t Term) names() []string {
	return slices.Concat([]string{t.Preferred}, t.Synonyms, t.Abbreviations)
}

func TestCounts(t *testing.T) {
	got := map[string]int{}
	for _, m := range Terms() {
		if m.Type == TypeGeneric && m.Class {
			got["classes of drugs"]++
			continue
		}
		got[m.Type]++
	}
	got["abbreviations"] = len(Abbreviations())
	for kind, least := range map[string]int{
		TypeDiagnosis: 2500, TypeGeneric: 1500, TypeBrand: 1500, "classes of drugs": 80, TypeTest: 300,
		TypeProcedure: 250, TypeTreatment: 50, TypeSite: 500, "abbreviations": 400,
	} {
		if got[kind] < least {
			t.Errorf("%d of %s, want %d or more", got[kind], kind, least)
		}
	}
	t.Logf("%v", got)
}

func TestNoTwoTermsShareAName(t *testing.T) {
	seen := map[[2]string]string{}
	for _, m := range Terms() {
		for _, n := range m.names() {
			key := [2]string{m.Category, strings.ToLower(n)}
			if of, ok := seen[key]; ok {
				t.Errorf("%s: %q is a name of %q and of %q", m.Category, n, of, m.Preferred)
			}
			seen[key] = m.Preferred
		}
	}
}

func TestLetterCase(t *testing.T) {
	for _, m := range Terms() {
		if m.Type == TypeBrand {
			if m.Preferred == strings.ToLower(m.Preferred) && !strings.ContainsFunc(m.Preferred, unicode.IsDigit) {
				t.Errorf("brand %q, want it written as its maker does", m.Preferred)
			}
			continue
		}
		for _, n := range slices.Concat([]string{m.Preferred}, m.Synonyms) {
			if n != strings.ToLower(n) {
				t.Errorf("%s: %q, want lower case", m.Category, n)
			}
		}
		for _, n := range m.Abbreviations {
			if n == strings.ToLower(n) {
				t.Errorf("%s: abbreviation %q of %q has no capital: want a synonym", m.Category, n, m.Preferred)
			}
		}
	}
}

// everyday are words that mean a finding, a test or a part of the body only among
// their neighbours: alone they are no term.
var everyday = strings.Fields(`
	alcohol all an as at back band base be block body branch cast cell change cold cord culture cup cut
	depressed discharge does drug exposure fall falls fit fits flat focus form gas graft growth heat his hot
	if in infected is it labor lead lesion line mark mass may me mean media mental mole no node now of on
	or order pace part patch period pill positive pressure process rate record reduction
	resistance scale screen sense sensitive set shaking she short sign smoke so stage stress strip
	study syndrome tap temple test touch trial trunk us vessel was weak wing work`)

func TestEverydayWordsAreNoTerms(t *testing.T) {
	for _, m := range Terms() {
		for _, n := range slices.Concat([]string{m.Preferred}, m.Synonyms) {
			if slices.Contains(everyday, n) {
				t.Errorf("%s: %q alone, of %q, is an everyday word", m.Category, n, m.Preferred)
			}
		}
	}
}

func TestBrandsNameTheirGeneric(t *testing.T) {
	generics := map[string]bool{}
	for _, m := range Terms() {
		if m.Type == TypeGeneric {
			generics[m.Preferred] = true
		}
	}
	for _, m := range Terms() {
		if (m.Type == TypeBrand) != (m.Generic != "") || m.Generic != "" && !generics[m.Generic] {
			t.Errorf("%s %q with generic %q", m.Type, m.Preferred, m.Generic)
		}
	}
}

func TestAbbreviations(t *testing.T) {
	readings := map[string][]Abbreviation{}
	for _, a := range Abbreviations() {
		readings[a.Short] = append(readings[a.Short], a)
		if a.Short == strings.ToLower(a.Short) && !strings.ContainsAny(a.Short, "./") && !a.Ambiguous && len(a.Short) < 2 {
			t.Errorf("%q of one small letter, want it ambiguous", a.Short)
		}
	}
	for short, all := range readings {
		longs := map[string]bool{}
		for _, a := range all {
			if longs[a.Long] {
				t.Errorf("%q is %q twice", short, a.Long)
			}
			longs[a.Long] = true
			if len(all) > 1 && !a.Ambiguous {
				t.Errorf("%q has %d readings, want %q ambiguous", short, len(all), a.Long)
			}
		}
	}
}

// A short form without doubt means one term, in whichever file it stands.
func TestAbbreviationsAgreeWithTerms(t *testing.T) {
	byName := map[[2]string]string{}
	for _, m := range Terms() {
		for _, n := range m.names() {
			byName[[2]string{m.Category, n}] = m.Preferred
		}
	}
	for _, a := range Abbreviations() {
		if a.Ambiguous {
			continue
		}
		for _, category := range []string{CategoryCondition, CategoryMedication, CategoryTest, CategoryAnatomy, CategoryBehavior} {
			long, ok := byName[[2]string{category, a.Long}]
			if short, also := byName[[2]string{category, a.Short}]; ok && also && short != long {
				t.Errorf("%q is %q of %q, and an abbreviation of %q", a.Short, a.Long, long, short)
			}
		}
	}
}

func TestRead(t *testing.T) {
	conditions := tables[0]
	head := strings.Join(slices.Concat(baseColumns, conditions.columns), "\t") + "\n"
	row := func(f ...string) string { return head + strings.Join(f, "\t") + "\n" }
	for _, c := range []struct{ name, in, want string }{
		{"empty file", "", "conditions.tsv:1: no header"},
		{"wrong header", "code\tname\n", "conditions.tsv:1: header"},
		{"too few fields", row("", "", "gout"), "conditions.tsv:2: 3 fields, want 9: code system"},
		{"no preferred name", row("", "", "", "", "", CategoryCondition, TypeDiagnosis, KindSign, ""), "conditions.tsv:2: preferred is empty"},
		{"space around a name", row("", "", " gout", "", "", CategoryCondition, TypeDiagnosis, KindSign, ""), "has spaces around it"},
		{"empty synonym", row("", "", "gout", "a||b", "", CategoryCondition, TypeDiagnosis, KindSign, ""), `conditions.tsv:2: synonyms: name "" is empty`},
		{"unknown category", row("", "", "gout", "", "", "DISEASE", TypeDiagnosis, KindSign, ""), `category "DISEASE", want "MEDICAL_CONDITION"`},
		{"unknown type", row("", "", "gout", "", "", CategoryCondition, "DX", KindSign, ""), `type "DX", want one of DX_NAME`},
		{"unknown kind", row("", "", "gout", "", "", CategoryCondition, TypeDiagnosis, "", ""), `kind "", want DIAGNOSIS, SIGN or SYMPTOM`},
		{"code without system", row("M10.9", "", "gout", "", "", CategoryCondition, TypeDiagnosis, KindSign, "x"), `system "" of code M10.9`},
		{"system without code", row("", SystemICD10CM, "gout", "", "", CategoryCondition, TypeDiagnosis, KindSign, ""), `system "ICD-10-CM" without a code`},
		{"code without title", row("M10.9", SystemICD10CM, "gout", "", "", CategoryCondition, TypeDiagnosis, KindSign, ""), `code "M10.9" with title ""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := conditions.read(nil, strings.NewReader(c.in))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}

	in := row("M10.9", SystemICD10CM, "gout", "gouty arthritis|podagra", "", CategoryCondition, TypeDiagnosis, KindDiagnosis, "Gout, unspecified")
	got, err := conditions.read(nil, strings.NewReader(in))
	want := []Term{{
		Code: "M10.9", System: SystemICD10CM, Preferred: "gout", Synonyms: []string{"gouty arthritis", "podagra"},
		Category: CategoryCondition, Type: TypeDiagnosis, Kind: KindDiagnosis, Title: "Gout, unspecified",
	}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("error %v, terms (-want +got)\n%s", err, d)
	}

	drugs := tables[1]
	in = strings.Join(slices.Concat(baseColumns, drugs.columns), "\t") + "\n\t\tdigoxin\t\t\tMEDICATION\tGENERIC_NAME\tLanoxin|Digitek\tno\n"
	got, err = drugs.read(nil, strings.NewReader(in))
	want = []Term{
		{Preferred: "digoxin", Category: CategoryMedication, Type: TypeGeneric},
		{Preferred: "Lanoxin", Category: CategoryMedication, Type: TypeBrand, Generic: "digoxin"},
		{Preferred: "Digitek", Category: CategoryMedication, Type: TypeBrand, Generic: "digoxin"},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("a drug with two brands: error %v, terms (-want +got)\n%s", err, d)
	}
}

func TestReadAbbreviations(t *testing.T) {
	const head = "abbreviation\texpansion\tambiguous\n"
	for _, c := range []struct{ name, in, want string }{
		{"no expansion", head + "MS\t\tyes\n", `a.tsv:2: abbreviation "MS" with expansion ""`},
		{"neither yes nor no", head + "MS\tmitral stenosis\ty\n", `a.tsv:2: ambiguous: "y", want yes or no`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readAbbreviations("a.tsv", strings.NewReader(c.in))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
