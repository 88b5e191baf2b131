package validate

import (
	"github.com/fhirlake/fhirlake/fhir/r4"
)

// The elements that rules name.
var (
	elElementID      = element(r4.TypeElement, "id")
	elEntryResource  = element(r4.TypeBundleEntry, "resource")
	elEntryFullURL   = element(r4.TypeBundleEntry, "fullUrl")
	elEntrySearch    = element(r4.TypeBundleEntry, "search")
	elEntryRequest   = element(r4.TypeBundleEntry, "request")
	elEntryResponse  = element(r4.TypeBundleEntry, "response")
	elSearchMode     = element(r4.TypeBundleEntrySearch, "mode")
	elBundleType     = element(r4.TypeBundle, "type")
	elBundleEntry    = element(r4.TypeBundle, "entry")
	elBundleTotal    = element(r4.TypeBundle, "total")
	elBundleTime     = element(r4.TypeBundle, "timestamp")
	elBundleLink     = element(r4.TypeBundle, "link")
	elLinkRelation   = element(r4.TypeBundleLink, "relation")
	elReference      = element(r4.TypeReference, "reference")
	elReferenceType  = element(r4.TypeReference, "type")
	elCoding         = element(r4.TypeCodeableConcept, "coding")
	elConceptExt     = element(r4.TypeCodeableConcept, "extension")
	elCodingSystem   = element(r4.TypeCoding, "system")
	elCodingCode     = element(r4.TypeCoding, "code")
	elIdentifierSys  = element(r4.TypeIdentifier, "system")
	elExtensionURL   = element(r4.TypeExtension, "url")
	elNestedExt      = element(r4.TypeExtension, "extension")
	elPeriodStart    = element(r4.TypePeriod, "start")
	elPeriodEnd      = element(r4.TypePeriod, "end")
	elMetaProfile    = element(r4.TypeMeta, "profile")
	elMetaVersion    = element(r4.TypeMeta, "versionId")
	elMetaUpdated    = element(r4.TypeMeta, "lastUpdated")
	elMetaSecurity   = element(r4.TypeMeta, "security")
	elConceptCode    = element(r4.TypeCodeSystemConcept, "code")
	elItemLinkID     = element(r4.TypeQuestionnaireItem, "linkId")
	elAttachmentData = element(r4.TypeAttachment, "data")
	elAttachmentSize = element(r4.TypeAttachment, "size")
)

// The constraints that rules of their own check.
var (
	conEle1  = constraint("ele-1", "Element")
	conTxt1  = constraint("txt-1", "Narrative.div")
	conTxt2  = constraint("txt-2", "Narrative.div")
	conRef1  = constraint("ref-1", "Reference")
	conDom2  = constraint("dom-2", "DomainResource")
	conDom3  = constraint("dom-3", "DomainResource")
	conDom4  = constraint("dom-4", "DomainResource")
	conDom5  = constraint("dom-5", "DomainResource")
	conPer1  = constraint("per-1", "Period")
	conBdl1  = constraint("bdl-1", "Bundle")
	conBdl2  = constraint("bdl-2", "Bundle")
	conBdl3  = constraint("bdl-3", "Bundle")
	conBdl4  = constraint("bdl-4", "Bundle")
	conBdl9  = constraint("bdl-9", "Bundle")
	conBdl10 = constraint("bdl-10", "Bundle")
	conBdl11 = constraint("bdl-11", "Bundle")
	conBdl12 = constraint("bdl-12", "Bundle")
	conBdl7  = constraint("bdl-7", "Bundle")
)

// element finds an element by the type that owns it and its name. The names are
// those of this package, so a wrong one is a bug of it.
func element(t r4.TypeID, name string) r4.ElementID {
	e := t.ElementByName(name)
	if e == 0 {
		panic("validate: no element " + name + " in " + t.String())
	}
	return e
}

// constraint finds a constraint by its key and the path that declares it.
func constraint(key, path string) uint16 {
	for i := range r4.NumConstraints() {
		if c := r4.ConstraintAt(uint16(i)); c.Key == key && c.Path == path {
			return uint16(i)
		}
	}
	panic("validate: no constraint " + key + " on " + path)
}
