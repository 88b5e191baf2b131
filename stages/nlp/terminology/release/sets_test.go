package release_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology/release"
)

// The rows below are invented. They have the shape of the formats, and no content of a
// release.

// conso is a line of RXNCONSO.RRF or MRCONSO.RRF.
func conso(cui, lat, sab, tty, code, str, suppress string) string {
	return strings.Join([]string{cui, lat, "P", "L1", "PF", "S1", "Y", "A1", "", "", "", sab, tty, code, str, "0", suppress, "", "\n"}, "|")
}

// rel is a line of RXNREL.RRF: the second is a rela of the first.
func rel(first, rela, second string) string {
	return strings.Join([]string{first, "", "CUI", "RO", second, "", "CUI", rela, "R1", "", "RXNORM", "RXNORM", "", "", "", "", "\n"}, "|")
}

func rf2(rows ...string) string {
	var b strings.Builder
	for _, r := range rows {
		b.WriteString(strings.ReplaceAll(r, " | ", "\t") + "\r\n")
	}
	return b.String()
}

var rxnorm = map[string]string{
	"rrf/RXNCONSO.RRF": conso("10", "ENG", "RXNORM", "IN", "10", "glorpamide", "N") +
		conso("20", "ENG", "RXNORM", "BN", "20", "Glorpex", "N") +
		conso("11", "ENG", "RXNORM", "PIN", "11", "glorpamide sodium", "N") +
		conso("30", "ENG", "RXNORM", "SCD", "30", "glorpamide 5 MG Oral Tablet", "N") +
		conso("30", "ENG", "RXNORM", "SY", "30", "glorpamide 5 MG tab", "N") +
		conso("31", "ENG", "RXNORM", "SBD", "31", "glorpamide 5 MG Oral Tablet [Glorpex]", "N") +
		conso("31", "ENG", "RXNORM", "PSN", "31", "Glorpex 5 MG Oral Tablet", "N") +
		conso("32", "ENG", "RXNORM", "SCD", "32", "12 HR glorpamide 5 MG Oral Tablet", "N") +
		conso("10", "ENG", "RXNORM", "SY", "10", "glorp amide", "N") +
		conso("10", "ENG", "MTHSPL", "SU", "ABC", "GLORPAMIDE", "N") +
		conso("40", "ENG", "RXNORM", "IN", "40", "withdrawnol", "O") +
		conso("50", "SPA", "RXNORM", "IN", "50", "glorpamida", "N"),
	"rrf/RXNREL.RRF": rel("10", "tradename_of", "20") + rel("20", "has_tradename", "10") + rel("30", "tradename_of", "20") + rel("10", "tradename_of", ""),
}

var umls = map[string]string{
	"META/MRCONSO.RRF": conso("C0000001", "ENG", "SNOMEDCT_US", "FN", "111", "Glorp disease (disorder)", "N") +
		conso("C0000001", "ENG", "SNOMEDCT_US", "SY", "111", "GLD", "N") +
		conso("C0000001", "ENG", "ICD10CM", "PT", "G99.1", "Glorp disease, unspecified", "N") +
		conso("C0000001", "ENG", "MSH", "MH", "D1", "Glorpism", "N") +
		conso("C0000001", "ENG", "ICPC2P", "PT", "D1", "glorp;disease", "N") +
		conso("C0000001", "FRE", "MSHFRE", "MH", "D1", "Maladie de glorp", "N") +
		conso("C0000001", "ENG", "MSH", "MH", "D1", "Old glorp", "O") +
		conso("C0000002", "ENG", "RXNORM", "BN", "20", "Glorpex", "N") +
		conso("C0000003", "ENG", "RXNORM", "SCD", "30", "glorpamide 5 MG Oral Tablet", "N") +
		conso("C0000004", "ENG", "MSH", "MH", "D4", "Glorpectomy", "N") +
		conso("C0000005", "ENG", "MSH", "MH", "D5", "Government", "N") +
		conso("C0000006", "ENG", "ICD10CM", "PT", "W99.1", "Hit by a glorp", "N") +
		conso("C0000009", "ENG", "MSH", "MH", "D9", "No type", "N"),
	"META/MRSTY.RRF": "C0000001|T033|A2.2|Finding|AT1||\nC0000001|T047|B2.2.1|Disease or Syndrome|AT1|256|\n" +
		"C0000002|T121|A1.4|Pharmacologic Substance|AT1||\nC0000003|T200|A1.3|Clinical Drug|AT1||\nC0000003|T121|A1.4|Pharmacologic Substance|AT1||\n" +
		"C0000004|T061|B1.3|Therapeutic or Preventive Procedure|AT1||\nC0000005|T093|A2.7|Health Care Related Organization|AT1||\n" +
		"C0000006|T037|B2.3|Injury or Poisoning|AT1||\n",
}

const (
	fsn      = "900000000000003001"
	synonym  = "900000000000013009"
	rf2Begin = "id | effectiveTime | active | moduleId | "
)

var snomed = map[string]string{
	"Snapshot/Terminology/sct2_Concept_Snapshot_US1000124_20260301.txt": rf2(rf2Begin+"definitionStatusId",
		"101 | 20200101 | 1 | 9 | 8", "102 | 20200101 | 1 | 9 | 8", "103 | 20200101 | 1 | 9 | 8", "104 | 20200101 | 0 | 9 | 8", "105 | 20200101 | 1 | 9 | 8", "106 | 20200101 | 1 | 9 | 8", "107 | 20200101 | 1 | 9 | 8"),
	"Snapshot/Terminology/sct2_Description_Snapshot-en_US1000124_20260301.txt": rf2(rf2Begin+"conceptId | languageCode | typeId | term | caseSignificanceId",
		"1 | 20200101 | 1 | 9 | 101 | en | "+synonym+" | Glorpitis | 7",
		"2 | 20200101 | 1 | 9 | 101 | en | "+fsn+" | Glorp inflammation (disorder) | 7",
		"3 | 20200101 | 0 | 9 | 101 | en | "+synonym+" | Retired name | 7",
		"4 | 20200101 | 1 | 9 | 102 | en | "+fsn+" | Measurement of glorp (procedure) | 7",
		"5 | 20200101 | 1 | 9 | 103 | en | "+fsn+" | Glorp removal (procedure) | 7",
		"6 | 20200101 | 1 | 9 | 104 | en | "+fsn+" | Inactive glorp (disorder) | 7",
		"7 | 20200101 | 1 | 9 | 105 | en | "+fsn+" | Glorp region (body structure) | 7",
		"8 | 20200101 | 1 | 9 | 106 | en | "+fsn+" | Glorp fungus (organism) | 7",
		"9 | 20200101 | 1 | 9 | 107 | en | "+fsn+" | Glorp therapy (regime/therapy) | 7",
		"10 | 20200101 | 1 | 9 | 101 | es | "+synonym+" | Inflamación | 7"),
	"Snapshot/Terminology/sct2_Relationship_Snapshot_US1000124_20260301.txt": rf2(rf2Begin+"sourceId | destinationId | relationshipGroup | typeId | characteristicTypeId | modifierId",
		"1 | 20200101 | 1 | 9 | 200 | 386053000 | 0 | 116680003 | 1 | 2", "2 | 20200101 | 1 | 9 | 102 | 200 | 0 | 116680003 | 1 | 2",
		"3 | 20200101 | 1 | 9 | 386053000 | 200 | 0 | 116680003 | 1 | 2", "4 | 20200101 | 1 | 9 | 103 | 200 | 0 | 363698007 | 1 | 2"),
	"Snapshot/Refset/Map/der2_iisssccRefset_ExtendedMapSnapshot_US1000124_20260301.txt": rf2(rf2Begin+
		"refsetId | referencedComponentId | mapGroup | mapPriority | mapRule | mapAdvice | mapTarget | correlationId | mapCategoryId",
		"a | 20200101 | 1 | 9 | 6011000124106 | 101 | 1 | 1 | IFA 248153007 | MALE | N40.1 | 5 | 6",
		"b | 20200101 | 1 | 9 | 6011000124106 | 101 | 1 | 2 | OTHERWISE TRUE | ALWAYS G99.1 | G99.1 | 5 | 6",
		"c | 20200101 | 1 | 9 | 6011000124106 | 101 | 2 | 1 | TRUE | ALWAYS B99 | B99 | 5 | 6",
		"d | 20200101 | 1 | 9 | 6011000124106 | 101 | 1 | 3 | TRUE | CONSIDER | S99.9?? | 5 | 6",
		"e | 20200101 | 1 | 9 | 447562003 | 101 | 1 | 1 | TRUE | ALWAYS G09 | G09 | 5 | 6"),
	"Full/Terminology/sct2_Description_Full-en_US1000124_20260301.txt": "not read\n",
}

const loincHeader = `"LOINC_NUM","COMPONENT","CLASS","STATUS","CONSUMER_NAME","CLASSTYPE","LONG_COMMON_NAME"` + "\n"

var loinc = map[string]string{"LoincTable/Loinc.csv": loincHeader +
	`"9-1","Glorpase","CHEM","ACTIVE","Glorpase, Blood","1","Glorpase [Enzymatic activity/volume] in Serum or Plasma"` + "\n" +
	`"9-2","Glorpase^2H post ""dose""","CHEM","ACTIVE","","1","Glorpase [Mass/volume] in Urine"` + "\n" +
	`"9-3","Glorpicillin","ABXBACT","ACTIVE","","1","Glorpicillin [Susceptibility]"` + "\n" +
	`"9-4","Old","CHEM","DEPRECATED","","1","Old test"` + "\n" +
	`"9-5","How glad","SURVEY","ACTIVE","","4","How glad are you"` + "\n"}

// write makes a folder of files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "release_20260301")
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func zipped(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// read gives the terms of the only release in a place, sorted.
func read(t *testing.T, place string) (release.Release, []string) {
	t.Helper()
	found, err := release.Find([]string{place}, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 {
		t.Fatalf("%d releases", len(found))
	}
	var got []string
	err = found[0].Read(nil, func(m terminology.Term) {
		s := fmt.Sprintf("%s [%s %s %q %d] %s %s %s", m.Text, m.System, m.Code, m.Preferred, m.Rank, m.Category, m.Type, m.Kind)
		s = strings.TrimSpace(s)
		if m.Exact {
			s += " exact"
		}
		if m.Dosed {
			s += " dosed"
		}
		got = append(got, s)
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	return found[0], got
}

func TestSets(t *testing.T) {
	for _, c := range []struct {
		name, version string
		files         map[string]string
		read          []string
		want          []string
	}{
		{"rxnorm", "20260301", rxnorm, []string{"RXNCONSO.RRF", "RXNREL.RRF"}, []string{
			`Glorpex 5 MG Oral Tablet [RxNorm 31 "glorpamide 5 MG Oral Tablet [Glorpex]" 1] MEDICATION BRAND_NAME dosed`,
			`Glorpex [RxNorm 10 "glorpamide" 3] MEDICATION BRAND_NAME`,
			`Glorpex [RxNorm 20 "Glorpex" 0] MEDICATION BRAND_NAME`,
			`glorp amide [RxNorm 10 "glorpamide" 1] MEDICATION GENERIC_NAME`,
			`glorpamide 5 MG Oral Tablet [RxNorm 30 "glorpamide 5 MG Oral Tablet" 0] MEDICATION GENERIC_NAME dosed`,
			`glorpamide 5 MG tab [RxNorm 30 "glorpamide 5 MG Oral Tablet" 1] MEDICATION GENERIC_NAME dosed`,
			`glorpamide [RxNorm 10 "glorpamide" 0] MEDICATION GENERIC_NAME`,
			`glorpamide sodium [RxNorm 11 "glorpamide sodium" 0] MEDICATION GENERIC_NAME`,
		}},
		{"umls", "20260301", umls, []string{"MRCONSO.RRF", "MRSTY.RRF"}, []string{
			`GLD [ICD-10-CM G99.1 "Glorp disease, unspecified" 2] MEDICAL_CONDITION DX_NAME DIAGNOSIS exact`,
			`GLD [SNOMED CT 111 "Glorp disease (disorder)" 1] MEDICAL_CONDITION DX_NAME DIAGNOSIS exact`,
			`Glorp disease [ICD-10-CM G99.1 "Glorp disease, unspecified" 0] MEDICAL_CONDITION DX_NAME DIAGNOSIS`,
			`Glorp disease [SNOMED CT 111 "Glorp disease (disorder)" 0] MEDICAL_CONDITION DX_NAME DIAGNOSIS`,
			`Glorpectomy [  "" 0] TEST_TREATMENT_PROCEDURE PROCEDURE_NAME`,
			`Glorpex [RxNorm 20 "Glorpex" 0] MEDICATION BRAND_NAME`,
			`Glorpism [ICD-10-CM G99.1 "Glorp disease, unspecified" 2] MEDICAL_CONDITION DX_NAME DIAGNOSIS`,
			`Glorpism [SNOMED CT 111 "Glorp disease (disorder)" 2] MEDICAL_CONDITION DX_NAME DIAGNOSIS`,
			`Hit by a glorp [  "" 0] MEDICAL_CONDITION DX_NAME DIAGNOSIS`,
		}},
		{"snomed", "20260301", snomed, []string{
			"sct2_Concept_Snapshot_US1000124_20260301.txt", "sct2_Description_Snapshot-en_US1000124_20260301.txt",
			"sct2_Relationship_Snapshot_US1000124_20260301.txt", "der2_iisssccRefset_ExtendedMapSnapshot_US1000124_20260301.txt",
		}, []string{
			`Glorp inflammation [ICD-10-CM G99.1 "" 3] MEDICAL_CONDITION DX_NAME DIAGNOSIS`,
			`Glorp inflammation [SNOMED CT 101 "Glorp inflammation (disorder)" 0] MEDICAL_CONDITION DX_NAME DIAGNOSIS`,
			`Glorp region [SNOMED CT 105 "Glorp region (body structure)" 0] ANATOMY SYSTEM_ORGAN_SITE`,
			`Glorp removal [SNOMED CT 103 "Glorp removal (procedure)" 0] TEST_TREATMENT_PROCEDURE PROCEDURE_NAME`,
			`Glorp therapy [SNOMED CT 107 "Glorp therapy (regime/therapy)" 0] TEST_TREATMENT_PROCEDURE TREATMENT_NAME`,
			`Glorpitis [ICD-10-CM G99.1 "" 4] MEDICAL_CONDITION DX_NAME DIAGNOSIS`,
			`Glorpitis [SNOMED CT 101 "Glorp inflammation (disorder)" 1] MEDICAL_CONDITION DX_NAME DIAGNOSIS`,
			`Measurement of glorp [SNOMED CT 102 "Measurement of glorp (procedure)" 0] TEST_TREATMENT_PROCEDURE TEST_NAME`,
		}},
		{"loinc", "20260301", loinc, []string{"Loinc.csv"}, []string{
			`Glorpase [  "" 0] TEST_TREATMENT_PROCEDURE TEST_NAME`,
			`Glorpase [  "" 0] TEST_TREATMENT_PROCEDURE TEST_NAME`,
			`Glorpase in Serum or Plasma [  "" 0] TEST_TREATMENT_PROCEDURE TEST_NAME`,
			`Glorpase in Urine [  "" 0] TEST_TREATMENT_PROCEDURE TEST_NAME`,
			`Glorpase, Blood [  "" 0] TEST_TREATMENT_PROCEDURE TEST_NAME`,
			`Glorpicillin [  "" 0] TEST_TREATMENT_PROCEDURE TEST_NAME`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := write(t, c.files)
			archive := filepath.Join(t.TempDir(), "release_20260301.zip")
			if err := os.WriteFile(archive, zipped(t, c.files), 0o644); err != nil {
				t.Fatal(err)
			}
			packed := map[string]string{}
			for name, text := range c.files {
				packed[name+".gz"] = gzipped(t, text)
			}
			for _, place := range []string{folder, archive, write(t, packed)} {
				r, got := read(t, place)
				if r.Kind != c.name || r.Name != c.name || r.Version != c.version {
					t.Errorf("%s: kind %s, name %s, version %s", place, r.Kind, r.Name, r.Version)
				}
				var files []string
				for _, f := range r.Files {
					if !strings.HasPrefix(f.Name, place) {
						t.Errorf("file %s is not named after %s", f.Name, place)
					}
					files = append(files, strings.TrimSuffix(filepath.Base(f.Name), ".gz"))
				}
				if d := cmp.Diff(c.read, files); d != "" {
					t.Errorf("%s: files read: %s", place, d)
				}
				if d := cmp.Diff(c.want, got); d != "" {
					t.Errorf("%s: %s", place, d)
				}
			}
		})
	}
}

// with is a copy of files with one replaced.
func with(files map[string]string, name, text string) map[string]string {
	out := maps.Clone(files)
	out[name] = text
	return out
}

func TestSetFaults(t *testing.T) {
	const description = "Snapshot/Terminology/sct2_Description_Snapshot-en_US1000124_20260301.txt"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"short line of RXNCONSO", with(rxnorm, "rrf/RXNCONSO.RRF", rxnorm["rrf/RXNCONSO.RRF"]+"1|ENG|\n"), "rrf/RXNCONSO.RRF: line 13: 2 fields; expected 18, separated by bars"},
		{"RXCUI that is no number", map[string]string{"RXNCONSO.RRF": conso("X1", "ENG", "RXNORM", "IN", "1", "a", "N")}, `RXNCONSO.RRF: line 1: RXCUI "X1"; expected a number`},
		{"short line of RXNREL", with(rxnorm, "rrf/RXNREL.RRF", "1|2\n"), "rrf/RXNREL.RRF: line 1: 2 fields; expected 16"},
		{"UMLS without types", map[string]string{"MRCONSO.RRF": umls["META/MRCONSO.RRF"]}, "no MRSTY.RRF beside MRCONSO.RRF; expected it in the same release"},
		{"CUI of another shape", with(umls, "META/MRSTY.RRF", "C1|T047|B|D|A||\n"), `MRSTY.RRF: line 1: CUI "C1"; expected C and seven digits`},
		{"type of another shape", with(umls, "META/MRSTY.RRF", "C0000001|Disease|B|D|A||\n"), `MRSTY.RRF: line 1: TUI "Disease"; expected T and three digits`},
		{"RF2 with another header", with(snomed, description, "id\tterm\n"), `line 1: header "id term"; expected "id effectiveTime active`},
		{"RF2 with a short row", with(snomed, description, snomed[description]+"1\t2\n"), "line 12: 2 fields; expected 9, separated by tabs"},
		{"RF2 that is neither active nor not", with(snomed, description, strings.ReplaceAll(snomed[description], "\t0\t", "\tmaybe\t")), `line 4: active "maybe"; expected 0 or 1`},
		{"RF2 id that is no number", with(snomed, description, strings.Replace(snomed[description], "\t101\t", "\tx101\t", 1)), `conceptId "x101"; expected a number`},
		{"LOINC without a column", map[string]string{"Loinc.csv": "\"LOINC_NUM\",\"COMPONENT\"\n"}, "Loinc.csv: line 1: no column CLASS; expected LOINC_NUM, COMPONENT"},
		{"LOINC with a short row", map[string]string{"Loinc.csv": loincHeader + "\"1-1\",\"x\"\n"}, "Loinc.csv: line 2: column 1: wrong number of fields"},
		{"LOINC with an open quote", map[string]string{"Loinc.csv": loincHeader + "\"1-1,\n"}, "Loinc.csv: line 2: column 7: "},
		{"LOINC with another number", map[string]string{"Loinc.csv": loincHeader + "x,,,ACTIVE,,1,a\n"}, `Loinc.csv: line 2: LOINC_NUM "x"; expected digits, a hyphen and a digit`},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := release.Find([]string{write(t, c.files)}, "")
			for i := range found {
				err = errors.Join(err, found[i].Read(nil, func(terminology.Term) {}))
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestFind(t *testing.T) {
	subset := maps.Clone(rxnorm)
	for name, text := range rxnorm {
		subset["prescribe/"+name] = text
	}
	mixed := map[string]string{
		"2026/icd10cm-order-2026.txt": order, "icd10cm_drug_2019.xml": drugs, "My Own Terms.tsv": tsv, "readme.txt": "hello\n",
		"symp.obo": strings.Replace(obo, "\n", "\ndata-version: releases/2026-07-30/symp.obo\n", 1), "table.csv": "a,b\n", "image.png": "x",
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		kind  string
		want  []string
	}{
		{"a folder with many", mixed, "", []string{"icd10cm-index icd10cm-drug 2019", "icd10cm-order icd10cm-order 2026", "obo symp 2026-07-30", "tsv my-own-terms 20260301"}},
		{"of one kind", mixed, "tsv", []string{"tsv my-own-terms 20260301"}},
		{"the full RxNorm has the subset in it", subset, "", []string{"rxnorm rxnorm 20260301"}},
		{"the subset alone", map[string]string{"prescribe/rrf/RXNCONSO.RRF": "x"}, "", []string{"rxnorm rxnorm 20260301"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := release.Find([]string{write(t, c.files)}, c.kind)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range found {
				got = append(got, strings.Join([]string{r.Kind, r.Name, r.Version}, " "))
			}
			slices.Sort(got)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestFindNamedFiles(t *testing.T) {
	dir := write(t, with(rxnorm, "terms.data", "term\nglorp\n"))
	found, err := release.Find([]string{filepath.Join(dir, "rrf/RXNREL.RRF"), filepath.Join(dir, "rrf/RXNCONSO.RRF")}, "")
	if err != nil || len(found) != 1 || len(found[0].Files) != 2 {
		t.Errorf("two files of a set: %d releases, error %v", len(found), err)
	}
	if found, err = release.Find([]string{filepath.Join(dir, "terms.data")}, "tsv"); err != nil || len(found) != 1 {
		t.Errorf("a file with a kind: %d releases, error %v", len(found), err)
	}
	for _, c := range []struct{ file, kind, want string }{
		{"terms.data", "", "terms.data: no terminology that is known; expected ICD-10-CM order"},
		{"terms.data", "obo2", `unknown kind "obo2"; expected one of rxnorm, umls`},
		{"rrf/RXNREL.RRF", "", "no RXNCONSO.RRF beside RXNREL.RRF"},
		{"rrf", "snomed", "nothing of the kind snomed in it"},
		{"gone.txt", "", "gone.txt"},
	} {
		if _, err := release.Find([]string{filepath.Join(dir, c.file)}, c.kind); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.file, err, c.want)
		}
	}
}

func TestReadStops(t *testing.T) {
	for _, files := range []map[string]string{rxnorm, umls, snomed, loinc} {
		found, err := release.Find([]string{write(t, files)}, "")
		if err != nil {
			t.Fatal(err)
		}
		bytes := int64(0)
		if err := found[0].Read(func(n int) error { bytes += int64(n); return nil }, func(terminology.Term) {}); err != nil || bytes != found[0].Size() {
			t.Errorf("%s: %d bytes of %d, error %v", found[0].Kind, bytes, found[0].Size(), err)
		}
	}
	found, err := release.Find([]string{write(t, rxnorm)}, "")
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	if err := found[0].Read(func(int) error { return stop }, func(terminology.Term) {}); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
}
