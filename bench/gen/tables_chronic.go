package gen

import "strings"

// flag marks a condition that others depend on: risk, laboratory values,
// treatment and the wording of notes ask for it.
type flag uint32

const (
	fObesity flag = 1 << iota
	fPrediabetes
	fDiabetes
	fHypertension
	fLipids
	fCoronary
	fHeartFailure
	fAfib
	fStroke
	fCOPD
	fAsthma
	fCKD3
	fCKD4
	fDialysis
	fHypothyroid
	fAnemia
	fDementia
	fDepression
	fAnxiety
	fGout
	fRA
	fCancer
	fProstate
	fOpioid
	fPregnant
	fInfection
	fMI
	fSmokeRelated
	fLiver
	fRenalDiabetic
)

// A condition is a disease as coded and as clinicians write about it. The
// phrase lists are split on '|' once: says are names after "has"; symptoms and
// negatives follow "reports" and "denies"; exam holds findings; plan holds
// what to do, as an imperative.
type condition struct {
	code, name, icd string
	flag            flag
	men, women      float64 // share that ever has it by the age of 90
	onset, spread   float64 // years: median age at onset and its spread
	risk            flag    // conditions that raise the share
	riskBy          float64
	needs           flag // conditions without which it does not occur
	smoking         float64
	drugs           []int
	follow          float64 // visits a year on its account
	stay            bool    // may lead to admissions
	days            int     // acute: usual length in days; 0 is chronic
	sev             careKind
	imaging         int // index into imagings plus one
	proc            int // index into procedures plus one

	phrases  string // says # symptoms # negatives # exam # plan
	says     []string
	symptoms []string
	negative []string
	exam     []string
	plan     []string
}

type careKind uint8

const (
	careOffice careKind = iota
	careUrgent
	careED
	careInpatient
)

func prepare(list []condition) []condition {
	for i := range list {
		c := &list[i]
		parts := strings.Split(c.phrases, "#")
		for j, dst := range []*[]string{&c.says, &c.symptoms, &c.negative, &c.exam, &c.plan} {
			*dst = strings.Split(parts[j], "|")
		}
	}
	return list
}

// chronic is in the order in which the conditions are drawn: what raises the
// risk of others comes first.
var chronic = prepare([]condition{
	{
		code: "162864005", name: "Body mass index 30+ - obesity (finding)", icd: "E66.9", flag: fObesity, men: .38, women: .41, onset: 36, spread: 14, follow: .1,
		phrases: "obesity|class I obesity|excess weight|a BMI over 30#weight gain|trouble losing weight|fatigue on exertion#daytime sleepiness|joint pain#Abdomen obese, soft and nontender|Body habitus obese#Discussed a calorie deficit of 500 kcal a day|Refer to nutrition counseling|Encourage 150 minutes of moderate activity a week",
	},
	{
		code: "15777000", name: "Prediabetes", icd: "R73.03", flag: fPrediabetes, men: .42, women: .38, onset: 46, spread: 13, risk: fObesity, riskBy: 1.5, follow: .2,
		phrases: "prediabetes|impaired fasting glucose|borderline diabetes#fatigue|increased appetite#polyuria|polydipsia|blurred vision#No acanthosis nigricans|Skin without acanthosis#Repeat HbA1c in 6 months|Continue lifestyle changes for glucose|Reduce sweetened drinks",
	},
	{
		code: "44054006", name: "Diabetes mellitus type 2 (disorder)", icd: "E11.9", flag: fDiabetes, men: .22, women: .19, onset: 54, spread: 11, risk: fObesity | fPrediabetes, riskBy: 1.45, drugs: []int{dMetformin, dMetforminXR, dInsulin}, follow: 2.2, stay: true,
		phrases: "type 2 diabetes mellitus|T2DM|type 2 diabetes|DM2|adult-onset diabetes#polyuria|increased thirst|fasting sugars in the 160s|occasional low sugars before lunch|tingling in both feet#hypoglycemia|polydipsia|blurred vision|foot ulcers#Monofilament sensation intact in both feet|Feet without ulcers, pulses 2+|Reduced vibration sense at the great toes#Continue metformin and check HbA1c in 3 months|Annual dilated eye exam ordered|Urine albumin to creatinine ratio today|Foot care reviewed|Home glucose log to be brought to the next visit",
	},
	{
		code: "368581000119106", name: "Neuropathy due to type 2 diabetes mellitus (disorder)", icd: "E11.42", men: .30, women: .28, onset: 62, spread: 8, needs: fDiabetes, drugs: []int{dGabapentin, dPregabalin}, follow: .3,
		phrases: "diabetic peripheral neuropathy|diabetic neuropathy|painful neuropathy of both feet#burning feet at night|numb toes|pins and needles in a stocking pattern#falls|open sores on the feet#Decreased pinprick to mid calf|Ankle reflexes absent bilaterally#Titrate gabapentin as tolerated|Daily foot inspection|Podiatry referral",
	},
	{
		code: "127013003", name: "Diabetic renal disease (disorder)", icd: "E11.21", flag: fRenalDiabetic, men: .24, women: .22, onset: 63, spread: 8, needs: fDiabetes, drugs: []int{dLosartan}, follow: .3,
		phrases: "diabetic nephropathy|diabetic kidney disease|albuminuria from diabetes#foamy urine|ankle swelling#hematuria|flank pain#Trace ankle edema|No costovertebral angle tenderness#Keep systolic pressure under 130|Avoid NSAIDs|Recheck creatinine and potassium in 2 weeks",
	},
	{
		code: "1551000119108", name: "Nonproliferative retinopathy due to type 2 diabetes mellitus (disorder)", icd: "E11.319", men: .17, women: .16, onset: 64, spread: 8, needs: fDiabetes, follow: .2,
		phrases: "nonproliferative diabetic retinopathy|background retinopathy|NPDR#slight blurring of near vision|floaters#sudden visual loss|eye pain#Visual acuity 20/40 in both eyes|Fundi not well seen undilated#Ophthalmology follow-up in 6 months|Tighten glucose control slowly",
	},
	{
		code: "59621000", name: "Essential hypertension (disorder)", icd: "I10", flag: fHypertension, men: .52, women: .49, onset: 51, spread: 13, risk: fObesity | fDiabetes, riskBy: 1.4, drugs: []int{dLisinopril, dHCTZ, dAmlodipine, dLosartan, dLisinopril20}, follow: 1.1,
		phrases: "hypertension|HTN|high blood pressure|essential hypertension#home pressures around 150/90|occasional morning headache|lightheadedness on standing#chest pain|headache|visual change|palpitations#Heart regular without gallop|No carotid bruit|Fundi without hemorrhage#Continue present antihypertensives|Low sodium diet|Home pressure log twice a week|Increase lisinopril if above goal at the next visit|BMP in 2 weeks",
	},
	{
		code: "55822004", name: "Hyperlipidemia (disorder)", icd: "E78.5", flag: fLipids, men: .45, women: .42, onset: 50, spread: 12, risk: fObesity | fDiabetes, riskBy: 1.3, drugs: []int{dSimvastatin, dAtorvastatin}, follow: .4,
		phrases: "hyperlipidemia|high cholesterol|dyslipidemia|HLD#no symptoms of note|occasional calf cramps#muscle pain|dark urine|weakness#No xanthelasma|No tendon xanthomas#Continue statin at bedtime|Fasting lipid panel before the next visit|Mediterranean style diet",
	},
	{
		code: "53741008", name: "Coronary arteriosclerosis (disorder)", icd: "I25.10", flag: fCoronary, men: .17, women: .09, onset: 64, spread: 10, risk: fDiabetes | fHypertension | fLipids, riskBy: 1.3, smoking: 1.5, drugs: []int{dAspirin, dClopidogrel, dMetoprolol, dNitroglycerin}, follow: 1.1, stay: true,
		phrases: "coronary artery disease|CAD|coronary disease|ischemic heart disease#chest tightness on stairs|exertional dyspnea|pressure in the chest relieved by rest#rest pain|orthopnea|syncope|palpitations#Regular rate and rhythm, no murmur|No S3|Distal pulses full#Continue aspirin and statin|Nitroglycerin as needed, call 911 if not relieved|Stress test if symptoms progress|Cardiac rehabilitation encouraged",
	},
	{
		code: "22298006", name: "Myocardial infarction (disorder)", icd: "I21.9", flag: fMI, men: .30, women: .24, onset: 67, spread: 10, needs: fCoronary, drugs: []int{dClopidogrel, dCarvedilol}, follow: .4, stay: true, proc: pAngioplasty,
		phrases: "prior myocardial infarction|previous MI|an old heart attack|history of NSTEMI#crushing chest pain|left arm heaviness|cold sweats#chest pain|dyspnea at rest#PMI displaced laterally|Lungs clear bases#Dual antiplatelet therapy for 12 months|Echo to reassess ejection fraction|Beta blocker as tolerated",
	},
	{
		code: "84114007", name: "Heart failure (disorder)", icd: "I50.9", flag: fHeartFailure, men: .16, women: .14, onset: 71, spread: 9, risk: fCoronary | fHypertension, riskBy: 1.4, drugs: []int{dFurosemide, dCarvedilol, dLisinopril}, follow: 2, stay: true, imaging: iChestXR,
		phrases: "heart failure|CHF|congestive heart failure|HFrEF|chronic systolic heart failure#dyspnea walking one block|two pillow orthopnea|weight up 4 pounds in a week|leg swelling#PND|chest pain|syncope#Bibasilar crackles|JVP at 10 cm|2+ pitting edema to the knees|Trace edema only#Daily weights, call for 3 pounds in a day|2 g sodium diet|Continue furosemide, adjust to weight|Repeat BNP and BMP",
	},
	{
		code: "49436004", name: "Atrial fibrillation (disorder)", icd: "I48.91", flag: fAfib, men: .15, women: .12, onset: 71, spread: 9, risk: fHeartFailure | fHypertension, riskBy: 1.4, drugs: []int{dWarfarin, dDigoxin, dVerapamil}, follow: 1.6, stay: true,
		phrases: "atrial fibrillation|AF|a-fib|paroxysmal atrial fibrillation#palpitations|a fluttering heart|reduced exercise tolerance#bleeding|black stools|syncope#Irregularly irregular rhythm|Rate controlled, no murmur#INR today, goal 2 to 3|Continue rate control|Bleeding precautions reviewed",
	},
	{
		code: "230690007", name: "Cerebrovascular accident (disorder)", icd: "I63.9", flag: fStroke, men: .11, women: .10, onset: 72, spread: 10, risk: fAfib | fHypertension, riskBy: 1.5, smoking: 1.2, drugs: []int{dClopidogrel, dAtorvastatin}, follow: .6, stay: true, imaging: iHeadCT,
		phrases: "prior stroke|ischemic stroke|CVA|a left MCA stroke#residual right arm weakness|slurred speech when tired|unsteady gait#new weakness|diplopia|dysphagia#Right arm strength 4/5|Mild right facial droop|Gait slow with a cane#Continue antiplatelet therapy|Physical therapy twice a week|Fall precautions at home",
	},
	{
		code: "399957001", name: "Peripheral arterial disease (disorder)", icd: "I73.9", men: .10, women: .07, onset: 69, spread: 9, risk: fDiabetes | fCoronary, riskBy: 1.6, smoking: 2, drugs: []int{dAspirin}, follow: .3,
		phrases: "peripheral arterial disease|PAD|claudication#calf pain after two blocks|cold feet#rest pain|foot ulcers#Dorsalis pedis pulses 1+ bilaterally|Feet cool, capillary refill 3 seconds#Walking program|Ankle brachial index ordered",
	},
	{
		code: "13645005", name: "Chronic obstructive lung disease (disorder)", icd: "J44.9", flag: fCOPD | fSmokeRelated, men: .07, women: .07, onset: 62, spread: 9, smoking: 3.2, drugs: []int{dAlbuterol, dAdvair}, follow: 1.2, stay: true, imaging: iChestXR, proc: pSpirometry,
		phrases: "COPD|chronic obstructive pulmonary disease|emphysema|chronic bronchitis#morning cough with white sputum|dyspnea on one flight|wheezing at night#hemoptysis|fever|chest pain#Scattered expiratory wheezes|Prolonged expiration, diminished at bases|Barrel chest#Continue inhalers, technique checked|Smoking cessation urged|Pulmonary rehabilitation referral|Spirometry this year",
	},
	{
		code: "195967001", name: "Asthma (disorder)", icd: "J45.909", flag: fAsthma, men: .11, women: .13, onset: 12, spread: 10, drugs: []int{dAlbuterol, dFluticasone}, follow: .8, stay: true, proc: pSpirometry,
		phrases: "asthma|mild persistent asthma|reactive airway disease|exercise-induced asthma#wheezing after exercise|night cough twice a week|rescue inhaler use three times this week#night waking|dyspnea at rest#Faint end-expiratory wheeze|Lungs clear, good air movement#Continue controller inhaler|Asthma action plan reviewed|Spacer teaching done",
	},
	{
		code: "61582004", name: "Allergic rhinitis (disorder)", icd: "J30.9", men: .20, women: .22, onset: 14, spread: 9, drugs: []int{dLoratadine}, follow: .2,
		phrases: "allergic rhinitis|hay fever|seasonal allergies#sneezing in spring|itchy eyes|clear nasal drainage#sinus pain|fever#Boggy pale turbinates|Allergic shiners#Daily antihistamine in season|Nasal saline rinses",
	},
	{
		code: "24079001", name: "Atopic dermatitis (disorder)", icd: "L20.9", men: .10, women: .11, onset: 4, spread: 5, drugs: []int{dHydrocortisone}, follow: .3,
		phrases: "atopic dermatitis|eczema#itchy elbows and knees|dry skin in winter#oozing|fever#Lichenified plaques at the flexures|Dry erythematous patches on both arms#Emollient twice daily|Short course of topical steroid",
	},
	{
		code: "431857002", name: "Chronic kidney disease stage 4 (disorder)", icd: "N18.4", flag: fCKD4, men: .06, women: .055, onset: 68, spread: 8, risk: fRenalDiabetic | fHypertension, riskBy: 1.9, follow: 1.4, stay: true,
		phrases: "stage 4 chronic kidney disease|CKD 4|advanced CKD#fatigue|itching|poor appetite#dysuria|metallic taste#Mild periorbital edema|Skin dry with excoriations#Nephrology co-management|Vein preservation, no draws from the left arm|Renal diet",
	},
	{
		code: "433144002", name: "Chronic kidney disease stage 3 (disorder)", icd: "N18.30", flag: fCKD3, men: .13, women: .15, onset: 69, spread: 9, risk: fDiabetes | fHypertension, riskBy: 1.5, follow: .5,
		phrases: "stage 3 chronic kidney disease|CKD 3|moderate CKD|chronic kidney disease#nocturia|fatigue#hematuria|flank pain#No edema|No renal bruit#Avoid NSAIDs and contrast|Repeat BMP in 3 months|Renally dose medications",
	},
	{
		code: "46177005", name: "End-stage renal disease (disorder)", icd: "N18.6", flag: fDialysis, men: .5, women: .45, onset: 68, spread: 7, needs: fCKD4, follow: 1, stay: true,
		phrases: "end-stage renal disease|ESRD|ESRD on hemodialysis#cramps during dialysis|fatigue after treatment#access site bleeding|fever#AV fistula with thrill and bruit|Access site clean#Hemodialysis three times a week|Phosphate binder with meals|Transplant evaluation discussed",
	},
	{
		code: "271737000", name: "Anemia (disorder)", icd: "D64.9", flag: fAnemia, men: .10, women: .20, onset: 44, spread: 19, risk: fCKD3 | fCKD4, riskBy: 1.6, drugs: []int{dIron}, follow: .4,
		phrases: "anemia|iron deficiency anemia|IDA|chronic anemia#fatigue|exertional dyspnea|craving ice#melena|hematochezia|heavy menses#Conjunctival pallor|Skin pale, capillary refill normal#Oral iron every other day|Repeat CBC in 8 weeks|Stool blood testing",
	},
	{
		code: "40930008", name: "Hypothyroidism (disorder)", icd: "E03.9", flag: fHypothyroid, men: .04, women: .13, onset: 49, spread: 14, drugs: []int{dLevothyroxine}, follow: .6,
		phrases: "hypothyroidism|underactive thyroid|Hashimoto thyroiditis#cold intolerance|constipation|dry hair#palpitations|tremor|weight loss#Thyroid without nodules|Delayed ankle reflex relaxation#Continue levothyroxine on an empty stomach|TSH in 6 weeks",
	},
	{
		code: "235595009", name: "Gastroesophageal reflux disease (disorder)", icd: "K21.9", men: .22, women: .24, onset: 46, spread: 14, drugs: []int{dOmeprazole}, follow: .2,
		phrases: "GERD|gastroesophageal reflux disease|acid reflux|reflux#heartburn after meals|sour taste at night|throat clearing#dysphagia|odynophagia|weight loss|melena#Epigastrium soft and nontender|Abdomen benign#Omeprazole before breakfast for 8 weeks|Raise the head of the bed|EGD if alarm features appear",
	},
	{
		code: "396275006", name: "Osteoarthritis (disorder)", icd: "M19.90", men: .32, women: .42, onset: 59, spread: 10, risk: fObesity, riskBy: 1.3, drugs: []int{dAcetaminophen, dNaproxen}, follow: .3, imaging: iKneeXR,
		phrases: "osteoarthritis|OA|degenerative joint disease|knee osteoarthritis#knee pain on stairs|morning stiffness for 15 minutes|hand pain with gripping#locking|joint redness|fever#Crepitus of both knees|Heberden nodes|Mild effusion of the right knee#Acetaminophen first, topical diclofenac next|Quadriceps strengthening|Steroid injection if no better",
	},
	{
		code: "64859006", name: "Osteoporosis (disorder)", icd: "M81.0", men: .07, women: .38, onset: 66, spread: 8, drugs: []int{dAlendronate}, follow: .2, proc: pDEXA,
		phrases: "osteoporosis|low bone density|postmenopausal osteoporosis#loss of height|mid back pain#recent falls|hip pain#Mild kyphosis|Spine nontender to percussion#DEXA every 2 years|Calcium and vitamin D|Alendronate with a full glass of water",
	},
	{
		code: "278860009", name: "Chronic low back pain (finding)", icd: "M54.50", men: .23, women: .24, onset: 44, spread: 13, drugs: []int{dNaproxen, dTramadol}, follow: .4, imaging: iSpineMR,
		phrases: "chronic low back pain|LBP|lumbago|lumbar disc disease#aching low back|pain down the left leg|stiffness after sitting#saddle anesthesia|leg weakness|bowel or bladder change#Paraspinal tenderness at L4-L5|Straight leg raise negative bilaterally|Straight leg raise positive at 40 degrees on the left#Core strengthening|Physical therapy referral|MRI only if red flags",
	},
	{
		code: "69896004", name: "Rheumatoid arthritis (disorder)", icd: "M06.9", flag: fRA, men: .012, women: .03, onset: 50, spread: 12, smoking: 1.4, drugs: []int{dMethotrexate, dPrednisone}, follow: 2,
		phrases: "rheumatoid arthritis|RA|seropositive rheumatoid arthritis#morning stiffness over an hour|swollen knuckles|fatigue#eye redness|dyspnea|mouth sores#Synovitis of the MCP joints|Ulnar drift of the fingers#Methotrexate weekly with folic acid|CBC and LFTs every 3 months|Rheumatology follow-up",
	},
	{
		code: "90560007", name: "Gout (disorder)", icd: "M10.9", flag: fGout, men: .09, women: .03, onset: 55, spread: 12, risk: fObesity | fCKD3, riskBy: 1.6, drugs: []int{dAllopurinol}, follow: .4,
		phrases: "gout|gouty arthritis|podagra#sudden pain of the great toe|two flares this year#fever|trauma#First MTP joint red and exquisitely tender|Tophus at the left elbow#Uric acid goal under 6|Continue allopurinol through flares|Limit beer and organ meats",
	},
	{
		code: "370143000", name: "Major depressive disorder (disorder)", icd: "F32.A", flag: fDepression, men: .12, women: .21, onset: 32, spread: 14, drugs: []int{dFluoxetine, dSertraline}, follow: 1,
		phrases: "depression|MDD|major depressive disorder|recurrent depression#low mood most days|poor sleep|loss of interest|poor concentration#suicidal ideation|homicidal ideation|hallucinations#Affect flat, thought linear|Tearful but engaged|Good eye contact, mood improved#Continue SSRI|Cognitive behavioral therapy referral|PHQ-9 at each visit|Safety plan reviewed",
	},
	{
		code: "197480006", name: "Anxiety disorder (disorder)", icd: "F41.9", flag: fAnxiety, men: .11, women: .19, onset: 29, spread: 13, drugs: []int{dSertraline, dAlprazolam}, follow: .6,
		phrases: "anxiety|generalized anxiety disorder|GAD|an anxiety disorder#constant worry|panic spells twice a month|trouble falling asleep#suicidal ideation|substance use#Mildly anxious, speech normal|Fidgeting during the interview#Breathing exercises|SSRI, avoid long-term benzodiazepines|Counseling referral",
	},
	{
		code: "37796009", name: "Migraine (disorder)", icd: "G43.909", men: .07, women: .18, onset: 26, spread: 9, drugs: []int{dNaproxen}, follow: .4,
		phrases: "migraine|migraine with aura|migraine headaches#throbbing unilateral headache|photophobia|nausea with headache#thunderclap onset|fever|focal weakness#Cranial nerves II-XII intact|Neck supple#Headache diary|Triptan at onset|Avoid known triggers",
	},
	{
		code: "84757009", name: "Epilepsy (disorder)", icd: "G40.909", men: .012, women: .011, onset: 18, spread: 16, drugs: []int{dGabapentin}, follow: 1, stay: true, imaging: iHeadCT,
		phrases: "epilepsy|seizure disorder|complex partial seizures#a brief staring spell|one seizure since the last visit#tongue biting|missed doses|incontinence#Neurologic exam nonfocal|No nystagmus#Seizure precautions, no driving|Drug level at the next visit",
	},
	{
		code: "73430006", name: "Sleep apnea (disorder)", icd: "G47.33", men: .16, women: .08, onset: 48, spread: 11, risk: fObesity, riskBy: 1.9, follow: .2,
		phrases: "obstructive sleep apnea|OSA|sleep apnea on CPAP#loud snoring|unrefreshing sleep|mask leak#morning headache|drowsy driving#Crowded oropharynx, Mallampati III|Neck circumference 17 inches#CPAP nightly, download reviewed|Weight loss|Avoid sedatives",
	},
	{
		code: "266569009", name: "Benign prostatic hyperplasia (disorder)", icd: "N40.1", flag: fProstate, men: .42, women: 0, onset: 63, spread: 9, drugs: []int{dTamsulosin}, follow: .3,
		phrases: "BPH|benign prostatic hyperplasia|an enlarged prostate#weak stream|nocturia three times|urgency#hematuria|retention|dysuria#Prostate smooth, mildly enlarged|No suprapubic fullness#Continue tamsulosin at bedtime|Limit evening fluids",
	},
	{
		code: "26929004", name: "Alzheimer's disease (disorder)", icd: "G30.9", flag: fDementia, men: .11, women: .16, onset: 79, spread: 6, drugs: []int{dDonepezil, dMemantine}, follow: 1, stay: true,
		phrases: "Alzheimer disease|dementia|Alzheimer dementia|memory loss#forgetting recent conversations|getting lost while driving|misplacing keys#hallucinations|aggression|choking#Oriented to person only|Recalls 1 of 3 words|Pleasant, repeats questions#Continue donepezil|Caregiver support resources given|Home safety evaluation",
	},
	{
		code: "254837009", name: "Malignant neoplasm of breast (disorder)", icd: "C50.919", flag: fCancer, men: 0, women: .14, onset: 60, spread: 12, drugs: []int{dAnastrozole, dDocetaxel}, follow: 1.4, stay: true, imaging: iMammogram,
		phrases: "breast cancer|invasive ductal carcinoma|carcinoma of the left breast#hot flashes on therapy|fatigue|a lump noted in the shower#bone pain|weight loss|headache#Left breast with healed lumpectomy scar|No axillary adenopathy|Firm 2 cm mass at 2 o'clock#Continue aromatase inhibitor|Annual mammogram|Oncology follow-up in 3 months",
	},
	{
		code: "399068003", name: "Malignant tumor of prostate (disorder)", icd: "C61", flag: fCancer | fProstate, men: .11, women: 0, onset: 68, spread: 8, drugs: []int{dLeuprolide}, follow: 1.2,
		phrases: "prostate cancer|adenocarcinoma of the prostate|Gleason 7 prostate cancer#hot flashes|urinary leakage|slow stream#bone pain|hematuria|weight loss#Prostate firm on the right|No spinal tenderness#PSA every 6 months|Continue androgen deprivation|Bone health review",
	},
	{
		code: "363406005", name: "Malignant tumor of colon (disorder)", icd: "C18.9", flag: fCancer, men: .04, women: .036, onset: 67, spread: 10, drugs: []int{dOxaliplatin, dOndansetron}, follow: 1.6, stay: true, imaging: iAbdCT, proc: pColonoscopy,
		phrases: "colon cancer|adenocarcinoma of the colon|stage III colon cancer#narrow stools|fatigue|numb fingers after chemotherapy#obstipation|vomiting|rectal bleeding#Midline scar well healed|No hepatomegaly#Continue FOLFOX, cycle as scheduled|CEA every 3 months|Surveillance colonoscopy at 1 year",
	},
	{
		code: "254637007", name: "Non-small cell lung cancer (disorder)", icd: "C34.90", flag: fCancer | fSmokeRelated, men: .02, women: .018, onset: 68, spread: 8, smoking: 5, drugs: []int{dDocetaxel, dOndansetron}, follow: 2, stay: true, imaging: iChestCT,
		phrases: "non-small cell lung cancer|NSCLC|lung adenocarcinoma#persistent cough|weight loss of 12 pounds|blood-streaked sputum#bone pain|headache|seizure#Decreased breath sounds at the right apex|No clubbing#Restaging CT in 6 weeks|Palliative care introduced|Antiemetics before treatment",
	},
	{
		code: "5602001", name: "Opioid abuse (disorder)", icd: "F11.10", flag: fOpioid, men: .03, women: .02, onset: 31, spread: 9, drugs: []int{dBuprenorphine}, follow: 2.2,
		phrases: "opioid use disorder|OUD|opioid dependence in remission#cravings under stress|poor sleep#injection use|overdose|withdrawal symptoms#No track marks|Pupils 3 mm and reactive#Continue buprenorphine|Naloxone kit given|Urine drug screen today",
	},
	{
		code: "19943007", name: "Cirrhosis of liver (disorder)", icd: "K74.60", flag: fLiver, men: .012, women: .008, onset: 57, spread: 10, drugs: []int{dFurosemide}, follow: 1.6, stay: true, imaging: iAbdCT,
		phrases: "cirrhosis|alcoholic cirrhosis|compensated cirrhosis#abdominal swelling|easy bruising|fatigue#hematemesis|confusion|melena#Shifting dullness|Spider angiomata on the chest|No asterixis#Ultrasound every 6 months|Abstain from alcohol|Variceal screening by EGD",
	},
	{
		code: "406506008", name: "Attention deficit hyperactivity disorder (disorder)", icd: "F90.9", men: .11, women: .06, onset: 8, spread: 3, follow: .7,
		phrases: "ADHD|attention deficit hyperactivity disorder#trouble finishing homework|fidgeting in class#tics|chest pain|poor appetite#Alert, distractible, cooperative|Cardiac exam normal#School accommodations letter|Weight and pressure at each visit",
	},
})
