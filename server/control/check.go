package control

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/catalog"
)

// checks gathers what is wrong with a request, so that a client learns all at once.
type checks []string

func (c *checks) add(format string, args ...any) { *c = append(*c, fmt.Sprintf(format, args...)) }

// err is the fault of a request that has something wrong; nil for a good one.
func (c checks) err() error {
	switch len(c) {
	case 0:
		return nil
	case 1:
		return &fault{kind: validation, Message: "1 validation error detected: " + c[0]}
	}
	return &fault{kind: validation, Message: fmt.Sprintf("%d validation errors detected: %s", len(c), strings.Join(c, "; "))}
}

// text checks a text that must be there, unless it may be missing, and has at most so many
// characters.
func (c *checks) text(name, value string, most int, optional bool) bool {
	switch n := utf8.RuneCountInString(value); {
	case value == "" && optional:
		return false
	case value == "":
		c.add("%s is missing", name)
	case n > most:
		c.add("%s has %d characters; at most %d are allowed", name, n, most)
	default:
		return true
	}
	return false
}

func (c *checks) pattern(name, value string, most int, optional bool, p *regexp.Regexp, what string) {
	if c.text(name, value, most, optional) && !p.MatchString(value) {
		c.add("%s is not %s", name, what)
	}
}

func (c *checks) oneOf(name, value string, optional bool, allowed ...string) {
	if c.text(name, value, 100, optional) && !slices.Contains(allowed, value) {
		c.add("%s must be one of %s", name, strings.Join(allowed, ", "))
	}
}

var (
	tokenPattern  = regexp.MustCompile(`^[a-zA-Z0-9-]+$`)
	rolePattern   = regexp.MustCompile(`^arn:aws(-[^:]+)?:iam::[0-9]{12}:role/.+$`)
	lambdaPattern = regexp.MustCompile(`^arn:aws(-[a-z]+)*:lambda:[a-z0-9-]+:[0-9]{12}:function:[a-zA-Z0-9_.-]+(:[a-zA-Z0-9$_-]+)?$`)
	arnPattern    = regexp.MustCompile(`^arn:aws(-[^:]+)?:healthlake:[a-zA-Z0-9-]+:[0-9]{12}:datastore/fhir/.{32}$`)
)

func (c *checks) id(name, value string) { c.text(name, value, 32, false) }

func (c *checks) token(value string) {
	c.pattern("ClientToken", value, 64, true, tokenPattern, "letters, digits and hyphens")
}

// uri checks a place in a bucket.
func (c *checks) uri(name, value string) {
	if !c.text(name, value, 1024, false) {
		return
	}
	if _, err := blob.ParseURI(value); err != nil || !strings.HasPrefix(value, "s3://") {
		c.add("%s is no s3://bucket/key", name)
		return
	}
	// A key with these names another place in a bucket that is a folder.
	for part := range strings.SplitSeq(strings.TrimPrefix(value, "s3://"), "/") {
		if part == ".." || part == "." || strings.ContainsAny(part, "\x00\\") {
			c.add("%s has a part %q", name, part)
		}
	}
}

func (c *checks) role(value string) {
	c.pattern("DataAccessRoleArn", value, 2048, false, rolePattern, "the ARN of a role, arn:aws:iam::<12 digits>:role/<name>")
}

func (c *checks) tags(tags []catalog.Tag) {
	if len(tags) > maxTags {
		c.add("there are %d tags; at most %d are allowed", len(tags), maxTags)
	}
	seen := map[string]bool{}
	for _, t := range tags {
		c.tagKey(t.Key)
		if utf8.RuneCountInString(t.Value) > 256 {
			c.add("the value of a tag has more than 256 characters")
		}
		if seen[t.Key] {
			c.add("a tag key is there twice")
		}
		seen[t.Key] = true
	}
}

func (c *checks) tagKey(key string) {
	c.text("a tag key", key, 128, false)
	if strings.HasPrefix(strings.ToLower(key), "aws:") {
		c.add("a tag key must not begin with aws:")
	}
}

// known decodes a configuration into v to check it; false: it is not there.
func (c *checks) known(name string, config json.RawMessage, v any) bool {
	if absent(config) {
		return false
	}
	if err := json.Unmarshal(config, v); err != nil {
		c.add("%s has values of a wrong type", name)
		return false
	}
	return true
}

func absent(config json.RawMessage) bool { return len(config) == 0 || string(config) == "null" }

// configurations checks what a data store is given when it is made or changed.
func (c *checks) configurations(p *catalog.Properties) {
	var identity struct {
		AuthorizationStrategy string
		Metadata              *string
		IdpLambdaArn          string
	}
	if c.known("IdentityProviderConfiguration", p.IdentityProvider, &identity) {
		c.oneOf("IdentityProviderConfiguration.AuthorizationStrategy", identity.AuthorizationStrategy, false, "SMART_ON_FHIR_V1", "SMART_ON_FHIR", "AWS_AUTH")
		if identity.Metadata != nil && !json.Valid([]byte(*identity.Metadata)) {
			c.add("IdentityProviderConfiguration.Metadata is no JSON text")
		}
		if identity.IdpLambdaArn != "" && len(identity.IdpLambdaArn) < 49 {
			c.add("IdentityProviderConfiguration.IdpLambdaArn has less than 49 characters")
		}
		c.pattern("IdentityProviderConfiguration.IdpLambdaArn", identity.IdpLambdaArn, 256, true, lambdaPattern, "the ARN of a function")
	}
	var status struct{ Status string }
	if c.known("AnalyticsConfiguration", p.Analytics, &status) {
		c.oneOf("AnalyticsConfiguration.Status", status.Status, true, "ENABLED", "PAUSED", "DISABLED")
	}
	var nlp catalog.NLP
	if c.known("NlpConfiguration", p.NLP, &nlp) {
		c.oneOf("NlpConfiguration.Status", string(nlp.Status), true, "ENABLED", "DISABLED")
		c.oneOf("NlpConfiguration.DerivedResources", string(nlp.DerivedResources), true, "ENABLED", "DISABLED")
		c.oneOf("NlpConfiguration.DiagnosticReports", string(nlp.DiagnosticReports), true, "ENABLED", "DISABLED")
	}
	var profile struct{ DefaultProfiles []string }
	c.known("ProfileConfiguration", p.Profile, &profile)
	var backup map[string]json.RawMessage
	c.known("BackupConfiguration", p.Backup, &backup)
	for _, config := range []*json.RawMessage{&p.SSE, &p.PreloadData, &p.IdentityProvider, &p.NLP, &p.Analytics, &p.Profile, &p.Backup} {
		if absent(*config) {
			*config = nil
		}
	}
}
