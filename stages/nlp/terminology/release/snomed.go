package release

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// snomed reads the snapshot of SNOMED CT in RF2: the active English descriptions of active
// concepts. The tag at the end of the fully specified name says what a concept is, and
// where there are relationships those below "evaluation procedure" are tests. The US
// edition's map gives texts the ICD-10-CM codes that hold whatever else is known.
var snomed = set{
	name: "snomed",
	parts: []part{
		{name: "sct2_Concept_Snapshot", file: rf2("sct2_Concept_"), needed: true, many: true},
		{name: "sct2_Description_Snapshot", file: rf2("sct2_Description_"), needed: true, many: true, twice: true},
		{name: "sct2_Relationship_Snapshot", file: rf2("sct2_Relationship_"), many: true},
		{name: "der2_iisssccRefset_ExtendedMapSnapshot", file: rf2("der2_iisssccRefset_ExtendedMap"), many: true},
	},
	read: readSNOMED,
}

// rf2 are the file names of snapshots that begin so, in English or without a language.
func rf2(begin string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)^x?` + begin + `[^-]*Snapshot(-en[^_]*)?_.*\.txt$`)
}

// Columns of RF2, which are separated by tabs below a header; the first four are the same
// in all files.
var (
	rf2Concept      = columnsOf("id effectiveTime active moduleId definitionStatusId")
	rf2Description  = columnsOf("id effectiveTime active moduleId conceptId languageCode typeId term caseSignificanceId")
	rf2Relationship = columnsOf("id effectiveTime active moduleId sourceId destinationId relationshipGroup typeId characteristicTypeId modifierId")
	rf2ExtendedMap  = columnsOf("id effectiveTime active moduleId refsetId referencedComponentId mapGroup mapPriority mapRule mapAdvice mapTarget correlationId mapCategoryId")
)

func columnsOf(s string) []string { return strings.Fields(s) }

// Concepts of the model that rows refer to.
const (
	fullySpecified = "900000000000003001"
	isA            = "116680003"
	mapToICD10CM   = "6011000124106"
)

// testRoots are procedures below which everything is a test.
var testRoots = []uint64{
	386053000, // evaluation procedure
	363679005, // imaging
}

// tags say what a concept is. What is left out does not stand in a note as such, or is
// found as something else: events, situations, products, organisms, morphologic abnormalities.
var tags = map[string]class{
	"disorder": diagnosis, "finding": sign,
	"procedure": procedure, "regime/therapy": treatment, "observable entity": test,
	"body structure": site,
}

// sctConcept is a concept that is worth finding.
type sctConcept struct {
	name  string // fully specified
	class class
	icd   []string // of the map
}

func readSNOMED(in *reading, emit func(terminology.Term)) error {
	active := map[uint64]bool{}
	err := rf2Rows(in, "sct2_Concept_Snapshot", rf2Concept, func(f []string) error {
		id, err := sctID("id", f[0])
		active[id] = true
		return err
	})
	if err != nil {
		return err
	}
	concepts, err := sctNames(in, active)
	if err != nil {
		return err
	}
	if err := sctTests(in, concepts); err != nil {
		return err
	}
	if err := sctMap(in, concepts); err != nil {
		return err
	}
	return rf2Rows(in, "sct2_Description_Snapshot", rf2Description, func(f []string) error {
		id, err := sctID("conceptId", f[4])
		c := concepts[id]
		if err != nil || c == nil || !strings.HasPrefix(f[5], "en") {
			return err
		}
		c.emit(f, emit)
		return nil
	})
}

// rf2Rows calls fn for each active row of the files of a part, whose header it checks.
func rf2Rows(in *reading, part string, columns []string, fn func(f []string) error) error {
	var f []string
	return in.lines(part, func(n int, line string) error {
		f = f[:0]
		for field := range strings.SplitSeq(line, "\t") {
			f = append(f, field)
		}
		if n == 1 {
			if !slices.Equal(f, columns) {
				return fmt.Errorf("header %q; expected %q", strings.Join(f, " "), strings.Join(columns, " "))
			}
			return nil
		}
		if len(f) != len(columns) {
			return fmt.Errorf("%d fields; expected %d, separated by tabs", len(f), len(columns))
		}
		switch f[2] {
		case "1":
			return fn(f)
		case "0":
			return nil
		}
		return fmt.Errorf("active %q; expected 0 or 1", f[2])
	})
}

func sctID(column, s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s %q; expected a number", column, s)
	}
	return n, nil
}

// sctNames gives the active concepts whose names have one of the tags.
func sctNames(in *reading, active map[uint64]bool) (map[uint64]*sctConcept, error) {
	concepts := map[uint64]*sctConcept{}
	err := rf2Rows(in, "sct2_Description_Snapshot", rf2Description, func(f []string) error {
		if f[6] != fullySpecified || !strings.HasPrefix(f[5], "en") {
			return nil
		}
		id, err := sctID("conceptId", f[4])
		if err != nil {
			return err
		}
		if s, ok := tags[tagOf(f[7])]; ok && active[id] {
			concepts[id] = &sctConcept{name: strings.Clone(f[7]), class: s}
		}
		return nil
	})
	return concepts, err
}

// tagOf is what stands in brackets at the end of a fully specified name.
func tagOf(name string) string {
	at := strings.LastIndexByte(name, '(')
	if at < 0 || !strings.HasSuffix(name, ")") {
		return ""
	}
	return name[at+1 : len(name)-1]
}

// sctTests makes tests of the procedures below testRoots.
func sctTests(in *reading, concepts map[uint64]*sctConcept) error {
	children := map[uint64][]uint64{}
	err := rf2Rows(in, "sct2_Relationship_Snapshot", rf2Relationship, func(f []string) error {
		if f[7] != isA {
			return nil
		}
		child, err := sctID("sourceId", f[4])
		if err != nil {
			return err
		}
		parent, err := sctID("destinationId", f[5])
		children[parent] = append(children[parent], child)
		return err
	})
	if err != nil {
		return err
	}
	seen := map[uint64]bool{}
	queue := slices.Clone(testRoots)
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		if seen[id] {
			continue
		}
		seen[id] = true
		if c := concepts[id]; c != nil && c.class == procedure {
			c.class = test
		}
		queue = append(queue, children[id]...)
	}
	return nil
}

// sctMap reads the ICD-10-CM codes that need nothing else to be known: no age, no sex, no
// other disease.
func sctMap(in *reading, concepts map[uint64]*sctConcept) error {
	return rf2Rows(in, "der2_iisssccRefset_ExtendedMapSnapshot", rf2ExtendedMap, func(f []string) error {
		rule, target := f[8], f[10]
		if f[4] != mapToICD10CM || f[6] != "1" || rule != "TRUE" && rule != "OTHERWISE TRUE" {
			return nil
		}
		id, err := sctID("referencedComponentId", f[5])
		c := concepts[id]
		if err != nil || c == nil || !conditionCode(target) || strings.Contains(target, "?") || slices.Contains(c.icd, target) {
			return err
		}
		c.icd = append(c.icd, strings.Clone(target))
		return nil
	})
}

// emit emits a description of the concept.
func (c *sctConcept) emit(f []string, emit func(terminology.Term)) {
	text, rank := f[7], uint8(rankSynonym)
	if f[6] == fullySpecified {
		text, rank = strings.TrimSpace(strings.TrimSuffix(text, "("+tagOf(text)+")")), rankOwn
	}
	if text = bare(text); text == "" {
		return
	}
	t := terminology.Term{
		System: terminology.SNOMEDCT, Code: f[4], Preferred: c.name, Text: text, Rank: rank, Exact: capitalized(text),
		Category: c.class.category, Type: c.class.typ, Kind: c.class.kind,
	}
	emit(t)
	for _, code := range c.icd {
		t.System, t.Code, t.Preferred, t.Rank = terminology.ICD10CM, code, "", rank+rankMapped
		emit(t)
	}
}

// rankMapped is added to the rank of a text for codes of another system.
const rankMapped = 3
