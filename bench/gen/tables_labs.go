package gen

// A lab is one numeric analyte: typical mean and spread in adults, printed
// with prec decimals, with the limits of the laboratory.
type lab struct {
	code, name, short, unit, ucum string
	prec                          int
	mean, sd, low, high           float64
}

const (
	lGlucose = iota
	lBUN
	lCreatinine
	lCalcium
	lSodium
	lPotassium
	lChloride
	lCO2
	lGFR
	lProtein
	lAlbumin
	lBilirubin
	lALP
	lALT
	lAST
	lWBC
	lRBC
	lHgb
	lHct
	lMCV
	lMCH
	lMCHC
	lRDW
	lPlatelets
	lMPV
	lNeutrophils
	lLymphocytes
	lMonocytes
	lEosinophils
	lBasophils
	lCholesterol
	lTriglycerides
	lLDL
	lHDL
	lA1c
	lTSH
	lFerritin
	lBNP
	lTroponin
	lINR
	lPSA
	lCRP
	lUric
	lACR
	lLactate
	lVitD
	numLabs
)

var labs = [numLabs]lab{
	lGlucose:       {"2345-7", "Glucose [Mass/volume] in Serum or Plasma", "glucose", "mg/dL", "mg/dL", 0, 91, 7, 70, 99},
	lBUN:           {"3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma", "BUN", "mg/dL", "mg/dL", 0, 14, 3, 7, 20},
	lCreatinine:    {"2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "creatinine", "mg/dL", "mg/dL", 2, .88, .13, .60, 1.30},
	lCalcium:       {"17861-6", "Calcium [Mass/volume] in Serum or Plasma", "calcium", "mg/dL", "mg/dL", 1, 9.4, .35, 8.5, 10.5},
	lSodium:        {"2951-2", "Sodium [Moles/volume] in Serum or Plasma", "Na", "mmol/L", "mmol/L", 0, 140, 2, 135, 145},
	lPotassium:     {"2823-3", "Potassium [Moles/volume] in Serum or Plasma", "K", "mmol/L", "mmol/L", 1, 4.2, .3, 3.5, 5.1},
	lChloride:      {"2075-0", "Chloride [Moles/volume] in Serum or Plasma", "Cl", "mmol/L", "mmol/L", 0, 103, 2, 98, 107},
	lCO2:           {"2028-9", "Carbon dioxide, total [Moles/volume] in Serum or Plasma", "CO2", "mmol/L", "mmol/L", 0, 25, 2, 22, 29},
	lGFR:           {"98979-8", "Glomerular filtration rate/1.73 sq M.predicted [Volume Rate/Area] in Serum, Plasma or Blood by Creatinine-based formula (CKD-EPI 2021)", "eGFR", "mL/min/{1.73_m2}", "mL/min/{1.73_m2}", 0, 95, 12, 60, 0},
	lProtein:       {"2885-2", "Protein [Mass/volume] in Serum or Plasma", "total protein", "g/dL", "g/dL", 1, 7.1, .4, 6.0, 8.3},
	lAlbumin:       {"1751-7", "Albumin [Mass/volume] in Serum or Plasma", "albumin", "g/dL", "g/dL", 1, 4.3, .3, 3.5, 5.0},
	lBilirubin:     {"1975-2", "Bilirubin.total [Mass/volume] in Serum or Plasma", "bilirubin", "mg/dL", "mg/dL", 1, .6, .2, .1, 1.2},
	lALP:           {"6768-6", "Alkaline phosphatase [Enzymatic activity/volume] in Serum or Plasma", "ALP", "U/L", "U/L", 0, 74, 17, 44, 121},
	lALT:           {"1742-6", "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "ALT", "U/L", "U/L", 0, 24, 8, 7, 45},
	lAST:           {"1920-8", "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "AST", "U/L", "U/L", 0, 23, 6, 8, 40},
	lWBC:           {"6690-2", "Leukocytes [#/volume] in Blood by Automated count", "WBC", "10*3/uL", "10*3/uL", 1, 6.8, 1.4, 4.0, 11.0},
	lRBC:           {"789-8", "Erythrocytes [#/volume] in Blood by Automated count", "RBC", "10*6/uL", "10*6/uL", 2, 4.75, .32, 4.10, 5.70},
	lHgb:           {"718-7", "Hemoglobin [Mass/volume] in Blood", "Hgb", "g/dL", "g/dL", 1, 14.1, .8, 12.0, 17.2},
	lHct:           {"4544-3", "Hematocrit [Volume Fraction] of Blood by Automated count", "Hct", "%", "%", 1, 42.2, 2.4, 36.0, 50.0},
	lMCV:           {"787-2", "MCV [Entitic volume] by Automated count", "MCV", "fL", "fL", 1, 89.5, 3.6, 80.0, 100.0},
	lMCH:           {"785-6", "MCH [Entitic mass] by Automated count", "MCH", "pg", "pg", 1, 29.9, 1.4, 27.0, 33.0},
	lMCHC:          {"786-4", "MCHC [Mass/volume] by Automated count", "MCHC", "g/dL", "g/dL", 1, 33.6, .7, 32.0, 36.0},
	lRDW:           {"788-0", "Erythrocyte distribution width [Ratio] by Automated count", "RDW", "%", "%", 1, 13.1, .6, 11.5, 14.5},
	lPlatelets:     {"777-3", "Platelets [#/volume] in Blood by Automated count", "platelets", "10*3/uL", "10*3/uL", 0, 247, 48, 150, 400},
	lMPV:           {"32623-1", "Platelet mean volume [Entitic volume] in Blood by Automated count", "MPV", "fL", "fL", 1, 10.2, .8, 7.5, 12.5},
	lNeutrophils:   {"770-8", "Neutrophils/100 leukocytes in Blood by Automated count", "neutrophils", "%", "%", 1, 58, 6, 40.0, 74.0},
	lLymphocytes:   {"736-9", "Lymphocytes/100 leukocytes in Blood by Automated count", "lymphocytes", "%", "%", 1, 30, 5, 19.0, 48.0},
	lMonocytes:     {"5905-5", "Monocytes/100 leukocytes in Blood by Automated count", "monocytes", "%", "%", 1, 7.4, 1.5, 3.0, 12.0},
	lEosinophils:   {"713-8", "Eosinophils/100 leukocytes in Blood by Automated count", "eosinophils", "%", "%", 1, 2.8, 1.1, .0, 7.0},
	lBasophils:     {"706-2", "Basophils/100 leukocytes in Blood by Automated count", "basophils", "%", "%", 1, .7, .2, .0, 2.0},
	lCholesterol:   {"2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", "cholesterol", "mg/dL", "mg/dL", 0, 182, 24, 0, 200},
	lTriglycerides: {"2571-8", "Triglyceride [Mass/volume] in Serum or Plasma", "triglycerides", "mg/dL", "mg/dL", 0, 112, 30, 0, 150},
	lLDL:           {"18262-6", "Cholesterol in LDL [Mass/volume] in Serum or Plasma by Direct assay", "LDL", "mg/dL", "mg/dL", 0, 104, 20, 0, 130},
	lHDL:           {"2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma", "HDL", "mg/dL", "mg/dL", 0, 54, 9, 40, 0},
	lA1c:           {"4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "HbA1c", "%", "%", 1, 5.3, .2, 4.0, 5.6},
	lTSH:           {"3016-3", "Thyrotropin [Units/volume] in Serum or Plasma", "TSH", "m[IU]/L", "m[IU]/L", 2, 1.90, .65, .40, 4.50},
	lFerritin:      {"2276-4", "Ferritin [Mass/volume] in Serum or Plasma", "ferritin", "ng/mL", "ng/mL", 0, 96, 30, 20, 300},
	lBNP:           {"33762-6", "Natriuretic peptide.B prohormone N-Terminal [Mass/volume] in Serum or Plasma", "NT-proBNP", "pg/mL", "pg/mL", 0, 74, 25, 0, 300},
	lTroponin:      {"10839-9", "Troponin I.cardiac [Mass/volume] in Serum or Plasma", "troponin I", "ng/mL", "ng/mL", 2, .01, .008, .00, .04},
	lINR:           {"6301-6", "INR in Platelet poor plasma by Coagulation assay", "INR", "{INR}", "{INR}", 1, 1.0, .08, .9, 1.2},
	lPSA:           {"2857-1", "Prostate specific Ag [Mass/volume] in Serum or Plasma", "PSA", "ng/mL", "ng/mL", 2, 1.10, .50, .00, 4.00},
	lCRP:           {"1988-5", "C reactive protein [Mass/volume] in Serum or Plasma", "CRP", "mg/L", "mg/L", 1, 2.2, 1.0, .0, 8.0},
	lUric:          {"3084-1", "Urate [Mass/volume] in Serum or Plasma", "uric acid", "mg/dL", "mg/dL", 1, 5.2, .8, 3.4, 7.0},
	lACR:           {"9318-7", "Albumin/Creatinine [Mass Ratio] in Urine", "urine ACR", "mg/g", "mg/g", 0, 11, 5, 0, 30},
	lLactate:       {"2524-7", "Lactate [Moles/volume] in Serum or Plasma", "lactate", "mmol/L", "mmol/L", 1, 1.2, .3, .5, 2.2},
	lVitD:          {"62292-8", "25-Hydroxyvitamin D2+25-Hydroxyvitamin D3 [Mass/volume] in Serum or Plasma", "vitamin D", "ng/mL", "ng/mL", 0, 32, 8, 30, 100},
}

const (
	panelBMP = iota
	panelCMP
	panelCBC
	panelCBCDiff
	panelLipid
	panelUA
)

// panels are reported as one DiagnosticReport with a result per lab.
var panels = [...]struct {
	code, name string
	labs       []int
	cents      int64
}{
	panelBMP:     {"51990-0", "Basic metabolic panel - Blood", []int{lGlucose, lBUN, lCreatinine, lCalcium, lSodium, lPotassium, lChloride, lCO2}, 3840},
	panelCMP:     {"24323-8", "Comprehensive metabolic 2000 panel - Serum or Plasma", []int{lGlucose, lBUN, lCreatinine, lCalcium, lSodium, lPotassium, lChloride, lCO2, lGFR, lProtein, lAlbumin, lBilirubin, lALP, lALT, lAST}, 5420},
	panelCBC:     {"58410-2", "CBC panel - Blood by Automated count", []int{lWBC, lRBC, lHgb, lHct, lMCV, lMCH, lMCHC, lRDW, lPlatelets, lMPV}, 2910},
	panelCBCDiff: {"57021-8", "CBC W Auto Differential panel - Blood", []int{lWBC, lRBC, lHgb, lHct, lMCV, lMCH, lMCHC, lRDW, lPlatelets, lMPV, lNeutrophils, lLymphocytes, lMonocytes, lEosinophils, lBasophils}, 3580},
	panelLipid:   {"57698-3", "Lipid panel with direct LDL - Serum or Plasma", []int{lCholesterol, lTriglycerides, lLDL, lHDL}, 4150},
	panelUA:      {"24356-8", "Urinalysis complete panel - Urine", nil, 2270},
}

// dipstick fields of a urinalysis carry coded results.
var dipstick = [...]struct{ code, name string }{
	{"5792-7", "Glucose [Mass/volume] in Urine by Test strip"},
	{"5770-3", "Bilirubin.total [Presence] in Urine by Test strip"},
	{"5797-6", "Ketones [Mass/volume] in Urine by Test strip"},
	{"5794-3", "Hemoglobin [Presence] in Urine by Test strip"},
	{"5804-0", "Protein [Mass/volume] in Urine by Test strip"},
	{"5802-4", "Nitrite [Presence] in Urine by Test strip"},
	{"5799-2", "Leukocyte esterase [Presence] in Urine by Test strip"},
}

// surveys are scored answers; high is the share of positives' cut.
var surveys = [...]struct {
	code, name, short string
	max, usual        int
}{
	{"55758-7", "Patient Health Questionnaire 2 item (PHQ-2) total score [Reported]", "PHQ-2", 6, 1},
	{"44261-6", "Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]", "PHQ-9", 27, 11},
	{"70274-6", "Generalized anxiety disorder 7 item (GAD-7) total score [Reported.PHQ]", "GAD-7", 21, 4},
	{"75626-2", "Total score [AUDIT-C]", "AUDIT-C", 12, 2},
	{"82667-7", "Total score [DAST-10]", "DAST-10", 10, 1},
	{"76504-0", "Total score [HARK]", "HARK", 4, 0},
	{"59460-6", "Fall risk total [Morse Fall Scale]", "Morse fall scale", 125, 35},
	{"72106-8", "Total score [MMSE]", "MMSE", 30, 19},
}

// An imaging is a study with its report: region and what is seen in it.
type imaging struct {
	loinc, name   string
	snomed, verb  string // the procedure
	body          string
	views         string
	finds, normal []string
	cents         int64
}

const (
	iChestXR = iota + 1
	iHeadCT
	iKneeXR
	iSpineMR
	iSpineXR
	iAnkleXR
	iWristXR
	iHipXR
	iAbdCT
	iChestCT
	iMammogram
)

var imagings = [...]imaging{
	{
		"36643-5", "XR Chest 2 Views", "399208008", "Plain chest X-ray (procedure)", "chest", "PA and lateral views of the chest",
		[]string{"Patchy opacity in the right lower lobe", "Mild cardiomegaly with cephalization of vessels", "Flattened diaphragms and hyperinflated lungs", "Small left pleural effusion", "Bibasilar atelectasis"},
		[]string{"The lungs are clear", "No pleural effusion or pneumothorax", "No cardiomegaly", "The mediastinal contour is unremarkable", "No acute osseous abnormality"},
		12400,
	},
	{
		"24725-4", "CT Head", "303653007", "Computed tomography of head (procedure)", "head", "axial images of the head without contrast",
		[]string{"Chronic lacunar infarct in the left basal ganglia", "Periventricular white matter hypodensity, likely small vessel disease", "Mild generalized volume loss", "Small left frontal scalp hematoma"},
		[]string{"No acute intracranial hemorrhage", "No midline shift or mass effect", "Ventricles are normal for age", "The paranasal sinuses are clear", "No calvarial fracture"},
		64800,
	},
	{
		"37581-6", "XR Knee 3 Views", "74016001", "Knee X-ray (procedure)", "knee", "three views of the knee",
		[]string{"Medial joint space narrowing with osteophytes", "Small suprapatellar effusion", "Subchondral sclerosis of the medial compartment"},
		[]string{"No fracture or dislocation", "Bone mineralization is normal", "Patella is well centered", "No loose body"},
		9800,
	},
	{
		"24968-0", "MR Lumbar spine", "241648001", "Magnetic resonance imaging of lumbar spine (procedure)", "lumbar spine", "sagittal and axial sequences without contrast",
		[]string{"Broad based disc bulge at L4-L5 with mild canal narrowing", "Left paracentral protrusion at L5-S1 touching the S1 root", "Facet arthropathy at L4-L5"},
		[]string{"Vertebral heights are kept", "No marrow replacing lesion", "The conus ends at L1", "Alignment is normal"},
		141000,
	},
	{
		"36669-0", "XR Cervical spine 3 Views", "72872009", "X-ray of cervical spine (procedure)", "cervical spine", "AP, lateral and odontoid views",
		[]string{"Straightening of the cervical lordosis, possibly spasm", "Disc space narrowing at C5-C6"},
		[]string{"No acute fracture", "Prevertebral soft tissues are normal", "The dens is intact"},
		11200,
	},
	{
		"36571-8", "XR Ankle 3 Views", "19490002", "Ankle X-ray (procedure)", "ankle", "AP, mortise and lateral views of the ankle",
		[]string{"Lateral soft tissue swelling", "Small avulsion at the tip of the lateral malleolus"},
		[]string{"No displaced fracture", "The ankle mortise is congruent", "The talar dome is smooth"},
		9100,
	},
	{
		"37301-9", "XR Wrist 3 Views", "60027007", "Radiography of wrist (procedure)", "wrist", "PA, oblique and lateral views of the wrist",
		[]string{"Impacted distal radius fracture with 10 degrees of dorsal angulation", "Soft tissue swelling over the dorsum", "Ulnar styloid fracture"},
		[]string{"The scaphoid is intact", "Carpal alignment is normal", "No radiopaque foreign body"},
		9200,
	},
	{
		"24762-7", "XR Hip Views", "418023006", "Plain X-ray of hip (procedure)", "hip", "AP pelvis and cross table lateral views",
		[]string{"Displaced fracture of the right femoral neck", "Intertrochanteric fracture with varus angulation"},
		[]string{"The acetabulum is intact", "The pubic rami are intact", "Sacroiliac joints are symmetric"},
		10400,
	},
	{
		"41806-1", "CT Abdomen", "169070004", "Computed tomography of abdomen (procedure)", "abdomen and pelvis", "axial images after intravenous contrast",
		[]string{"Dilated appendix of 11 mm with periappendiceal stranding", "A 4 mm stone at the left ureterovesical junction with mild hydronephrosis", "Multiple gallstones without wall thickening", "Nodular liver contour with small volume ascites"},
		[]string{"No free air", "The pancreas and spleen are normal", "No bowel obstruction", "The aorta is of normal caliber", "No suspicious bone lesion"},
		118000,
	},
	{
		"24627-2", "CT Chest", "169069000", "Computed tomography of chest (procedure)", "chest", "axial images of the chest with contrast",
		[]string{"Filling defect in a right lower lobe segmental artery", "Spiculated nodule of 14 mm in the right upper lobe", "Centrilobular emphysema, upper lobe predominant", "Mediastinal nodes up to 12 mm"},
		[]string{"No central pulmonary embolus", "No pericardial effusion", "Airways are patent", "The thoracic aorta is normal"},
		97000,
	},
	{
		"24606-6", "MG Breast Screening", "71651007", "Mammography (procedure)", "breasts", "CC and MLO views of both breasts",
		[]string{"Scattered calcifications, probably benign", "New 9 mm asymmetry in the left upper outer quadrant"},
		[]string{"No dominant mass", "No suspicious calcification", "Skin and nipples are normal"},
		21300,
	},
}

const (
	pAngioplasty = iota + 1
	pSpirometry
	pDEXA
	pColonoscopy
	pThroatCulture
	pUrineCulture
	pCast
	pHipRepair
	pSuture
	pAppendectomy
	pCholecystectomy
	pIVFluids
	pECG
	pDialysis
	pChemo
	pMedRec
	pDepressionScreen
	pFundal
	pFetalHeart
	pDelivery
	pCesarean
	pEcho
	pPap
	pHearing
	pIntubation
	pOxygen
)

var procedures = [...]struct {
	code, name string
	minutes    int
	cents      int64
	note       string
}{
	{"415070008", "Percutaneous coronary intervention (procedure)", 75, 1842000, "PCI with one drug eluting stent"},
	{"127783003", "Spirometry (procedure)", 20, 21400, "spirometry"},
	{"312681000", "Bone density scan (procedure)", 25, 28800, "bone density scan"},
	{"73761001", "Colonoscopy (procedure)", 45, 142000, "colonoscopy"},
	{"117015009", "Throat culture (procedure)", 5, 4200, "throat culture"},
	{"117010004", "Urine culture (procedure)", 5, 4600, "urine culture"},
	{"274474001", "Bone immobilization (procedure)", 30, 51200, "splinting"},
	{"179406003", "Hip fracture repair (procedure)", 110, 2380000, "operative fixation of the hip"},
	{"288086009", "Suture open wound (procedure)", 25, 48700, "wound closure with 4-0 nylon"},
	{"80146002", "Appendectomy (procedure)", 60, 1341000, "laparoscopic appendectomy"},
	{"38102005", "Cholecystectomy (procedure)", 70, 1288000, "laparoscopic cholecystectomy"},
	{"430701006", "Resuscitation using intravenous fluid (procedure)", 60, 38200, "fluid resuscitation"},
	{"29303009", "Electrocardiographic procedure (procedure)", 10, 9300, "12 lead ECG"},
	{"302497006", "Hemodialysis (procedure)", 215, 61200, "hemodialysis"},
	{"367336001", "Chemotherapy (procedure)", 140, 284000, "chemotherapy infusion"},
	{"430193006", "Medication Reconciliation (procedure)", 15, 7900, "medication reconciliation"},
	{"171207006", "Depression screening (procedure)", 10, 4400, "depression screening"},
	{"274804006", "Evaluation of uterine fundal height (procedure)", 5, 6100, "fundal height measurement"},
	{"225158009", "Auscultation of the fetal heart (procedure)", 5, 6100, "fetal heart check"},
	{"66348005", "Childbirth (procedure)", 240, 984000, "vaginal delivery"},
	{"11466000", "Cesarean section (procedure)", 60, 1612000, "cesarean delivery"},
	{"40701008", "Echocardiography (procedure)", 35, 87400, "echocardiogram"},
	{"90226004", "Cytopathology procedure, preparation of smear, genital source (procedure)", 10, 11800, "Pap smear"},
	{"398171003", "Hearing examination (procedure)", 15, 7200, "hearing test"},
	{"112798008", "Insertion of endotracheal tube (procedure)", 15, 118000, "endotracheal intubation"},
	{"371908008", "Oxygen administration by mask (procedure)", 240, 24800, "oxygen by mask"},
}
