package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/healthlake"
	"github.com/aws/aws-sdk-go-v2/service/healthlake/types"
	"github.com/aws/smithy-go"

	"github.com/fhirlake/fhirlake/server/auth"
	"github.com/fhirlake/fhirlake/server/control"
)

// What the guard refuses is told so that HealthLake's own client knows the error.
func TestRefusals(t *testing.T) {
	p := newPlane(t)
	mine, theirs := p.create("mine"), p.create("theirs")
	const secret = "swordfish"
	path := filepath.Join(t.TempDir(), "auth.json")
	s := auth.Settings{Keys: []auth.Key{
		{ID: "all", Secret: secret, Grants: []auth.Grant{{DataStore: auth.All, Permissions: []auth.Permission{auth.Read, auth.Write, auth.Admin}}}},
		{ID: "one", Secret: secret, Grants: []auth.Grant{{DataStore: mine, Permissions: []auth.Permission{auth.Read}}}},
		{ID: "none", Secret: secret},
	}}
	if err := s.Write(path); err != nil {
		t.Fatal(err)
	}
	guard, err := auth.Open(auth.Options{Path: path, RefuseControl: control.Refuse, Audit: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(guard.Wrap(control.New(control.Options{Catalog: p.catalog, Jobs: p.jobs, Delete: p.stores.Delete})))
	defer srv.Close()
	client := func(id, secret string) *healthlake.Client {
		o := healthlake.Options{BaseEndpoint: &srv.URL, Region: "us-east-1", Retryer: aws.NopRetryer{}}
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, nil
		})
		return healthlake.New(o)
	}
	describe := func(id string) func(*healthlake.Client) error {
		return func(c *healthlake.Client) error {
			_, err := c.DescribeFHIRDatastore(t.Context(), &healthlake.DescribeFHIRDatastoreInput{DatastoreId: &id})
			return err
		}
	}
	list := func(c *healthlake.Client) error {
		_, err := c.ListFHIRDatastores(t.Context(), &healthlake.ListFHIRDatastoresInput{})
		return err
	}
	create := func(c *healthlake.Client) error {
		_, err := c.CreateFHIRDatastore(t.Context(), &healthlake.CreateFHIRDatastoreInput{DatastoreTypeVersion: types.FHIRVersionR4})
		return err
	}
	remove := func(id string) func(*healthlake.Client) error {
		return func(c *healthlake.Client) error {
			_, err := c.DeleteFHIRDatastore(t.Context(), &healthlake.DeleteFHIRDatastoreInput{DatastoreId: &id})
			return err
		}
	}
	tagsOf := func(id string) func(*healthlake.Client) error {
		return func(c *healthlake.Client) error {
			d, err := p.catalog.DataStore(id)
			if err == nil {
				_, err = c.ListTagsForResource(t.Context(), &healthlake.ListTagsForResourceInput{ResourceARN: &d.ARN})
			}
			return err
		}
	}
	load := func(id string) func(*healthlake.Client) error {
		return func(c *healthlake.Client) error {
			_, err := c.StartFHIRImportJob(t.Context(), importOf(id, "s3://input/"))
			return err
		}
	}
	const denied = "AccessDeniedException"
	for _, c := range []struct {
		name, key, secret string
		do                func(*healthlake.Client) error
		code              string // "" for none
		modelled          bool   // the client has a type for it
	}{
		{"all that a key may", "all", secret, describe(theirs), "", false},
		{"list of all", "all", secret, list, "", false},
		{"a wrong secret", "all", "swordfis", describe(theirs), "InvalidSignatureException", false},
		{"an unknown key", "nobody", secret, describe(theirs), "UnrecognizedClientException", false},
		{"a key without permission", "none", secret, list, denied, false},
		{"its own data store", "one", secret, describe(mine), "", false},
		{"tags of its own", "one", secret, tagsOf(mine), "", false},
		{"another data store", "one", secret, describe(theirs), denied, false},
		{"one that there is not", "one", secret, describe(strings.Repeat("0", 32)), denied, false},
		{"tags of another", "one", secret, tagsOf(theirs), denied, false},
		{"list with a grant for one", "one", secret, list, denied, false},
		{"create with a grant for one", "one", secret, create, denied, true},
		{"delete with read", "one", secret, remove(mine), denied, true},
		{"import with read", "one", secret, load(mine), denied, true},
	} {
		err := c.do(client(c.key, c.secret))
		var e smithy.APIError
		if errors.As(err, &e) != (c.code != "") || c.code != "" && (e.ErrorCode() != c.code || e.ErrorMessage() == "" || strings.Contains(e.ErrorMessage(), secret)) || c.code == "" && err != nil {
			t.Errorf("%s: %v, want %q", c.name, err, c.code)
		}
		var typed *types.AccessDeniedException
		if c.modelled && !errors.As(err, &typed) {
			t.Errorf("%s: the client does not know %v", c.name, err)
		}
	}
	if err := describe(mine)(client("all", secret)); err != nil {
		t.Errorf("what was refused was done: %v", err)
	}
	for name, c := range map[string]struct{ header, code string }{
		"unsigned":           {"", "MissingAuthenticationTokenException"},
		"no such scheme":     {"Basic eDp5", "IncompleteSignatureException"},
		"half a signature":   {"AWS4-HMAC-SHA256 Credential=all", "IncompleteSignatureException"},
		"a bad bearer token": {"Bearer x", "UnrecognizedClientException"},
	} {
		r, err := http.NewRequest("POST", srv.URL, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", "HealthLake.ListFHIRDatastores")
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Type string `json:"__type"`
		}
		err = json.NewDecoder(res.Body).Decode(&got)
		res.Body.Close()
		if err != nil || res.StatusCode != 400 || got.Type != c.code || res.Header.Get("Content-Type") != "application/x-amz-json-1.0" {
			t.Errorf("%s: %d %q %v, want 400 %s", name, res.StatusCode, got.Type, err, c.code)
		}
	}
}
