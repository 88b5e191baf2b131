package release

// sets are the formats of several files.
var sets = []set{rxnorm, umls, snomed, loinc}
