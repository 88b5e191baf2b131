package gen

// Given and family names. Most are plain ASCII; a few keep their accents, so
// that readers meet bytes above 0x7F in every population.
var (
	menNames = []string{"James", "Robert", "Michael", "David", "William", "Richard", "Joseph", "Thomas", "Daniel", "Matthew", "Anthony", "Mark", "Steven", "Andrew", "Kenneth", "Kevin", "Brian", "George", "Timothy", "Edward", "Jason", "Ryan", "Jacob", "Eric", "Jonathan", "Larry", "Samuel", "Benjamin", "Frank", "Raymond", "Patrick", "Dennis", "Walter", "Peter", "Harold", "Carl", "Arthur", "Roger", "Albert", "Willie", "Elijah", "Logan", "Noah", "Liam", "Mason", "Omar", "Darius", "Malik", "Wei", "Hiroshi", "Arjun", "José", "Luis", "Carlos", "Andrés", "René", "Jürgen", "Søren", "Nguyên", "Tomáš"}

	womenNames = []string{"Mary", "Patricia", "Jennifer", "Linda", "Elizabeth", "Barbara", "Susan", "Jessica", "Sarah", "Karen", "Lisa", "Nancy", "Betty", "Sandra", "Margaret", "Ashley", "Kimberly", "Emily", "Donna", "Michelle", "Carol", "Amanda", "Melissa", "Deborah", "Stephanie", "Rebecca", "Laura", "Helen", "Sharon", "Cynthia", "Kathleen", "Amy", "Shirley", "Angela", "Anna", "Ruth", "Brenda", "Pamela", "Nicole", "Katherine", "Olivia", "Emma", "Ava", "Sophia", "Latoya", "Keisha", "Aaliyah", "Mei", "Yuki", "Priya", "María", "Lucía", "Sofía", "Zoë", "Renée", "Chloé", "Anaïs", "Fatima", "Ingrid", "Siobhán"}

	families = []string{"Smith", "Johnson", "Williams", "Brown", "Jones", "Miller", "Davis", "Wilson", "Anderson", "Thomas", "Taylor", "Moore", "Jackson", "Martin", "Lee", "Thompson", "White", "Harris", "Clark", "Lewis", "Robinson", "Walker", "Young", "Allen", "King", "Wright", "Scott", "Hill", "Green", "Adams", "Nelson", "Baker", "Hall", "Campbell", "Mitchell", "Carter", "Roberts", "Phillips", "Evans", "Turner", "Parker", "Collins", "Edwards", "Stewart", "Morris", "Murphy", "Cook", "Rogers", "Morgan", "Cooper", "Peterson", "Reed", "Bailey", "Bell", "Kelly", "Howard", "Ward", "O'Brien", "O'Neil", "McCarthy", "Fitzgerald", "Kowalski", "Novak", "Rossi", "Schmidt", "Müller", "Åkesson", "Lefèvre", "Dvořák"}

	hispanicFamilies = []string{"Garcia", "Rodriguez", "Martinez", "Hernandez", "Lopez", "Gonzalez", "Perez", "Sanchez", "Ramirez", "Torres", "Rivera", "Flores", "Gomez", "Diaz", "Cruz", "Morales", "Ortiz", "Reyes", "Núñez", "Muñoz", "Peña", "Ibáñez", "Castañeda", "García Márquez"}

	asianFamilies = []string{"Nguyen", "Kim", "Patel", "Chen", "Wang", "Li", "Tran", "Singh", "Park", "Liu", "Shah", "Tanaka", "Zhang", "Choi", "Huang", "Kumar"}

	// Names in Han script: family, given.
	hanNames = [][2]string{{"王", "小明"}, {"李", "美玲"}, {"陳", "志強"}, {"張", "偉"}, {"林", "淑芬"}, {"田中", "太郎"}, {"佐藤", "花子"}, {"吳", "家豪"}}

	streets = []string{"Maple Street", "Oak Avenue", "Washington Street", "Park Road", "Elm Court", "Lakeview Drive", "Cedar Lane", "Highland Avenue", "Main Street", "River Road", "Franklin Street", "Church Street", "Sunset Boulevard", "Chestnut Way", "Pleasant Street", "Prospect Place", "Meadow Lane", "Harbor View", "Mill Pond Road", "Summit Avenue", "Orchard Terrace", "Lincoln Highway", "Birch Hollow", "Canal Walk"}

	occupations = []string{"retired teacher", "nurse", "truck driver", "software tester", "carpenter", "cook", "warehouse worker", "bookkeeper", "electrician", "retail clerk", "bus driver", "farmer", "paralegal", "mechanic", "home health aide", "musician"}

	hospitals = []string{"Mercy General Hospital", "Lakeside Medical Center", "St. Brigid Hospital", "Riverbend Community Hospital", "Northgate Regional Medical Center", "Harborview Family Clinic", "Cedar Grove Primary Care", "Union Street Health Center", "Pinecrest Medical Group", "Valley Internal Medicine", "Eastfield Pediatrics and Family Care", "Granite State Medical Associates"}
)

// races by OMB category with weights out of 100.
var races = [...]struct {
	code, name string
	weight     int
}{
	{"2106-3", "White", 68},
	{"2054-5", "Black or African American", 14},
	{"2028-9", "Asian", 8},
	{"1002-5", "American Indian or Alaska Native", 1},
	{"2076-8", "Native Hawaiian or Other Pacific Islander", 1},
	{"2131-1", "Other Race", 8},
}

type city struct {
	name, state, zip string
	lat, lon         int64 // in millionths of a degree
	zone             zone
}

var cities = [...]city{
	{"Boston", "MA", "021", 42360100, -71058900, zone{5, true}},
	{"Worcester", "MA", "016", 42262600, -71802300, zone{5, true}},
	{"Springfield", "MA", "011", 42101500, -72589800, zone{5, true}},
	{"Philadelphia", "PA", "191", 39952600, -75165200, zone{5, true}},
	{"Atlanta", "GA", "303", 33749000, -84388000, zone{5, true}},
	{"Cleveland", "OH", "441", 41499300, -81694400, zone{5, true}},
	{"Chicago", "IL", "606", 41878100, -87629800, zone{6, true}},
	{"Houston", "TX", "770", 29760400, -95369800, zone{6, true}},
	{"Minneapolis", "MN", "554", 44977800, -93265000, zone{6, true}},
	{"Denver", "CO", "802", 39739200, -104990300, zone{7, true}},
	{"Phoenix", "AZ", "850", 33448400, -112074000, zone{7, false}},
	{"Seattle", "WA", "981", 47606200, -122332100, zone{8, true}},
}

// payers: name, kind of Coverage type, share that the patient pays in percent.
var payers = [...]struct {
	name, code, display string
	copay               int64
}{
	{"Medicare", "MCPOL", "managed care policy", 20},
	{"Medicaid", "PUBLICPOL", "public healthcare", 2},
	{"Blue Harbor Health Plan", "EHCPOL", "extended healthcare", 18},
	{"Summit Mutual Insurance", "EHCPOL", "extended healthcare", 22},
	{"Keystone Employer Trust", "HIP", "health insurance plan policy", 15},
	{"Prairie Health Cooperative", "HIP", "health insurance plan policy", 25},
	{"Self-pay", "pay", "PAY", 100},
}

const (
	payMedicare = 0
	payMedicaid = 1
	payNone     = 6
)

var languages = [...]struct{ code, name string }{
	{"en-US", "English (United States)"},
	{"es", "Spanish"},
	{"zh", "Chinese"},
	{"fr", "French"},
	{"pt", "Portuguese"},
	{"ru", "Russian"},
	{"vi", "Vietnamese"},
}
