package gen

// acute conditions end by themselves. Here men and women are weights among
// episodes, and onset and spread are the first and last age of the episode.
var acute = prepare([]condition{
	{
		code: "444814009", name: "Viral sinusitis (disorder)", icd: "J01.90", men: 14, women: 16, onset: 4, spread: 95, days: 14, flag: fInfection, drugs: []int{dColdSyrup},
		phrases: "viral sinusitis|acute sinusitis|a sinus infection#facial pressure|nasal congestion for 5 days|thick drainage#fever|visual change|neck stiffness#Maxillary sinuses tender|Turbinates swollen, clear mucus#Saline rinses and rest|Return if worse after day 10",
	},
	{
		code: "195662009", name: "Acute viral pharyngitis (disorder)", icd: "J02.9", men: 12, women: 13, onset: 3, spread: 70, days: 9, flag: fInfection, drugs: []int{dIbuprofen}, proc: pThroatCulture,
		phrases: "viral pharyngitis|a sore throat|acute pharyngitis#sore throat for 2 days|pain on swallowing|hoarse voice#drooling|rash|stiff neck#Pharynx red without exudate|Shotty cervical nodes#Warm fluids and lozenges|Culture sent, will call if positive",
	},
	{
		code: "43878008", name: "Streptococcal sore throat (disorder)", icd: "J02.0", men: 5, women: 5, onset: 4, spread: 35, days: 10, flag: fInfection, drugs: []int{dPenicillin, dAmoxicillin}, proc: pThroatCulture,
		phrases: "strep throat|streptococcal pharyngitis|strep pharyngitis#sore throat and fever|headache with sore throat#cough|runny nose|trismus#Tonsils 3+ with exudate|Tender anterior cervical nodes|Palatal petechiae#Ten days of penicillin|Out of school for 24 hours",
	},
	{
		code: "10509002", name: "Acute bronchitis (disorder)", icd: "J20.9", men: 12, women: 12, onset: 2, spread: 95, days: 18, flag: fInfection, imaging: iChestXR, drugs: []int{dColdSyrup, dAlbuterol},
		phrases: "acute bronchitis|bronchitis|a chest cold#cough for 8 days|yellow sputum|chest soreness from coughing#hemoptysis|dyspnea|rigors#Scattered rhonchi clearing with cough|No focal consolidation#Supportive care, no antibiotics|Honey at bedtime|Chest film if fever returns",
	},
	{
		code: "65363002", name: "Otitis media (disorder)", icd: "H66.90", men: 40, women: 38, onset: 0, spread: 9, days: 11, flag: fInfection, drugs: []int{dAmoxicillin, dAmoxClav},
		phrases: "otitis media|acute otitis media|AOM|an ear infection#ear pulling|fever overnight|fussiness and poor sleep#ear drainage|vomiting|rash#Right tympanic membrane bulging and red|Left TM dull with poor movement#High dose amoxicillin for 10 days|Recheck ears in 3 weeks",
	},
	{
		code: "840539006", name: "COVID-19 (disorder)", icd: "U07.1", men: 9, women: 9, onset: 1, spread: 95, days: 15, flag: fInfection, sev: careUrgent, imaging: iChestXR, drugs: []int{dAcetaminophen},
		phrases: "COVID-19|COVID|SARS-CoV-2 infection|coronavirus infection#loss of taste|fever and body aches|dry cough|fatigue#shortness of breath|chest pain|confusion#Oxygen saturation stable on room air|Lungs clear to auscultation#Isolate for 5 days|Home pulse oximeter|Return for dyspnea",
	},
	{
		code: "6142004", name: "Influenza (disorder)", icd: "J11.1", men: 6, women: 6, onset: 1, spread: 95, days: 8, flag: fInfection, sev: careUrgent, drugs: []int{dAcetaminophen},
		phrases: "influenza|the flu|influenza A#sudden fever and chills|muscle aches|dry cough#dyspnea|chest pain|neck stiffness#Flushed and tired, not toxic|Lungs clear#Fluids and rest|Antiviral within 48 hours of onset",
	},
	{
		code: "233604007", name: "Pneumonia (disorder)", icd: "J18.9", men: 4, women: 4, onset: 1, spread: 99, days: 21, flag: fInfection, sev: careInpatient, stay: true, imaging: iChestXR, drugs: []int{dAmoxClav, dCefuroxime},
		phrases: "pneumonia|community-acquired pneumonia|CAP|right lower lobe pneumonia#productive cough|fever to 102|pleuritic pain on the right#hemoptysis|leg swelling|travel#Crackles at the right base|Bronchial breath sounds on the right|Tachypneic, speaking full sentences#Antibiotics for 5 to 7 days|Repeat film in 6 weeks|Incentive spirometry",
	},
	{
		code: "301011002", name: "Escherichia coli urinary tract infection (disorder)", icd: "N39.0", men: 1.5, women: 12, onset: 12, spread: 95, days: 7, flag: fInfection, drugs: []int{dNitrofurantoin, dPhenazopyridine}, proc: pUrineCulture,
		phrases: "urinary tract infection|UTI|cystitis|a bladder infection#burning on urination|frequency and urgency|suprapubic discomfort#flank pain|fever|vaginal discharge#Suprapubic tenderness|No CVA tenderness#Five days of nitrofurantoin|Urine culture sent|Call if fever or flank pain",
	},
	{
		code: "25374005", name: "Gastroenteritis (disorder)", icd: "K52.9", men: 7, women: 7, onset: 0, spread: 95, days: 5, flag: fInfection, sev: careUrgent, drugs: []int{dOndansetron},
		phrases: "gastroenteritis|viral gastroenteritis|a stomach bug#watery stools|vomiting since last night|cramps#blood in stool|high fever|recent antibiotics#Abdomen soft, hyperactive bowel sounds|Mucous membranes slightly dry#Small frequent sips|Advance diet as tolerated",
	},
	{
		code: "44465007", name: "Sprain of ankle (disorder)", icd: "S93.409A", men: 6, women: 6, onset: 8, spread: 75, days: 28, sev: careUrgent, imaging: iAnkleXR, drugs: []int{dIbuprofen},
		phrases: "ankle sprain|a sprained ankle|left ankle inversion injury#ankle pain after a misstep|swelling over the outer ankle#numbness|inability to bear weight|knee pain#Tender over the ATFL, no bony tenderness|Ecchymosis of the lateral ankle#Rest, ice, compression and elevation|Ankle brace for 2 weeks",
	},
	{
		code: "70704007", name: "Sprain of wrist (disorder)", icd: "S63.509A", men: 4, women: 4, onset: 8, spread: 80, days: 25, sev: careUrgent, imaging: iWristXR, drugs: []int{dNaproxen},
		phrases: "wrist sprain|a sprained wrist#wrist pain after a fall|pain lifting a cup#numb fingers|deformity#Diffuse wrist tenderness, snuffbox nontender|Full range with pain#Wrist splint for 10 days|Repeat film if still sore",
	},
	{
		code: "65966004", name: "Fracture of forearm (disorder)", icd: "S52.90XA", men: 3, women: 3, onset: 5, spread: 90, days: 75, sev: careED, imaging: iWristXR, proc: pCast, drugs: []int{dOxycodone, dIbuprofen},
		phrases: "forearm fracture|a distal radius fracture|broken wrist#arm pain after falling on an outstretched hand|swelling of the forearm#numbness|head injury|elbow pain#Dinner fork deformity|Radial pulse intact, sensation intact#Splint and orthopedic follow-up in 5 days|Elevate, ice, return for numbness",
	},
	{
		code: "263102004", name: "Fracture of hip (disorder)", icd: "S72.009A", men: 1, women: 2.4, onset: 66, spread: 99, days: 110, sev: careInpatient, stay: true, imaging: iHipXR, proc: pHipRepair, drugs: []int{dOxycodone, dAcetaminophen},
		phrases: "hip fracture|a right femoral neck fracture|intertrochanteric fracture#hip pain after a fall in the kitchen|inability to stand#loss of consciousness|chest pain|headache#Right leg shortened and externally rotated|Distal pulses palpable#Operative repair|DVT prophylaxis|Weight bearing as tolerated with therapy",
	},
	{
		code: "283371005", name: "Laceration of forearm (disorder)", icd: "S51.819A", men: 4, women: 3, onset: 3, spread: 85, days: 18, sev: careUrgent, proc: pSuture, drugs: []int{dAcetaminophen},
		phrases: "forearm laceration|a cut on the arm|a 4 cm laceration#bleeding after a kitchen knife slip|pain at the wound#numbness|foreign body sensation#Linear laceration, no tendon involvement|Wound edges clean#Sutures out in 10 days|Keep dry for 24 hours",
	},
	{
		code: "62106007", name: "Concussion with no loss of consciousness (disorder)", icd: "S06.0X0A", men: 3, women: 2, onset: 6, spread: 80, days: 20, sev: careED, imaging: iHeadCT, drugs: []int{dAcetaminophen},
		phrases: "concussion|a mild head injury|mild TBI#headache after a fall|feeling foggy|light sensitivity#loss of consciousness|vomiting|seizure|neck pain#Neurologic exam nonfocal|Scalp hematoma without crepitus|GCS 15#Brain rest, gradual return to activity|Return for vomiting or confusion",
	},
	{
		code: "39848009", name: "Whiplash injury to neck (disorder)", icd: "S13.4XXA", men: 2, women: 2.4, onset: 17, spread: 80, days: 35, sev: careED, imaging: iSpineXR, drugs: []int{dIbuprofen},
		phrases: "whiplash|cervical strain|a neck strain after a car crash#neck stiffness|headache at the back of the head#arm weakness|numb hands|loss of consciousness#Paracervical spasm, midline nontender|Range limited to rotation#Heat and gentle stretching|Soft collar not advised",
	},
	{
		code: "74400008", name: "Appendicitis (disorder)", icd: "K35.80", men: 1.4, women: 1.2, onset: 8, spread: 60, days: 20, sev: careInpatient, stay: true, imaging: iAbdCT, proc: pAppendectomy, drugs: []int{dOxycodone},
		phrases: "acute appendicitis|appendicitis#pain moving to the right lower quadrant|no appetite|low-grade fever#diarrhea|dysuria|testicular pain#Tender at McBurney point with guarding|Rovsing sign positive#Laparoscopic appendectomy|Nothing by mouth, IV fluids|Antibiotics before incision",
	},
	{
		code: "235919008", name: "Gallstone (disorder)", icd: "K80.20", men: .8, women: 1.8, onset: 25, spread: 85, days: 30, sev: careInpatient, stay: true, imaging: iAbdCT, proc: pCholecystectomy, drugs: []int{dOndansetron},
		phrases: "symptomatic gallstones|cholelithiasis|biliary colic#right upper quadrant pain after fatty food|nausea|pain to the right shoulder#jaundice|fever|dark urine#Murphy sign positive|RUQ tender without mass#Surgical consultation|Low fat diet until surgery",
	},
	{
		code: "95570007", name: "Kidney stone (disorder)", icd: "N20.0", men: 2.2, women: 1.3, onset: 20, spread: 80, days: 16, sev: careED, imaging: iAbdCT, drugs: []int{dOxycodone, dTamsulosin},
		phrases: "kidney stone|nephrolithiasis|renal colic|a 4 mm ureteral stone#severe flank pain in waves|blood in the urine|nausea#fever|anuria|testicular pain#Left CVA tenderness|Restless, cannot find a comfortable position#Strain urine|Tamsulosin for expulsion|Urology if not passed in 2 weeks",
	},
	{
		code: "59282003", name: "Pulmonary embolism (disorder)", icd: "I26.99", men: .6, women: .7, onset: 30, spread: 95, days: 120, sev: careInpatient, stay: true, imaging: iChestCT, drugs: []int{dWarfarin},
		phrases: "pulmonary embolism|PE|acute pulmonary embolism#sudden dyspnea|sharp chest pain|a swollen calf#hemoptysis|syncope|recent surgery#Tachycardic, lungs clear|Right calf swollen and tender#Anticoagulation for at least 3 months|Troponin and BNP for risk|Look for a provoking cause",
	},
	{
		code: "91302008", name: "Sepsis (disorder)", icd: "A41.9", men: 1, women: .9, onset: 45, spread: 99, days: 25, flag: fInfection, sev: careInpatient, stay: true, imaging: iChestXR, proc: pIVFluids, drugs: []int{dAmoxClav},
		phrases: "sepsis|urosepsis|sepsis of urinary source#rigors|confusion since morning|poor intake#rash|neck stiffness|recent travel#Warm and tachycardic|Mottled knees, capillary refill 4 seconds|Drowsy but arousable#30 mL/kg crystalloid|Broad antibiotics after cultures|Lactate every 4 hours",
	},
	{
		code: "128045006", name: "Cellulitis (disorder)", icd: "L03.90", men: 2.5, women: 2.3, onset: 15, spread: 95, days: 12, flag: fInfection, sev: careUrgent, drugs: []int{dCefuroxime, dAmoxClav},
		phrases: "cellulitis|left leg cellulitis|a skin infection#spreading redness of the leg|warmth and pain|chills#drainage|trauma|insect bite#Erythema of the left shin, 10 cm, no fluctuance|Toe web maceration#Mark the border and elevate|Oral antibiotics for 7 days|Recheck in 48 hours",
	},
	{
		code: "241929008", name: "Acute allergic reaction (disorder)", icd: "T78.40XA", men: 2, women: 2, onset: 2, spread: 80, days: 3, sev: careED, drugs: []int{dDiphenhydramine, dEpinephrine},
		phrases: "an acute allergic reaction|hives after a meal|urticaria#itchy wheals|lip swelling|flushed skin#throat tightness|wheezing|fainting#Raised wheals over the trunk|No stridor, uvula midline#Antihistamine and observation for 4 hours|Epinephrine autoinjector prescribed|Allergy referral",
	},
	{
		code: "267036007", name: "Dyspnea (finding)", icd: "R06.02", men: 1.5, women: 1.5, onset: 40, spread: 99, days: 6, sev: careED, imaging: iChestXR,
		phrases: "shortness of breath|dyspnea of unclear cause|SOB#shortness of breath for one day|tightness on exertion#chest pain|fever|leg swelling#Lungs clear, saturation normal|No edema, calves soft#Outpatient stress test|Return if it comes back at rest",
	},
	{
		code: "29857009", name: "Chest pain (finding)", icd: "R07.9", men: 2.4, women: 2.2, onset: 25, spread: 99, days: 4, sev: careED, imaging: iChestXR, proc: pECG,
		phrases: "chest pain|atypical chest pain|noncardiac chest pain#sharp chest pain with movement|substernal burning after dinner#radiation to the arm|diaphoresis|syncope#Chest wall tender at the left costochondral junction|Heart regular, no rub#Two troponins negative, discharge|Trial of a proton pump inhibitor",
	},
	{
		code: "271807003", name: "Rash (finding)", icd: "R21", men: 3, women: 3, onset: 0, spread: 90, days: 12, drugs: []int{dHydrocortisone},
		phrases: "a rash|contact dermatitis|poison ivy dermatitis#itching for 3 days|a spreading rash on the arms#fever|mouth sores|joint pain#Linear vesicles on both forearms|Scaly red patches, no target lesions#Cool compresses|Topical steroid for 7 days",
	},
})

// pregnancy is planned apart: its visits follow the weeks of gestation.
var pregnancy = prepare([]condition{
	{
		code: "72892002", name: "Normal pregnancy (finding)", icd: "Z34.90", flag: fPregnant, days: 280,
		phrases: "an intrauterine pregnancy|pregnancy|IUP#nausea in the morning|good fetal movement|low back ache#vaginal bleeding|contractions|leaking fluid|headache#Fundal height equal to dates|Fetal heart tones 144|Cervix closed#Prenatal vitamins daily|Glucose screen at 26 weeks|Kick counts from 28 weeks|Group B strep culture at 36 weeks",
	},
})[0]

// wellness is the reason of a visit without a complaint.
var wellness = prepare([]condition{
	{
		code: "102506008", name: "Well adult (finding)", icd: "Z00.00",
		phrases: "no active complaint|good general health|routine preventive care#feeling well|good energy|sleeping 7 hours#chest pain|dyspnea|weight loss|change in bowel habit#General appearance well|Heart and lungs normal#Age-appropriate screening reviewed|Return in 12 months|Seat belts and sunscreen discussed",
	},
})[0]
