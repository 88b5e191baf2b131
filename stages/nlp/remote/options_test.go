package remote_test

import (
	"strings"
	"testing"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/fhirlake/fhirlake/stages/nlp/remote"
)

func TestOptions(t *testing.T) {
	for _, v := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_COMPREHENDMEDICAL", "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"} {
		t.Setenv(v, "")
	}
	none := credentials.NewStaticV4("", "", "")
	key := credentials.NewStaticV4("AKIA", "secret", "")
	for _, c := range []struct {
		name string
		o    remote.Options
		err  string // a part of it
	}{
		{"a service of one's own", remote.Options{Endpoint: "http://127.0.0.1:1/path", Unsigned: true}, ""},
		{"Amazon's", remote.Options{Region: "eu-west-1", Credentials: key}, ""},
		{"nowhere", remote.Options{Credentials: key}, "set AWS_REGION"},
		{"no credentials", remote.Options{Region: "eu-west-1", Credentials: none}, "AWS_ACCESS_KEY_ID"},
		{"no URL", remote.Options{Endpoint: "localhost:80", Unsigned: true}, "the endpoint is no URL"},
		{"another scheme", remote.Options{Endpoint: "ftp://host", Unsigned: true}, "the endpoint is no URL"},
		{"a password in the URL", remote.Options{Endpoint: "https://user:secret@host", Unsigned: true}, "the endpoint is no URL"},
		{"a query in the URL", remote.Options{Endpoint: "https://host/?key=secret", Unsigned: true}, "the endpoint is no URL"},
		{"an operation that is none", remote.Options{Endpoint: "https://host", Unsigned: true, Operations: []string{"DetectPHI"}}, `"DetectPHI"`},
		{"no operation", remote.Options{Endpoint: "https://host", Unsigned: true, Operations: []string{}}, "no operation is asked for"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := remote.New(c.o)
			switch {
			case c.err == "" && err != nil:
				t.Error(err)
			case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "secret")):
				t.Errorf("error %v, want %s", err, c.err)
			}
		})
	}
}

func TestOptionsFromTheEnvironment(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "http://buckets.invalid")
	t.Setenv("AWS_ENDPOINT_URL_COMPREHENDMEDICAL", "http://notes.invalid")
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "eu-west-2")
	if o := remote.FromEnvironment(); o.Endpoint != "http://notes.invalid" || o.Region != "eu-west-2" {
		t.Errorf("%+v", o)
	}
}

func TestVersionNamesWhatDecidesResults(t *testing.T) {
	seen := map[string]string{}
	for name, o := range map[string]remote.Options{
		"one":                       {Endpoint: "http://a"},
		"another place":             {Endpoint: "http://b"},
		"another region":            {Endpoint: "http://a", Region: "eu-west-1"},
		"another operation":         {Endpoint: "http://a", Operations: remote.Operations()},
		"one, in other words":       {Endpoint: "http://a/", Region: "us-east-1", Operations: []string{"InferRxNorm", "InferICD10CM", "DetectEntitiesV2"}},
		"one, asked in another way": {Endpoint: "http://a", RequestsPerSecond: 1, Concurrency: 2, MaxAttempts: 1},
	} {
		t.Setenv("AWS_REGION", "us-east-1")
		o.Unsigned = true
		c, err := remote.New(o)
		if err != nil {
			t.Fatal(err)
		}
		engine, dictionary := c.Version()
		if engine != "remote-"+remote.Version {
			t.Errorf("engine %q", engine)
		}
		group, _, _ := strings.Cut(name, ",")
		for other, d := range seen {
			if (other == group) != (d == dictionary) {
				t.Errorf("%s and %s: %s, %s", other, group, d, dictionary)
			}
		}
		seen[group] = dictionary
	}
}
