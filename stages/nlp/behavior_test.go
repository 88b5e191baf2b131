package nlp_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/stages/nlp"
)

// TestHabits uses the core lexicon: whether "cocaine" is a medication or a habit depends on both.
func TestHabits(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"smoker", "He is an active smoker.", "smoker(TOBACCO_USE)"},
		{"former", "Former smoker, quit in 2010.", "Former smoker(TOBACCO_USE past)"},
		{"past use", "History of IV drug use.", "IV drug use(REC_DRUG_USE past)"},
		{"over", "IVDU in remission. He stopped drinking.", "IVDU(REC_DRUG_USE past), drinking(ALCOHOL_CONSUMPTION past)"},
		{"not yet over", "Continues to smoke; counseled to quit.", "smoke(TOBACCO_USE)"},
		{"denied", "Denies alcohol use.", "alcohol use(ALCOHOL_CONSUMPTION neg)"},
		{"denied list", "Denies tobacco, alcohol, or illicit drugs.", "tobacco(TOBACCO_USE neg), alcohol(ALCOHOL_CONSUMPTION neg), illicit drugs(REC_DRUG_USE neg)"},
		{"drugs beside others", "Denies alcohol, tobacco and drugs.", "alcohol(ALCOHOL_CONSUMPTION neg), tobacco(TOBACCO_USE neg), drugs(REC_DRUG_USE neg)"},
		{"denied in one word", "Lifelong nonsmoker, no alcohol.", "nonsmoker(TOBACCO_USE neg), alcohol(ALCOHOL_CONSUMPTION neg)"},
		{"never", "Never smoker. Never smoked. Non-smoker.", "smoker(TOBACCO_USE neg), smoked(TOBACCO_USE neg), smoker(TOBACCO_USE neg)"},
		{"verbs that are denied", "He does not drink. No smoking or drinking.", "drink(ALCOHOL_CONSUMPTION neg), smoking(TOBACCO_USE neg), drinking(ALCOHOL_CONSUMPTION neg)"},
		{"one of two is denied", "Denies tobacco use but drinks alcohol daily.", "tobacco use(TOBACCO_USE neg), alcohol(ALCOHOL_CONSUMPTION; FREQUENCY daily)"},
		{"of a relative", "Mother was a smoker.", "smoker(TOBACCO_USE family)"},
		{"amount and interval", "She smokes 2 packs/day.", "smokes(TOBACCO_USE; AMOUNT 2 packs; FREQUENCY /day)"},
		{"amount in words", "Smokes half a pack a day, not ready to quit.", "Smokes(TOBACCO_USE; AMOUNT half a pack; FREQUENCY a day)"},
		{"duration", "He has smoked cigars for 20 years.", "cigars(TOBACCO_USE; DURATION for 20 years), for 20 years(TIME_TO_DX_NAME)"},
		{"pack-years", "Quit smoking 5 years ago after 30 pack-years.", "smoking(TOBACCO_USE past; AMOUNT 30 pack-years)"},
		{"amount before it", "20 pack-year smoker. Heavy smoker.", "smoker(TOBACCO_USE; AMOUNT 20 pack-year), smoker(TOBACCO_USE; FREQUENCY Heavy)"},
		{"glasses of it", "2 glasses of wine on weekends", "wine(ALCOHOL_CONSUMPTION; AMOUNT 2 glasses; FREQUENCY on weekends)"},
		{"what is drunk counts itself", "Drinks 2 beers a day.", "beers(ALCOHOL_CONSUMPTION; AMOUNT 2; FREQUENCY a day)"},
		{"times a week", "Marijuana use 3 times a week", "Marijuana(REC_DRUG_USE; FREQUENCY 3 times a week)"},
		{"attributes are not those of a medication", "He smokes 1 ppd and takes lisinopril 10 mg daily.", "smokes(TOBACCO_USE; AMOUNT 1 ppd), lisinopril(GENERIC_NAME; STRENGTH 10 mg; FREQUENCY daily)"},
		{"social", "Social drinker.", "Social drinker(ALCOHOL_CONSUMPTION)"},
		{
			"social history", "Social History: He drinks socially and used cocaine in the past.",
			"drinks(ALCOHOL_CONSUMPTION; FREQUENCY socially), cocaine(REC_DRUG_USE past)",
		},
		{
			"form", "SOCIAL HISTORY:\nTobacco: 1 ppd, 30 pack-years.\nAlcohol: none.\nDrugs: denies.\n\nPLAN: lisinopril",
			"Tobacco(TOBACCO_USE; AMOUNT 1 ppd; AMOUNT 30 pack-years), Alcohol(ALCOHOL_CONSUMPTION neg), Drugs(REC_DRUG_USE neg), lisinopril(GENERIC_NAME)",
		},
		{
			"form in capitals", "TOBACCO: former, 20 pk-yrs\nALCOHOL: 2-3 drinks per week",
			"TOBACCO(TOBACCO_USE past; AMOUNT 20 pk-yrs), ALCOHOL(ALCOHOL_CONSUMPTION; AMOUNT 2-3 drinks; FREQUENCY per week)",
		},
		{"answers of a form are its own", "Alcohol: none, Tobacco: 1 ppd", "Alcohol(ALCOHOL_CONSUMPTION neg), Tobacco(TOBACCO_USE; AMOUNT 1 ppd)"},
		{"drug that is taken", "Denies cocaine or heroin. Smokes marijuana occasionally.", "cocaine(REC_DRUG_USE neg), heroin(REC_DRUG_USE neg), marijuana(REC_DRUG_USE; FREQUENCY occasionally)"},
		{"drug that is given", "Cocaine was given to rats.", "Cocaine(GENERIC_NAME)"},
		{"medication", "Nicotine patch 21 mg daily.", "Nicotine patch(GENERIC_NAME; STRENGTH 21 mg; FREQUENCY daily)"},
		{"treatment", "Smoking cessation counseling.", "Smoking cessation counseling(TREATMENT_NAME)"},
		{"condition", "Alcohol withdrawal.", "Alcohol withdrawal()"},
		{"allergies to drugs", "No drug allergies.", "drug allergies(neg)"},
		{"drugs that are prescribed", "Drug: amoxicillin 500 mg. No new drugs.", "amoxicillin(GENERIC_NAME; STRENGTH 500 mg)"},
		{"drinks that are none", "Drinks plenty of water. She takes 2 drinks of water.", ""},
		{"not drunk", "An alcohol-based rub was used without alcohol swabs.", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, show(nlp.NewDetector(nlp.CoreIndex()).Detect([]byte(c.text)))); d != "" {
				t.Error(d)
			}
		})
	}
}

// A mention that the caller names says itself what it is: only the text around it denies it.
func TestHabitsThatAreGiven(t *testing.T) {
	text := []byte("She is a nonsmoker and denies tobacco use.")
	doc := nlp.NewDetector(nlp.CoreIndex()).DetectWith(text, nlp.Locate(text, []string{"nonsmoker", "tobacco use"}))
	if got, want := show(doc), "nonsmoker(TOBACCO_USE), tobacco use(TOBACCO_USE neg)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
