package gen

// Patterns of sentences. A dollar sign and a letter stand for a fact:
//
//	$A age   $G man, woman, boy, girl   $P He/She   $p he/she   $H his/her   $L Mr. Name   $O occupation
//	$C the condition treated   $K another condition   $k a condition that this person does not have
//	$S $T symptoms   $X $Y what is denied   $E finding   $Q plan   $V a time span   $Z a year in the past
//	$M a drug with its dose, route and frequency   $m a drug by name   $D doctor   $I place
//	$R relative   $F disease in the family   $J age of the relative   $B pressure   $U pulse
var (
	complaints = []string{"$S", "\"$S for $V\"", "Follow-up of $C", "$S and $T", "$C, recheck", "Here for $C", "$S x $V"}

	openings = []string{
		"$L is a $A $G with $C who presents with $S.",
		"This is a $A $G with a history of $K seen today for $C.",
		"$A $G, PMH significant for $K, here with $S for $V.",
		"The patient is a $A $G who reports $S over the past $V.",
		"$L returns for follow-up of $C.",
		"Pt is a $A $G w/ $C c/o $S x $V.",
		"$L, a $A $O, comes in for $C.",
		"$A $G presenting with $V of $S.",
		"I had the pleasure of seeing $L, a $A $G with $C.",
		"$L was last seen here in $Z and returns with $S.",
	}
	openingsChild = []string{
		"$L is a $A $G brought in by $H mother with $S.",
		"This is a $A $G here with both parents for $C.",
		"$A $G, previously healthy, with $V of $S.",
		"Mother reports $S for $V in this $A $G.",
		"The history is given by $H father; $p has had $S for $V.",
	}
	stories = []string{
		"$P also notes $T.",
		"$P reports $S, worse in the evening.",
		"Symptoms began about $V ago and have been stable since.",
		"$P says the $S started gradually and came on again this week.",
		"$P denies $X or $Y.",
		"No $X, no $Y.",
		"Negative for $X.",
		"There has been no $X since the last visit.",
		"$P was diagnosed with $C in $Z.",
		"$H $K has been well controlled.",
		"$P has taken $M without side effects.",
		"$P ran out of $m about $V ago.",
		"$P stopped $m on $H own because of an upset stomach.",
		"If there is any $X, $p knows to call right away.",
		"$P was told to return should $X occur.",
		"There is no evidence of $k.",
		"$P was worked up for $k in $Z, and that was ruled out.",
		"$P wonders whether this could be $k.",
		"$H $R had $F.",
		"$P rates the discomfort as mild to moderate.",
		"Rest helps, activity makes it worse.",
		"$P missed work for $V on account of it.",
		"$P has tried over-the-counter remedies with partial relief.",
		"Sleep and appetite are unchanged.",
		"Compliance with $m is good.",
		"$P checks $H pressure at home, last $B.",
		"Overall $p feels better than at the last visit.",
		"Overall $p feels about the same.",
		"$T has resolved.",
		"$P cannot recall any injury.",
		"No sick contacts, no recent travel.",
		"Of note, $p was seen at $I in $Z for $K.",
	}
	storiesChild = []string{
		"No $X, no $Y.",
		"Parents deny $X.",
		"There has been no $X.",
		"$T has improved since yesterday.",
		"Eating less than usual but drinking well.",
		"Wet diapers and urine output are normal.",
		"Up to date on immunizations.",
		"A sibling was sick last week.",
		"$P was given $m at home with some relief.",
		"$P was born at term after an uncomplicated pregnancy.",
		"Growth and development have been on track.",
		"The parents worry about $k.",
		"$H $R has $F.",
		"Symptoms began about $V ago.",
		"No recent travel, no new foods.",
		"School reports no concerns.",
		"$P sleeps through the night.",
		"Should $X occur, the parents know to come back.",
		"$P is playful between bouts of $S.",
	}
	noHistory = []string{"No significant past medical history.", "Previously healthy.", "None on record.", "Noncontributory."}
	history   = []string{"$c, diagnosed in $z", "$c since $z", "$c ($z)", "$c", "Hx of $c", "$c, stable"}

	familyLines = []string{
		"$R with $F at age $J.",
		"$R had $F, diagnosed at $J.",
		"Positive for $F in the $R.",
		"$F ($R).",
		"$R: $F, onset $J.",
		"$H $R died of $F at $J.",
	}
	noFamily = []string{"No family history of $F.", "Family history noncontributory.", "Negative for $F and $k in first degree relatives.", "Adopted, family history unknown."}

	reviews = []string{
		"Constitutional: no fever, chills or night sweats.",
		"CV: denies $X.",
		"Respiratory: no cough, no hemoptysis.",
		"GI: no nausea, vomiting or change in bowel habit.",
		"GU: no dysuria or frequency.",
		"Neuro: no headache, numbness or weakness.",
		"MSK: positive for $T, otherwise negative.",
		"Skin: no rash or itching.",
		"Psych: mood stable, denies suicidal thoughts.",
		"Positive for $S; all other systems reviewed and negative.",
		"Ten point review otherwise negative except as in the HPI.",
		"Eyes: no loss of vision. ENT: no sore throat.",
		"Heme: no easy bruising or bleeding.",
		"Endocrine: no heat or cold intolerance.",
	}

	findings = []string{
		"General: alert, in no acute distress.",
		"Gen: well developed, appears stated age.",
		"HEENT: mucous membranes moist, oropharynx clear.",
		"Neck: supple, no thyromegaly.",
		"Lungs: clear to auscultation bilaterally.",
		"Resp: no wheezes, rales or rhonchi.",
		"CV: RRR, no murmurs, rubs or gallops.",
		"Heart: normal S1 and S2.",
		"Abdomen: soft, nontender, no hepatosplenomegaly.",
		"Abd: NABS, no rebound or guarding.",
		"Extremities: no clubbing, cyanosis or edema.",
		"Ext: warm, 2+ pulses.",
		"Neuro: CN II-XII intact, strength 5/5 throughout.",
		"Skin: warm and dry, no lesions.",
		"Psych: appropriate mood and affect.",
		"Lymph: no cervical or axillary adenopathy.",
		"Back: no CVA tenderness.",
	}

	assessments = []string{
		"$A $G with $C, stable on the present regimen.",
		"$C, improving.",
		"$C - not at goal.",
		"$S, most likely due to $C; $k seems unlikely.",
		"$C without evidence of $X.",
		"$C, well controlled on $m.",
		"Patient with $C, here for $S.",
		"$C. Differential includes $k, less likely given the exam.",
		"Exam and history fit $C.",
		"$C, chronic, with mild exacerbation.",
		"$K: no change.",
	}
	plans = []string{
		"$Q.", "$Q.", "$Q.", "$Q.",
		"Continue $M.",
		"Refill $m.",
		"Discussed risks and benefits of $m; $p agrees.",
		"Consider $k if no better in $V.",
		"Return in $V or sooner for $X.",
		"Follow up with Dr. $D.",
		"Labs as ordered.",
		"Patient voiced understanding and agrees with the plan.",
		"Call for $X or $Y.",
		"Will hold $m in case of $X.",
	}

	courses = []string{
		"$L was admitted with $S and found to have $C.",
		"On arrival BP $B, pulse $U.",
		"$P was started on treatment for $C and improved over the following days.",
		"$m was continued through the stay.",
		"$K remained stable throughout.",
		"There were no episodes of $X.",
		"$k was considered but felt to be unlikely.",
		"Physical therapy saw the patient on day two.",
		"$P was weaned to room air.",
		"Pain was controlled with oral agents.",
		"Cultures showed no growth at 48 hours.",
		"The case was discussed with Dr. $D, who agreed with management.",
		"$T resolved by the day of discharge.",
		"Electrolytes were repleted as needed.",
		"$P tolerated a regular diet and walked the hall without help.",
		"Telemetry was unremarkable.",
		"Family meeting was held, and goals of care were reviewed.",
		"DVT prophylaxis was given throughout.",
		"$H home $m was held on admission and resumed before discharge.",
		"A repeat exam showed improvement: $E.",
	}
	dailies = []string{
		"No events overnight.", "Afebrile.", "Slept well.", "$S, less than yesterday.", "$T persists.", "Exam: $E.", "BP $B, HR $U.",
		"Continues $m.", "Dr. $D consulted; recommendations followed.", "No $X, no $Y.", "Out of bed to chair.", "Advanced diet.",
		"Changed to oral therapy.", "$K unchanged.", "Awaiting placement.", "Imaging showed no evidence of $k.", "Family updated at the bedside.",
		"Potassium 3.4, repleted.", "Ambulated with PT, 100 feet.", "Lines removed.", "$P asks to go home.", "Oxygen down to 1 L.", "Plan: $Q.",
	}
	dispositions = []string{
		"Discharged home in stable condition.",
		"Discharged to home with family, ambulatory.",
		"Discharged home with visiting nurse services.",
		"Transferred to a rehabilitation facility.",
		"Condition at discharge: good.",
		"Left in good spirits, afebrile for 24 hours.",
	}
	returnFor = []string{
		"Return to the ED for $X, $Y or any new concern.",
		"Seek care at once for $X.",
		"Call the clinic should $S come back.",
		"If fever over 101 F or $X, come back.",
	}
	arrivals = []string{"Arrived by private vehicle.", "Brought in by EMS, alert.", "Walked in.", "Sent from urgent care.", "Brought by family.", "Arrived by ambulance on room air."}
	edCourse = []string{
		"Triage level 3.",
		"Given fluids and reassessed; $S improved.",
		"ECG without acute ischemic changes.",
		"Reexamined at 2 hours: feeling better, vitals stable.",
		"$k was considered; low suspicion given normal vitals.",
		"Discussed with Dr. $D by phone.",
		"Received $m with relief.",
		"Pt observed in the department without events.",
		"Discharged with return precautions.",
		"No $X while in the department.",
	}
	calls = []string{
		"Patient called about $S.",
		"Called with question on $m.",
		"$L phoned: $S since yesterday, no $X.",
		"Returned call. $P reports $S but denies $X and $Y.",
		"Spoke with $H $R, who is worried about $S.",
		"Left voicemail x2, then reached the patient.",
		"Asks if $m can be taken with food.",
		"Requests refill of $M.",
		"Lab results reviewed by phone.",
		"Advised: $Q.",
		"Told to go to the ED for $X.",
		"Appointment offered within $V.",
		"Verbalized understanding.",
		"Pharmacy confirmed, allergies checked.",
		"Message sent to Dr. $D.",
	}
	consults = []string{
		"Thank you for asking us to see $L regarding $C.",
		"Asked by Dr. $D to evaluate $S.",
		"Consult requested for management of $C.",
		"We appreciate the referral of this $A $G.",
	}
	impressions = []string{
		"No acute findings.", "No acute cardiopulmonary process.", "Findings as above, correlate clinically.", "Stable compared with the prior study.",
		"No significant change from $Z.", "Recommend follow-up imaging in 6 months.", "Cannot exclude early $k.",
	}
	smokes = [3][]string{
		{"Never smoker.", "Denies tobacco use.", "No tobacco, ever.", "Lifelong nonsmoker."},
		{"Former smoker, quit in $Z.", "Ex-smoker, # pack-years.", "Quit smoking $V ago after # pack-years.", "Tobacco: former, # pk-yrs."},
		{"Current smoker, # pack-years.", "Smokes half a pack a day, not ready to quit.", "Tobacco: 1 ppd, # pack-years.", "Continues to smoke; counseled to quit."},
	}
	drinksNone = []string{"No alcohol.", "Denies EtOH.", "Does not drink.", "EtOH: none."}
	drinksSome = []string{"About # drinks a week.", "EtOH: social, # per week.", "Drinks # beers on weekends.", "Alcohol: # drinks/wk, no withdrawal history."}
	social     = []string{"Works as a $O.", "Lives alone in a second floor apartment.", "Lives with family.", "Retired.", "No recreational drugs.", "Denies illicit drug use.", "Walks the dog daily.", "Independent in ADLs.", "Exercises twice a week."}
	socialKid  = []string{"Lives with both parents.", "Attends school, doing well.", "No smokers at home.", "One older sibling, healthy.", "In daycare three days a week."}
)

// Headings: one row per section; a style picks the column, and the way a
// heading is set off from its text.
type section uint8

const (
	sCC section = iota
	sHPI
	sPMH
	sMeds
	sAllergies
	sFH
	sSH
	sROS
	sVitals
	sExam
	sLabs
	sAssessment
	sPlan
	sCourse
	sDisposition
	sInstructions
	sED
)

var headings = [...][3]string{
	sCC:           {"CHIEF COMPLAINT", "Reason for visit", "CC"},
	sHPI:          {"HISTORY OF PRESENT ILLNESS", "History of present illness", "HPI"},
	sPMH:          {"PAST MEDICAL HISTORY", "Past medical history", "PMH"},
	sMeds:         {"MEDICATIONS", "Current medications", "Meds"},
	sAllergies:    {"ALLERGIES", "Allergies and intolerances", "All"},
	sFH:           {"FAMILY HISTORY", "Family history", "FH"},
	sSH:           {"SOCIAL HISTORY", "Social history", "SH"},
	sROS:          {"REVIEW OF SYSTEMS", "Review of systems", "ROS"},
	sVitals:       {"VITAL SIGNS", "Vital signs", "VS"},
	sExam:         {"PHYSICAL EXAMINATION", "Physical exam", "PE"},
	sLabs:         {"LABORATORY DATA", "Results", "Labs"},
	sAssessment:   {"ASSESSMENT", "Impression", "A"},
	sPlan:         {"PLAN", "Plan and recommendations", "P"},
	sCourse:       {"HOSPITAL COURSE", "Course in hospital", "Hosp course"},
	sDisposition:  {"DISPOSITION", "Discharge condition", "Dispo"},
	sInstructions: {"DISCHARGE INSTRUCTIONS", "Instructions to the patient", "Instr"},
	sED:           {"EMERGENCY DEPARTMENT COURSE", "ED course", "ED course"},
}

// layouts by kind of note: the orders in which authors set the sections.
var layouts = [...][][]section{
	progressNote: {
		{sCC, sHPI, sPMH, sMeds, sAllergies, sVitals, sExam, sLabs, sAssessment, sPlan},
		{sHPI, sROS, sVitals, sExam, sLabs, sAssessment, sPlan},
		{sCC, sHPI, sMeds, sVitals, sExam, sAssessment, sPlan, sAllergies},
		{sHPI, sVitals, sAssessment, sPlan},
		{sAssessment, sPlan, sHPI, sVitals, sLabs, sMeds},
	},
	historyPhysical: {
		{sCC, sHPI, sPMH, sFH, sSH, sMeds, sAllergies, sROS, sVitals, sExam, sLabs, sAssessment, sPlan},
		{sCC, sHPI, sROS, sPMH, sMeds, sAllergies, sSH, sFH, sExam, sVitals, sAssessment, sPlan},
		{sHPI, sAllergies, sMeds, sPMH, sSH, sFH, sVitals, sExam, sPlan},
	},
	dischargeSummary: {
		{sCC, sHPI, sPMH, sAllergies, sCourse, sLabs, sVitals, sExam, sMeds, sDisposition, sInstructions},
		{sAssessment, sHPI, sCourse, sMeds, sLabs, sDisposition, sInstructions},
		{sHPI, sPMH, sFH, sSH, sMeds, sAllergies, sExam, sLabs, sCourse, sDisposition, sPlan, sInstructions},
	},
	consultNote: {
		{sCC, sHPI, sPMH, sMeds, sAllergies, sFH, sSH, sROS, sExam, sLabs, sAssessment, sPlan},
		{sHPI, sPMH, sFH, sMeds, sVitals, sExam, sAssessment, sPlan},
	},
	edNote: {
		{sCC, sHPI, sPMH, sMeds, sAllergies, sROS, sVitals, sExam, sLabs, sED, sAssessment, sDisposition},
		{sCC, sVitals, sHPI, sExam, sED, sAssessment, sPlan},
		{sHPI, sROS, sPMH, sSH, sVitals, sExam, sED, sLabs, sAssessment, sInstructions},
	},
}
