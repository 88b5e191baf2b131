package release

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/stages/nlp/terminology"
)

// rxnorm reads the names of ingredients and brands of RxNorm: its own atoms (SAB RXNORM)
// that are not suppressed. A brand stands for itself first, and then for its ingredients.
// Names of clinical drugs have strength and form in them, which the engine finds as
// attributes of the drug, with the code of the whole.
var rxnorm = set{
	name: "rxnorm",
	parts: []part{
		{name: "RXNCONSO.RRF", file: regexp.MustCompile(`(?i)^RXNCONSO.*\.RRF$`), needed: true},
		{name: "RXNREL.RRF", file: regexp.MustCompile(`(?i)^RXNREL.*\.RRF$`)},
	},
	read: readRxNorm,
}

// Ranks of RxNorm's texts.
const (
	rankDrug       = 0
	rankDrugName   = 1 // another name of the same
	rankIngredient = 3 // a name of a brand, for its ingredient
)

// drug is a concept of RxNorm that is worth finding.
type drug struct {
	code, name string
	brand      bool     // of a brand, or a clinical drug of one
	clinical   bool     // with strength and form
	others     []string // other names
}

func readRxNorm(in *reading, emit func(terminology.Term)) error {
	drugs := map[uint32]*drug{}
	others := map[uint32][]string{}
	var f []string
	err := in.lines("RXNCONSO.RRF", func(_ int, line string) (err error) {
		if f, err = rrf(f, line, consoColumns); err != nil {
			return err
		}
		if f[consoLAT] != "ENG" || f[consoSAB] != "RXNORM" || f[consoSUPPRESS] != "N" {
			return nil
		}
		id, err := number("RXCUI", f[consoCUI])
		if err != nil {
			return err
		}
		if f[consoSTR] == "" {
			return fmt.Errorf("no STR; expected a name")
		}
		switch f[consoTTY] {
		case "IN", "PIN", "MIN":
			drugs[id] = &drug{code: f[consoCUI], name: f[consoSTR]}
		case "BN":
			drugs[id] = &drug{code: f[consoCUI], name: f[consoSTR], brand: true}
		case "SCD":
			drugs[id] = &drug{code: f[consoCUI], name: f[consoSTR], clinical: true}
		case "SBD":
			drugs[id] = &drug{code: f[consoCUI], name: f[consoSTR], clinical: true, brand: true}
		case "PSN", "SY", "TMSY":
			others[id] = append(others[id], f[consoSTR])
		}
		return nil
	})
	if err != nil {
		return err
	}
	for id, names := range others {
		if d := drugs[id]; d != nil {
			d.others = names
		}
	}
	ingredients, err := ingredientsOf(in, drugs)
	if err != nil {
		return err
	}
	for _, id := range sortedKeys(drugs) {
		drugs[id].emit(ingredients[id], emit)
	}
	return nil
}

// ingredientsOf reads what the brands are names of.
func ingredientsOf(in *reading, drugs map[uint32]*drug) (map[uint32][]*drug, error) {
	out := map[uint32][]*drug{}
	var f []string
	err := in.lines("RXNREL.RRF", func(_ int, line string) (err error) {
		if f, err = rrf(f, line, relColumns); err != nil {
			return err
		}
		// The second concept is the subject: CUI2 is a tradename of CUI1. Each
		// relation is there in both directions. Relations of atoms have no CUI.
		if f[relRELA] != "tradename_of" || f[relSUPPRESS] == "O" || f[relCUI1] == "" || f[relCUI2] == "" {
			return nil
		}
		of, err := number("RXCUI1", f[relCUI1])
		if err != nil {
			return err
		}
		brand, err := number("RXCUI2", f[relCUI2])
		if err != nil {
			return err
		}
		b, i := drugs[brand], drugs[of]
		if b != nil && i != nil && b.brand && !i.brand && !b.clinical && !i.clinical && !slices.Contains(out[brand], i) {
			out[brand] = append(out[brand], i)
		}
		return nil
	})
	return out, err
}

func (d *drug) emit(ingredients []*drug, emit func(terminology.Term)) {
	t := terminology.Term{
		System: terminology.RxNorm, Code: d.code, Preferred: d.name,
		Category: terminology.Medication, Type: terminology.GenericName,
	}
	if d.brand {
		t.Type = terminology.BrandName
	}
	if d.clinical {
		d.emitClinical(t, emit)
		return
	}
	slices.SortFunc(ingredients, func(a, b *drug) int { return cmp.Compare(a.code, b.code) })
	for i, text := range append([]string{d.name}, d.others...) {
		t.Text, t.Rank, t.Exact = text, rankDrug, capitalized(text)
		if i > 0 {
			t.Rank = rankDrugName
		}
		emit(t)
		for _, of := range ingredients {
			b := t
			b.Code, b.Preferred, b.Rank = of.code, of.name, rankIngredient
			emit(b)
		}
	}
}

// emitClinical emits the names that begin with the drug. The full name of one of a brand is
// that of its ingredients, with the brand in brackets: it is the generic's.
func (d *drug) emitClinical(t terminology.Term, emit func(terminology.Term)) {
	t.Dosed = true
	for i, text := range append([]string{d.name}, d.others...) {
		if i == 0 && d.brand || text[0] >= '0' && text[0] <= '9' || !strings.ContainsAny(text, "0123456789") {
			continue
		}
		t.Text, t.Rank = text, rankDrug
		if i > 0 {
			t.Rank = rankDrugName
		}
		emit(t)
	}
}

func sortedKeys[V any](m map[uint32]V) []uint32 {
	keys := make([]uint32, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
