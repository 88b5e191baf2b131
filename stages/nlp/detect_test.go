package nlp_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/stages/nlp"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// small is a dictionary of a few terms, so that tests of rules do not depend on the lexicon.
var small = func() *terminology.Index {
	var terms []terminology.Term
	add := func(c terminology.Category, t terminology.Type, k terminology.Kind, names ...string) {
		for _, n := range names {
			terms = append(terms, terminology.Term{Text: n, Category: c, Type: t, Kind: k, Reviewed: true, Exact: n == strings.ToUpper(n)})
		}
	}
	add(terminology.MedicalCondition, terminology.DXName, terminology.Diagnosis,
		"pneumonia", "heart failure", "diabetes", "breast cancer", "lung cancer", "asthma", "fracture", "myocardial infarction", "MS", "Sjögren's syndrome", "stroke")
	add(terminology.MedicalCondition, terminology.DXName, terminology.Symptom, "fever", "cough", "chest pain", "nausea", "chills")
	add(terminology.Medication, terminology.GenericName, terminology.NoKind, "lisinopril", "amoxicillin", "heparin", "penicillin")
	add(terminology.TestTreatmentProcedure, terminology.TestName, terminology.NoKind, "hemoglobin", "blood pressure", "glucose")
	add(terminology.TestTreatmentProcedure, terminology.ProcedureName, terminology.NoKind, "colonoscopy")
	add(terminology.Anatomy, terminology.SystemOrganSite, terminology.NoKind, "knee", "femur", "lung")
	terms = append(terms, terminology.Term{
		System: terminology.ICD10CM, Code: "J18.9", Preferred: "Pneumonia, unspecified organism", Text: "pneumonia",
		Category: terminology.MedicalCondition, Type: terminology.DXName,
	})
	return terminology.Compile(terms)
}()

// show writes each entity as text(TYPE traits; attributes), leaving out DIAGNOSIS and SYMPTOM.
func show(doc *nlp.Document) string {
	var out []string
	names := []struct {
		t nlp.Traits
		s string
	}{
		{nlp.Negation, "neg"},
		{nlp.PastHistory, "past"},
		{nlp.PertainsToFamily, "family"},
		{nlp.Hypothetical, "hyp"},
		{nlp.LowConfidence, "low"},
		{nlp.Future, "future"},
	}
	for i := range doc.Entities {
		e := &doc.Entities[i]
		s := string(doc.Bytes(e)) + "("
		if e.Type != terminology.DXName {
			s += e.Type.String()
		}
		for _, n := range names {
			if e.Traits.Has(n.t) {
				s += " " + n.s
			}
		}
		for _, a := range doc.AttributesOf(e) {
			s += "; " + a.Type.String() + " " + string(doc.Text[a.ByteBegin:a.ByteEnd])
		}
		out = append(out, strings.Replace(s, "( ", "(", 1)+")")
	}
	return strings.Join(out, ", ")
}

func TestDetect(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"denied list", "No fever, cough, or chest pain.", "fever(neg), cough(neg), chest pain(neg)"},
		{"denial ends at a contrast", "Denies fever but has a cough.", "fever(neg), cough()"},
		{"denial ends at the sentence", "No fever. Cough since Monday.", "fever(neg), Cough()"},
		{"denied opinion", "I do not believe that he is having a stroke.", "stroke(neg)"},
		{"denied after it", "Pneumonia was ruled out; heart failure is present.", "Pneumonia(neg), heart failure()"},
		{"not excluded is not denied", "Pneumonia cannot be excluded.", "Pneumonia()"},
		{"no increase is not denied", "No increase in cough.", "cough()"},
		{"test that is negative", "Glucose negative.", "Glucose(TEST_NAME; TEST_VALUE negative)"},
		{"suspected", "Possible pneumonia.", "pneumonia(low)"},
		{"to be ruled out is possible", "Rule out pneumonia.", "pneumonia(low)"},
		{"if", "Return if fever or chills occur.", "fever(hyp), chills(hyp)"},
		{"history", "History of stroke, status post colonoscopy.", "stroke(past), colonoscopy(PROCEDURE_NAME past)"},
		{"history in a sentence", "Man with PMH of stroke and asthma.", "stroke(past), asthma(past)"},
		{"year of a procedure is no value", "Colonoscopy 2015", "Colonoscopy(PROCEDURE_NAME)"},
		{"units are a dose", "heparin 5,000 units SC q12h", "heparin(GENERIC_NAME; DOSAGE 5,000 units; ROUTE_OR_MODE SC; FREQUENCY q12h)"},
		{"history of present illness is not past", "History of present illness: cough.", "cough()"},
		{"relative", "Mother had breast cancer; he has asthma.", "breast cancer(family), asthma()"},
		{"relative who tells", "Mother reports fever.", "fever()"},
		{"relative after it", "Breast cancer in her sister.", "Breast cancer(family)"},
		{"section of the family", "FAMILY HISTORY:\nDiabetes, stroke.\n\nEXAM: cough", "Diabetes(family), stroke(family), cough()"},
		{"section of the past", "Past Medical History:\n- asthma\n- diabetes\n\nPLAN: colonoscopy", "asthma(past), diabetes(past), colonoscopy(PROCEDURE_NAME future)"},
		{"allergies are not taken", "ALLERGIES: penicillin", "penicillin(GENERIC_NAME hyp)"},
		{"unknown heading ends a section", "FAMILY HISTORY: stroke\nCHEST CT: pneumonia", "stroke(family), pneumonia()"},
		{
			"prescription", "Lisinopril 10 mg tablet by mouth daily for 30 days.",
			"Lisinopril(GENERIC_NAME; STRENGTH 10 mg; FORM tablet; ROUTE_OR_MODE by mouth; FREQUENCY daily; DURATION for 30 days), for 30 days(TIME_TO_MEDICATION_NAME)",
		},
		{"glued unit and interval", "amoxicillin 500mg PO q8h x7 days", "amoxicillin(GENERIC_NAME; STRENGTH 500mg; ROUTE_OR_MODE PO; FREQUENCY q8h; DURATION x7 days)"},
		{"dose before it", "2 tablets of lisinopril 3 times a day", "lisinopril(GENERIC_NAME; DOSAGE 2; FORM tablets; FREQUENCY 3 times a day)"},
		{"rate", "IV heparin 1,200 units/hr", "heparin(GENERIC_NAME; ROUTE_OR_MODE IV; RATE 1,200 units/hr)"},
		{"attributes belong to the nearest", "lisinopril 5 mg and amoxicillin 250 mg", "lisinopril(GENERIC_NAME; STRENGTH 5 mg), amoxicillin(GENERIC_NAME; STRENGTH 250 mg)"},
		{"value and unit", "Hemoglobin was 9.5 g/dL, blood pressure 120/80 mmHg", "Hemoglobin(TEST_NAME; TEST_VALUE 9.5; TEST_UNIT g/dL), blood pressure(TEST_NAME; TEST_VALUE 120/80; TEST_UNIT mmHg)"},
		{"acuity and site", "Acute fracture of the left femur", "fracture(; ACUITY Acute; SYSTEM_ORGAN_SITE femur), femur(SYSTEM_ORGAN_SITE; DIRECTION left)"},
		{"short form of the document", "Myocardial infarction (MI) in 2019. Another MI later. Mi casa.", "Myocardial infarction(), MI(), MI()"},
		{"short form only in capitals", "Ms. Smith has MS.", "Smith(NAME), MS()"},
		{"capitals tell nothing in a sentence of them", "THE MS WAS NOT SEEN TODAY", "TODAY(TIME_TO_DX_NAME)"},
		{"accents", "Sjogren syndrome", "Sjogren syndrome()"},
		{"coordinated", "Breast and lung cancer, asthma and lung cancer", "Breast and lung cancer(), asthma(), lung cancer()"},
		{"inherited", "Familial breast cancer; familial asthma", "Familial breast cancer(), familial asthma()"},
		{"deficiency of something", "acyl-CoA deficiency, the deficiency", "acyl-CoA deficiency()"},
		{"known by formation", "Severe polyserositis and flimbazepam, no diagnosis.", "polyserositis(; QUALITY Severe), flimbazepam(GENERIC_NAME)"},
		{
			"personal data", "45-year-old seen by Dr. Jane Q. Doe on 03/14/2020. MRN: 12345678, phone (555) 123-4567, jane.doe@example.org",
			"45(AGE), Jane Q. Doe(NAME), 03/14/2020(DATE), 12345678(ID), (555) 123-4567(PHONE_OR_FAX), jane.doe@example.org(EMAIL)",
		},
		{"dates", "January 5, 2020; 2020-01-05; 5 Jan 2020; may 5", "January 5, 2020(DATE), 2020-01-05(DATE), 5 Jan 2020(DATE)"},
		{"times", "Cough 3 days ago, fever for 2 weeks, nausea yesterday", "Cough(), 3 days ago(TIME_TO_DX_NAME), fever(), for 2 weeks(TIME_TO_DX_NAME), nausea(), yesterday(TIME_TO_DX_NAME)"},
		{"nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, show(nlp.NewDetector(small).Detect([]byte(c.text)))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestGivenMentions(t *testing.T) {
	for _, c := range []struct {
		name, text string
		mentions   []string
		want       string
	}{
		{"in their order, then the others", "No rash, no fever, but cough.", []string{"cough", "RASH"}, `cough 23 28 [] rash 3 7 [NEGATION] fever 12 17 [NEGATION SYMPTOM]`},
		{"spaces differ", "no change  in vision", []string{"change in vision"}, `change  in vision 3 20 [NEGATION]`},
		{"a whole word before a part of one", "minor cough", []string{"MI", "or cough", "cough"}, `mi 0 2 [] or cough 3 11 [] cough 6 11 [SYMPTOM]`},
		{"not there", "cough", []string{"gout"}, `gout null null [] cough 0 5 [SYMPTOM]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := []byte(c.text)
			doc := nlp.NewDetector(small).DetectWith(text, nlp.Locate(text, c.mentions))
			var got []string
			for _, e := range decode(t, doc.AppendJSON(nil, c.mentions)).Entities {
				var traits []string
				for _, r := range e.Traits {
					if r.Name != "SYMPTOM" || e.Text == "fever" || len(e.Traits) == 1 && c.name != "in their order, then the others" {
						traits = append(traits, r.Name)
					}
				}
				got = append(got, fmt.Sprint(e.Text, " ", number(e.BeginOffset), " ", number(e.EndOffset), " ", traits))
			}
			if d := cmp.Diff(c.want, strings.Join(got, " ")); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestConcepts(t *testing.T) {
	doc := nlp.NewDetector(small).Detect([]byte("Pneumonia"))
	r := decode(t, doc.AppendJSON(nil, nil))
	if len(r.Entities) != 1 || len(r.Entities[0].ICD10CM) != 1 || r.Entities[0].ICD10CM[0].Code != "J18.9" ||
		r.Entities[0].ICD10CM[0].Description != "Pneumonia, unspecified organism" {
		t.Errorf("%+v", r)
	}
}

// check holds the invariants of a result: offsets in code points are those of the
// text, for entities and attributes; entities are in order.
func check(t *testing.T, doc *nlp.Document) {
	t.Helper()
	runes := []rune(string(doc.Text)) // a byte that is not UTF-8 is one rune
	last := 0
	span := func(begin, end, byteBegin, byteEnd int) {
		if begin < 0 || end <= begin || end > len(runes) {
			t.Fatalf("[%d,%d) of %d code points", begin, end, len(runes))
		}
		want := []rune(string(doc.Text[byteBegin:byteEnd]))
		if string(runes[begin:end]) != string(want) {
			t.Fatalf("[%d,%d) is %q, want %q", begin, end, string(runes[begin:end]), string(want))
		}
	}
	for i := range doc.Entities {
		e := &doc.Entities[i]
		span(e.Begin, e.End, e.ByteBegin, e.ByteEnd)
		if e.Begin < last {
			t.Fatalf("entity at %d after one at %d", e.Begin, last)
		}
		last = e.Begin
		if e.Score <= 0 || e.Score > 1 || e.Category == terminology.NoCategory || e.Type == terminology.NoType {
			t.Fatalf("%+v", e)
		}
		for _, a := range doc.AttributesOf(e) {
			span(a.Begin, a.End, a.ByteBegin, a.ByteEnd)
		}
	}
}

var samples = []string{
	"No fever — Sjögren’s syndrome, “chest pain”; 体温 38.5 °C. Lisinopril 10 mg täglich.",
	"FAMILY HISTORY:\r\n\tMother: breast cancer (BC).\r\n\r\nBC again, é\xff\xfe no BC.",
	"amoxicillin 500mg q8h x7 days\u2028glucose 5.5 mmol/L 🙂 3 days ago",
	"Dr. Åsa Öberg, 45 y/o, MRN: ÅÄ12345, https://example.org/é, a@b.c",
	strings.Repeat("no ", 600) + "fever",
	strings.Repeat("(", 300) + strings.Repeat("a.", 300),
}

func TestDrugsWithTheirStrength(t *testing.T) {
	med := func(code, text string, typ terminology.Type, dosed bool) terminology.Term {
		return terminology.Term{
			System: terminology.RxNorm, Code: code, Preferred: text, Text: text, Dosed: dosed, Category: terminology.Medication, Type: typ,
		}
	}
	d := nlp.NewDetector(terminology.Compile([]terminology.Term{
		med("1", "glorpamide", terminology.GenericName, false), med("2", "Glorpex", terminology.BrandName, false), med("1", "Glorpex", terminology.BrandName, false),
		med("10", "glorpamide 5 MG Oral Tablet", terminology.GenericName, true), med("20", "Glorpex 5 MG Oral Tablet", terminology.BrandName, true),
		med("30", "unknownol 5 MG Oral Tablet", terminology.GenericName, true),
	}))
	for _, c := range []struct{ text, want string }{
		{"Takes glorpamide 5 mg oral tablet daily.", "glorpamide(GENERIC_NAME; STRENGTH 5 mg; ROUTE_OR_MODE oral; FORM tablet; FREQUENCY daily) 10:0.92 1:0.85"},
		{"Takes Glorpex 5mg oral tablets.", "Glorpex(BRAND_NAME; STRENGTH 5mg; ROUTE_OR_MODE oral; FORM tablets) 20:0.92 1:0.85 2:0.77"},
		{"Takes glorpamide 10 mg oral tablet.", "glorpamide(GENERIC_NAME; STRENGTH 10 mg; ROUTE_OR_MODE oral; FORM tablet) 1:0.92"},
		{"Takes unknownol 5 mg oral tablet.", "unknownol 5 mg oral tablet(GENERIC_NAME) 30:0.97"},
	} {
		t.Run(c.text, func(t *testing.T) {
			doc := d.Detect([]byte(c.text))
			got := show(doc)
			for i := range doc.Entities {
				doc.Concepts(&doc.Entities[i], terminology.RxNorm, func(c terminology.Concept, score float32) { got += fmt.Sprintf(" %s:%.2f", c.Code, score) })
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOffsets(t *testing.T) {
	d := nlp.NewDetector(small)
	for _, s := range samples {
		doc := d.Detect([]byte(s))
		check(t, doc)
		if !utf8.ValidString(s) {
			continue
		}
		for _, e := range decode(t, doc.AppendJSON(nil, nil)).Entities {
			if got := string([]rune(s)[*e.BeginOffset:*e.EndOffset]); got != e.Text {
				t.Errorf("text %q, at its offsets %q", e.Text, got)
			}
		}
	}
}

func TestDetectorIsUsedAgain(t *testing.T) {
	used := nlp.NewDetector(small)
	for range 2 {
		for _, s := range samples {
			fresh := nlp.NewDetector(small).Detect([]byte(s)).AppendJSON(nil, nil)
			if again := used.Detect([]byte(s)).AppendJSON(nil, nil); !bytes.Equal(fresh, again) {
				t.Errorf("a detector that was used gives %s, a fresh one %s", again, fresh)
			}
		}
	}
}

func TestDetectDoesNotAllocate(t *testing.T) {
	d := nlp.NewDetector(small)
	text := []byte(strings.Repeat("Denies fever. Myocardial infarction (MI) 3 days ago; lisinopril 10 mg daily, Hemoglobin 9 g/dL – 37 °C. MI. ", 20))
	d.Detect(text)
	if n := testing.AllocsPerRun(10, func() { d.Detect(text) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func FuzzDetect(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s), "fever")
	}
	f.Add([]byte("p\x05ӗ"), "\xd3") // a byte of a character
	f.Fuzz(func(t *testing.T, text []byte, mention string) {
		d := nlp.NewDetector(small)
		check(t, d.Detect(text))
		doc := d.DetectWith(text, nlp.Locate(text, []string{mention}))
		check(t, doc)
		decode(t, doc.AppendJSON(nil, []string{mention}))
	})
}
