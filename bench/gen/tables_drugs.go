package gen

// A drug is one product of the formulary: its RxNorm product with the name
// that goes into the resource, and the words that a note uses for it.
type drug struct {
	code, name string
	generic    string // in notes
	brand      string // in notes now and then; may be empty
	strength   string // "500 mg"
	perDay     int    // doses a day; 0 is once a week
	route      routeKind
	prn        bool
	cents      int64 // price of one fill
}

type routeKind uint8

const (
	oral routeKind = iota
	inhaled
	subcutaneous
	intramuscular
	intravenous
	topical
)

// routes: SNOMED CT code and name, the abbreviation and the words of notes,
// the dose unit of one administration.
var routes = [...]struct{ code, name, abbr, words, unit, ucum string }{
	oral:          {"26643006", "Oral route", "PO", "by mouth", "tablet", "{tbl}"},
	inhaled:       {"447694001", "Respiratory tract route", "INH", "inhaled", "puff", "{puff}"},
	subcutaneous:  {"34206005", "Subcutaneous route", "SQ", "under the skin", "unit", "U"},
	intramuscular: {"78421000", "Intramuscular route", "IM", "into the muscle", "mL", "mL"},
	intravenous:   {"47625008", "Intravenous route", "IV", "intravenously", "mL", "mL"},
	topical:       {"6064005", "Topical route", "TOP", "to the affected skin", "application", "{application}"},
}

// frequencies by doses a day: the code of v3-GTSAbbreviation or none, the
// abbreviation and the words of notes.
var frequencies = [...]struct{ code, abbr, words string }{
	{"", "weekly", "once a week"},
	{"QD", "daily", "once daily"},
	{"BID", "BID", "twice daily"},
	{"TID", "TID", "three times a day"},
	{"QID", "QID", "four times a day"},
}

const (
	dMetformin = iota
	dMetforminXR
	dInsulin
	dLisinopril
	dLisinopril20
	dHCTZ
	dAmlodipine
	dLosartan
	dSimvastatin
	dAtorvastatin
	dAspirin
	dClopidogrel
	dNitroglycerin
	dCarvedilol
	dMetoprolol
	dFurosemide
	dWarfarin
	dDigoxin
	dLevothyroxine
	dAlbuterol
	dFluticasone
	dAdvair
	dOmeprazole
	dFluoxetine
	dSertraline
	dAlprazolam
	dAcetaminophen
	dIbuprofen
	dNaproxen
	dTramadol
	dOxycodone
	dPregabalin
	dGabapentin
	dAlendronate
	dMethotrexate
	dPrednisone
	dAllopurinol
	dIron
	dB12
	dDonepezil
	dMemantine
	dAnastrozole
	dLeuprolide
	dOxaliplatin
	dDocetaxel
	dAmoxicillin
	dAmoxClav
	dPenicillin
	dCefuroxime
	dNitrofurantoin
	dPhenazopyridine
	dHydrocortisone
	dLoratadine
	dDiphenhydramine
	dEpinephrine
	dColdSyrup
	dOCP
	dMedroxy
	dVerapamil
	dTamsulosin
	dBuprenorphine
	dOndansetron
)

var drugs = [...]drug{
	dMetformin:       {"861007", "metformin hydrochloride 500 MG Oral Tablet", "metformin", "Glucophage", "500 mg", 2, oral, false, 1290},
	dMetforminXR:     {"860975", "24 HR metformin hydrochloride 500 MG Extended Release Oral Tablet", "metformin XR", "Glucophage XR", "500 mg", 1, oral, false, 1840},
	dInsulin:         {"106892", "insulin human, isophane 70 UNT/ML / Regular Insulin, Human 30 UNT/ML Injectable Suspension [Humulin]", "insulin 70/30", "Humulin", "20 units", 2, subcutaneous, false, 14870},
	dLisinopril:      {"314076", "lisinopril 10 MG Oral Tablet", "lisinopril", "Zestril", "10 mg", 1, oral, false, 940},
	dLisinopril20:    {"314077", "lisinopril 20 MG Oral Tablet", "lisinopril", "Prinivil", "20 mg", 1, oral, false, 1120},
	dHCTZ:            {"310798", "hydrochlorothiazide 25 MG Oral Tablet", "hydrochlorothiazide", "HCTZ", "25 mg", 1, oral, false, 870},
	dAmlodipine:      {"197361", "amlodipine 5 MG Oral Tablet", "amlodipine", "Norvasc", "5 mg", 1, oral, false, 1050},
	dLosartan:        {"979492", "losartan potassium 50 MG Oral Tablet", "losartan", "Cozaar", "50 mg", 1, oral, false, 1310},
	dSimvastatin:     {"312961", "simvastatin 20 MG Oral Tablet", "simvastatin", "Zocor", "20 mg", 1, oral, false, 1160},
	dAtorvastatin:    {"617310", "atorvastatin 20 MG Oral Tablet", "atorvastatin", "Lipitor", "20 mg", 1, oral, false, 1480},
	dAspirin:         {"243670", "aspirin 81 MG Oral Tablet", "aspirin", "ASA", "81 mg", 1, oral, false, 420},
	dClopidogrel:     {"309362", "clopidogrel 75 MG Oral Tablet", "clopidogrel", "Plavix", "75 mg", 1, oral, false, 1720},
	dNitroglycerin:   {"705129", "nitroglycerin 0.4 MG/ACTUAT Mucosal Spray", "nitroglycerin spray", "", "0.4 mg", 1, oral, true, 8230},
	dCarvedilol:      {"200033", "carvedilol 25 MG Oral Tablet", "carvedilol", "Coreg", "25 mg", 2, oral, false, 1390},
	dMetoprolol:      {"866436", "24 HR metoprolol succinate 50 MG Extended Release Oral Tablet", "metoprolol succinate", "Toprol XL", "50 mg", 1, oral, false, 1610},
	dFurosemide:      {"313988", "furosemide 40 MG Oral Tablet", "furosemide", "Lasix", "40 mg", 1, oral, false, 890},
	dWarfarin:        {"855332", "warfarin sodium 5 MG Oral Tablet", "warfarin", "Coumadin", "5 mg", 1, oral, false, 1270},
	dDigoxin:         {"197604", "digoxin 0.125 MG Oral Tablet", "digoxin", "", "0.125 mg", 1, oral, false, 2210},
	dLevothyroxine:   {"966222", "levothyroxine sodium 0.075 MG Oral Tablet", "levothyroxine", "Synthroid", "75 mcg", 1, oral, false, 1510},
	dAlbuterol:       {"2123111", "NDA020503 200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler", "albuterol inhaler", "ProAir", "90 mcg", 4, inhaled, true, 5480},
	dFluticasone:     {"895994", "120 ACTUAT fluticasone propionate 0.044 MG/ACTUAT Metered Dose Inhaler", "fluticasone inhaler", "Flovent", "44 mcg", 2, inhaled, false, 19950},
	dAdvair:          {"896209", "60 ACTUAT fluticasone propionate 0.25 MG/ACTUAT / salmeterol 0.05 MG/ACTUAT Dry Powder Inhaler", "fluticasone-salmeterol", "Advair", "250/50 mcg", 2, inhaled, false, 34120},
	dOmeprazole:      {"198051", "omeprazole 20 MG Delayed Release Oral Capsule", "omeprazole", "Prilosec", "20 mg", 1, oral, false, 1180},
	dFluoxetine:      {"310385", "fluoxetine 20 MG Oral Capsule", "fluoxetine", "Prozac", "20 mg", 1, oral, false, 1030},
	dSertraline:      {"312941", "sertraline 50 MG Oral Tablet", "sertraline", "Zoloft", "50 mg", 1, oral, false, 1190},
	dAlprazolam:      {"308047", "alprazolam 0.25 MG Oral Tablet", "alprazolam", "Xanax", "0.25 mg", 2, oral, true, 960},
	dAcetaminophen:   {"313782", "acetaminophen 325 MG Oral Tablet", "acetaminophen", "Tylenol", "325 mg", 4, oral, true, 610},
	dIbuprofen:       {"310965", "ibuprofen 200 MG Oral Tablet", "ibuprofen", "Advil", "200 mg", 3, oral, true, 650},
	dNaproxen:        {"849574", "naproxen sodium 220 MG Oral Tablet", "naproxen", "Aleve", "220 mg", 2, oral, true, 790},
	dTramadol:        {"835603", "tramadol hydrochloride 50 MG Oral Tablet", "tramadol", "", "50 mg", 3, oral, true, 1420},
	dOxycodone:       {"1049221", "acetaminophen 325 MG / oxycodone hydrochloride 5 MG Oral Tablet", "oxycodone-acetaminophen", "", "5/325 mg", 4, oral, true, 2110},
	dPregabalin:      {"483438", "pregabalin 100 MG Oral Capsule", "pregabalin", "Lyrica", "100 mg", 2, oral, false, 3980},
	dGabapentin:      {"310431", "gabapentin 300 MG Oral Capsule", "gabapentin", "Neurontin", "300 mg", 3, oral, false, 1560},
	dAlendronate:     {"904419", "alendronic acid 10 MG Oral Tablet", "alendronate", "Fosamax", "10 mg", 1, oral, false, 1880},
	dMethotrexate:    {"105585", "methotrexate 2.5 MG Oral Tablet", "methotrexate", "MTX", "2.5 mg", 0, oral, false, 3340},
	dPrednisone:      {"312617", "prednisone 5 MG Oral Tablet", "prednisone", "", "5 mg", 1, oral, false, 820},
	dAllopurinol:     {"197319", "allopurinol 100 MG Oral Tablet", "allopurinol", "Zyloprim", "100 mg", 1, oral, false, 1010},
	dIron:            {"310325", "ferrous sulfate 325 MG Oral Tablet", "ferrous sulfate", "iron", "325 mg", 1, oral, false, 560},
	dB12:             {"2001499", "vitamin B12 5 MG/ML Injectable Solution", "cyanocobalamin", "B12", "1000 mcg", 0, intramuscular, false, 2440},
	dDonepezil:       {"997223", "donepezil hydrochloride 10 MG Oral Tablet", "donepezil", "Aricept", "10 mg", 1, oral, false, 2050},
	dMemantine:       {"996740", "memantine hydrochloride 2 MG/ML Oral Solution", "memantine", "Namenda", "10 mg", 2, oral, false, 6120},
	dAnastrozole:     {"199224", "anastrozole 1 MG Oral Tablet", "anastrozole", "Arimidex", "1 mg", 1, oral, false, 2860},
	dLeuprolide:      {"752899", "0.25 ML leuprolide acetate 30 MG/ML Prefilled Syringe", "leuprolide", "Lupron", "7.5 mg", 0, subcutaneous, false, 128400},
	dOxaliplatin:     {"1736776", "10 ML oxaliplatin 5 MG/ML Injection", "oxaliplatin", "", "130 mg", 0, intravenous, false, 41800},
	dDocetaxel:       {"1860480", "1 ML docetaxel 20 MG/ML Injection", "docetaxel", "Taxotere", "120 mg", 0, intravenous, false, 39650},
	dAmoxicillin:     {"308182", "amoxicillin 250 MG Oral Capsule", "amoxicillin", "", "250 mg", 3, oral, false, 740},
	dAmoxClav:        {"562251", "amoxicillin 250 MG / clavulanate 125 MG Oral Tablet", "amoxicillin-clavulanate", "Augmentin", "250/125 mg", 3, oral, false, 1930},
	dPenicillin:      {"834061", "penicillin V potassium 250 MG Oral Tablet", "penicillin VK", "", "250 mg", 4, oral, false, 690},
	dCefuroxime:      {"309097", "cefuroxime 250 MG Oral Tablet", "cefuroxime", "Ceftin", "250 mg", 2, oral, false, 2370},
	dNitrofurantoin:  {"311989", "nitrofurantoin 5 MG/ML Oral Suspension", "nitrofurantoin", "", "100 mg", 2, oral, false, 3110},
	dPhenazopyridine: {"1094107", "phenazopyridine hydrochloride 100 MG Oral Tablet", "phenazopyridine", "Pyridium", "100 mg", 3, oral, true, 1270},
	dHydrocortisone:  {"106258", "hydrocortisone 10 MG/ML Topical Cream", "hydrocortisone 1% cream", "", "thin layer", 2, topical, false, 880},
	dLoratadine:      {"665078", "loratadine 5 MG Chewable Tablet", "loratadine", "Claritin", "5 mg", 1, oral, false, 930},
	dDiphenhydramine: {"1049630", "diphenhydramine hydrochloride 25 MG Oral Tablet", "diphenhydramine", "Benadryl", "25 mg", 4, oral, true, 540},
	dEpinephrine:     {"1870230", "NDA020800 0.3 ML epinephrine 1 MG/ML Auto-Injector", "epinephrine autoinjector", "EpiPen", "0.3 mg", 1, intramuscular, true, 33500},
	dColdSyrup:       {"1043400", "acetaminophen 21.7 MG/ML / dextromethorphan hydrobromide 1 MG/ML / doxylamine succinate 0.417 MG/ML Oral Solution", "a cold and flu syrup", "NyQuil", "30 mL", 1, oral, true, 1150},
	dOCP:             {"751905", "Trinessa 28 Day Pack", "combined oral contraceptive", "Trinessa", "1 tab", 1, oral, false, 2480},
	dMedroxy:         {"1000126", "1 ML medroxyprogesterone acetate 150 MG/ML Injection", "medroxyprogesterone", "Depo-Provera", "150 mg", 0, intramuscular, false, 7690},
	dVerapamil:       {"897718", "verapamil hydrochloride 40 MG Oral Tablet", "verapamil", "", "40 mg", 3, oral, false, 1660},
	dTamsulosin:      {"863669", "tamsulosin hydrochloride 0.4 MG Oral Capsule", "tamsulosin", "Flomax", "0.4 mg", 1, oral, false, 1440},
	dBuprenorphine:   {"351266", "buprenorphine 2 MG / naloxone 0.5 MG Sublingual Tablet", "buprenorphine-naloxone", "", "2/0.5 mg", 2, oral, false, 7020},
	dOndansetron:     {"198052", "ondansetron 4 MG Oral Tablet", "ondansetron", "Zofran", "4 mg", 3, oral, true, 1380},
}

// vaccines by CVX code; due says at which ages in months the childhood series
// gives them. Adult vaccines have their own rules in immunization.go.
var vaccines = [...]struct {
	code, name string
	due        []int
	since      int64 // first year of use
}{
	{"08", "Hep B, adolescent or pediatric", []int{0, 1, 6}, 1991},
	{"119", "rotavirus, monovalent", []int{2, 4}, 2008},
	{"20", "DTaP", []int{2, 4, 6, 15, 48}, 1991},
	{"49", "Hib (PRP-OMP)", []int{2, 4, 12}, 1990},
	{"133", "Pneumococcal conjugate PCV 13", []int{2, 4, 6, 12}, 2010},
	{"10", "IPV", []int{2, 4, 6, 48}, 1955},
	{"03", "MMR", []int{12, 48}, 1971},
	{"21", "varicella", []int{12, 48}, 1995},
	{"83", "Hep A, ped/adol, 2 dose", []int{12, 18}, 1996},
	{"115", "Tdap", []int{132}, 2005},
	{"114", "meningococcal MCV4P", []int{132, 192}, 2005},
	{"62", "HPV, quadrivalent", []int{132, 138}, 2006},
}

const (
	cvxFlu, cvxFluName         = "140", "Influenza, seasonal, injectable, preservative free"
	cvxTd, cvxTdName           = "113", "Td (adult), 5 Lf tetanus toxoid, preservative free, adsorbed"
	cvxZoster, cvxZosterName   = "187", "zoster vaccine recombinant"
	cvxPneumo, cvxPneumoName   = "33", "pneumococcal polysaccharide vaccine, 23 valent"
	cvxCovid, cvxCovidName     = "208", "COVID-19, mRNA, LNP-S, PF, 30 mcg/0.3 mL dose"
	cvxCovid2023, cvx2023Name  = "309", "COVID-19, mRNA, LNP-S, PF, tris-sucrose, 30 mcg/0.3 mL"
	covidFrom, covid2023From   = stamp(18687 * day), stamp(19616 * day) // 2021-03-01, 2023-09-16
	fluSeasonFirst, fluLastMon = 9, 12
)

// allergens: code system and code of the substance, category, usual reaction.
var allergens = [...]struct {
	system, code, name, category, word string
	reaction, reactionName             string
	drug                               bool
}{
	{sysRxNorm, "7980", "penicillin G", "medication", "penicillin", "247472004", "Hives", true},
	{sysRxNorm, "10831", "sulfamethoxazole / trimethoprim", "medication", "sulfa", "271807003", "Rash", true},
	{sysRxNorm, "2670", "codeine", "medication", "codeine", "422587007", "Nausea", true},
	{sysRxNorm, "1191", "aspirin", "medication", "aspirin", "56018004", "Wheezing", true},
	{sysRxNorm, "5640", "ibuprofen", "medication", "ibuprofen", "41291007", "Angioedema", true},
	{sysRxNorm, "29046", "lisinopril", "medication", "lisinopril", "49727002", "Cough", true},
	{sysSNOMED, "762952008", "Peanut", "food", "peanut", "39579001", "Anaphylaxis", false},
	{sysSNOMED, "227037002", "Fish", "food", "fish", "247472004", "Hives", false},
	{sysSNOMED, "735029006", "Shellfish", "food", "shellfish", "39579001", "Anaphylaxis", false},
	{sysSNOMED, "3718001", "Cow's milk", "food", "milk", "62315008", "Diarrhea", false},
	{sysSNOMED, "102263004", "Eggs", "food", "egg", "271807003", "Rash", false},
	{sysSNOMED, "111088007", "Latex", "environment", "latex", "271807003", "Rash", false},
	{sysSNOMED, "256277009", "Grass pollen", "environment", "grass pollen", "70076002", "Rhinitis", false},
	{sysSNOMED, "260147004", "House dust mite", "environment", "dust mites", "70076002", "Rhinitis", false},
	{sysSNOMED, "264287008", "Animal dander", "environment", "cat dander", "70076002", "Rhinitis", false},
	{sysSNOMED, "288328004", "Bee venom", "environment", "bee stings", "39579001", "Anaphylaxis", false},
}
