package release_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology/release"
)

const order = `00001 A00     0 Cholera                                                      Cholera
00004 A009    1 Cholera, unspecified                                         Cholera, unspecified
19000 R05     1 Cough                                                        Cough
60000 V00     0 Pedestrian conveyance accident                               Pedestrian conveyance accident
`

const tabular = `<?xml version="1.0"?><ICD10CM.tabular><chapter><section><diag><name>A02</name><desc>Other salmonella infections</desc>
<diag><name>A02.0</name><desc>Salmonella enteritis</desc><inclusionTerm><note>Salmonellosis</note></inclusionTerm></diag></diag></section></chapter></ICD10CM.tabular>`

const drugs = `<?xml version="1.0"?><ICD10CM.index><indexHeading><head col="1">Substance</head></indexHeading><letter><title>A</title>
<mainTerm><title>Aspirin<nemod>(aluminum) (soluble)</nemod></title><cell col="2">T39.011</cell></mainTerm>
<mainTerm><title>Acetaminophen, paracetamol NEC</title><cell col="2">T39.1X1</cell></mainTerm></letter></ICD10CM.index>`

const neoplasms = `<?xml version="1.0"?><ICD10CM.index><indexHeading><head col="1">Neoplasm</head></indexHeading><letter><title>N</title>
<mainTerm><title>Neoplasm</title><term level="1"><title>lung</title><cell col="2">C34.9-</cell><cell col="3">C78.0-</cell></term>
<term level="1"><title>prostate</title><cell col="2">C61</cell></term></mainTerm></letter></ICD10CM.index>`

const index = `<?xml version="1.0"?><ICD10CM.index><letter><title>P</title><mainTerm><title>Pain<nemod>(see also Painful)</nemod></title><code>R52</code>
<term level="1"><title>abdominal</title><code>R10.9</code></term><term level="1"><title>due to trauma</title><code>G89.11</code></term></mainTerm></letter></ICD10CM.index>`

const obo = `format-version: 1.2

[Term]
id: DOID:1
name: hypertension
synonym: "high blood \"pressure\"" EXACT [x]
synonym: "vascular disease" BROAD []
xref: ICD10CM:I10
xref: SNOMEDCT_US_2016_03_01:38341003
xref: MESH:D006973

[Term]
id: DOID:2
name: gone
is_obsolete: true

[Typedef]
id: part_of
name: part of
`

const tsv = "system\tcode\tterm\ttype\tcategory\nRxNorm\t1191\taspirin\tGENERIC_NAME\tMEDICATION\n\t\tECG\tTEST_NAME\tTEST_TREATMENT_PROCEDURE\n"

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, text, format string
		want               []string
	}{
		{"order file", order, "icd10cm-order", []string{
			"ICD-10-CM A00 Cholera DIAGNOSIS", "ICD-10-CM A00.9 Cholera, unspecified DIAGNOSIS", "ICD-10-CM A00.9 Cholera DIAGNOSIS",
			"ICD-10-CM R05 Cough SYMPTOM",
		}},
		{"tabular list", tabular, "icd10cm-tabular", []string{
			"ICD-10-CM A02 Other salmonella infections DIAGNOSIS", "ICD-10-CM A02.0 Salmonella enteritis DIAGNOSIS",
			"ICD-10-CM A02.0 Salmonellosis DIAGNOSIS",
		}},
		{"table of drugs", drugs, "icd10cm-index", []string{"Aspirin", "Acetaminophen", "paracetamol"}},
		{"table of neoplasms", neoplasms, "icd10cm-index", []string{
			"ICD-10-CM C61 malignant neoplasm of prostate DIAGNOSIS", "ICD-10-CM C61 malignant neoplasm of the prostate DIAGNOSIS",
			"ICD-10-CM C61 prostate cancer DIAGNOSIS", "ICD-10-CM C61 cancer of the prostate DIAGNOSIS", "ICD-10-CM C61 cancer of prostate DIAGNOSIS",
			"ICD-10-CM C61 prostate carcinoma DIAGNOSIS", "ICD-10-CM C61 carcinoma of the prostate DIAGNOSIS",
		}},
		{"alphabetic index", index, "icd10cm-index", []string{
			"ICD-10-CM R52 Pain SYMPTOM", "ICD-10-CM R10.9 abdominal Pain SYMPTOM", "ICD-10-CM G89.11 Pain due to trauma DIAGNOSIS",
		}},
		{"ontology", obo, "obo", []string{
			"DOID DOID:1 hypertension DIAGNOSIS", "ICD-10-CM I10 hypertension DIAGNOSIS", "SNOMED CT 38341003 hypertension DIAGNOSIS",
			`DOID DOID:1 high blood "pressure" DIAGNOSIS`, `ICD-10-CM I10 high blood "pressure" DIAGNOSIS`, `SNOMED CT 38341003 high blood "pressure" DIAGNOSIS`,
		}},
		{"table of one's own", tsv, "tsv", []string{"RxNorm 1191 aspirin", "ECG"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			format, err := release.Read(strings.NewReader(c.text), func(m terminology.Term) {
				got = append(got, strings.TrimSpace(strings.Join([]string{m.System.String(), m.Code, m.Text, m.Kind.String()}, " ")))
			})
			if err != nil || format != c.format {
				t.Fatalf("format %q, error %v; want %q", format, err, c.format)
			}
			for i := range got {
				got[i] = strings.Join(strings.Fields(got[i]), " ")
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestReadFaults(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing known", "hello", "unknown format"},
		{"short line", order + "1 A\n", "line 5: 3 bytes"},
		{"broken XML", tabular[:len(tabular)-40] + "</x>", "line 2"},
		{"open quote", "format-version: 1.2\n[Term]\nsynonym: \"x\n", "line 3: synonym"},
		{"unknown category", "term\tcategory\nx\tFOO\n", `line 2: unknown category "FOO"`},
		{"row without a term", "term\tcategory\n\tMEDICATION\n", "line 2: no term"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := release.Read(strings.NewReader(c.text), func(terminology.Term) {})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}
