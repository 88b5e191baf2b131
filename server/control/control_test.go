package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/healthlake"
	"github.com/aws/aws-sdk-go-v2/service/healthlake/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/fhirlake/fhirlake/server/control"
	"github.com/fhirlake/fhirlake/server/datastores"
	"github.com/fhirlake/fhirlake/server/jobs"
	"github.com/fhirlake/fhirlake/store/blob"
	"github.com/fhirlake/fhirlake/store/blob/blobtest"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/lake"
	"github.com/fhirlake/fhirlake/store/root"
)

// plane is a control plane over a root, with two buckets that are folders, and HealthLake's
// own client.
type plane struct {
	*healthlake.Client
	t       *testing.T
	url     string
	root    *root.Root
	catalog *catalog.Catalog
	stores  *datastores.Set
	jobs    *jobs.Manager
	in, out string
	blobs   blob.Options // where buckets are
	close   func()
}

const role = "arn:aws:iam::123456789012:role/import"

// one is the population of a preload.
type one struct{}

func (one) Generate(_ context.Context, dir string) error {
	return os.WriteFile(filepath.Join(dir, "Patient.ndjson"), []byte(`{"resourceType":"Patient","id":"generated"}`+"\n"), 0o644)
}

func newPlane(t *testing.T) *plane {
	dir := t.TempDir()
	p := &plane{t: t, in: filepath.Join(dir, "in"), out: filepath.Join(dir, "out")}
	if err := errors.Join(os.Mkdir(p.in, 0o755), os.Mkdir(p.out, 0o755)); err != nil {
		t.Fatal(err)
	}
	p.blobs.Folders = map[string]string{"input": p.in, "output": p.out}
	p.open(filepath.Join(dir, "root"))
	return p
}

// open opens the root as a server does.
func (p *plane) open(dir string) {
	p.t.Helper()
	r, err := root.Open(dir, root.Options{Exclusive: true})
	if err != nil {
		p.t.Fatal(err)
	}
	c, err := catalog.Open(r, catalog.Options{})
	if err != nil {
		p.t.Fatal(err)
	}
	p.root, p.catalog, p.stores = r, c, datastores.New(r, c, lake.Options{})
	e := &jobs.Engine{Root: r, Catalog: c, Lake: p.stores.Lake, Blobs: blob.New(p.blobs)}
	p.jobs = jobs.New(jobs.Options{Catalog: c, Turn: p.stores.BeginJob, Kinds: map[catalog.JobKind]jobs.Kind{
		catalog.Import: jobs.Imports{Engine: e}, catalog.Export: jobs.Exports{Engine: e}, catalog.Preload: jobs.Preloads{Engine: e, Generator: one{}},
	}})
	if err := p.jobs.Start(); err != nil {
		p.t.Fatal(err)
	}
	s := httptest.NewServer(control.New(control.Options{Catalog: c, Jobs: p.jobs, Delete: p.stores.Delete}))
	p.url = s.URL
	p.Client = healthlake.New(healthlake.Options{
		BaseEndpoint: &s.URL, Region: "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "k", SecretAccessKey: "s"}, nil
		}),
	})
	closed := false
	p.close = func() {
		if closed {
			return
		}
		closed = true
		s.Close()
		p.jobs.Stop()
		if err := errors.Join(p.stores.Close(), r.Close()); err != nil {
			p.t.Error(err)
		}
	}
	p.t.Cleanup(p.close)
}

func (p *plane) write(name, text string) {
	p.t.Helper()
	name = filepath.Join(p.in, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *plane) create(name string) string {
	p.t.Helper()
	d, err := p.CreateFHIRDatastore(p.t.Context(), &healthlake.CreateFHIRDatastoreInput{DatastoreTypeVersion: types.FHIRVersionR4, DatastoreName: &name})
	if err != nil {
		p.t.Fatal(err)
	}
	return *d.DatastoreId
}

func importOf(store, uri string) *healthlake.StartFHIRImportJobInput {
	return &healthlake.StartFHIRImportJobInput{
		DatastoreId: &store, DataAccessRoleArn: aws.String(role), InputDataConfig: &types.InputDataConfigMemberS3Uri{Value: uri},
		JobOutputDataConfig: &types.OutputDataConfigMemberS3Configuration{Value: types.S3Configuration{S3Uri: aws.String("s3://output/reports/"), KmsKeyId: aws.String("key")}},
	}
}

func (p *plane) start(store, uri string) string {
	p.t.Helper()
	j, err := p.StartFHIRImportJob(p.t.Context(), importOf(store, uri))
	if err != nil {
		p.t.Fatal(err)
	}
	return *j.JobId
}

// ended waits for an import with the client's own waiter.
func (p *plane) ended(store, id string) *types.ImportJobProperties {
	p.t.Helper()
	p.jobs.Wait(p.t.Context(), id)
	j, err := p.DescribeFHIRImportJob(p.t.Context(), &healthlake.DescribeFHIRImportJobInput{DatastoreId: &store, JobId: &id})
	if err != nil {
		p.t.Fatal(err)
	}
	return j.ImportJobProperties
}

// expectCode demands an error of the API.
func expectCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || e.ErrorMessage() == "" {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

func TestDataStores(t *testing.T) {
	p, ctx := newPlane(t), t.Context()
	d, err := p.CreateFHIRDatastore(ctx, &healthlake.CreateFHIRDatastoreInput{
		DatastoreTypeVersion: types.FHIRVersionR4, DatastoreName: aws.String("wards"), ClientToken: aws.String("token-1"),
		SseConfiguration:              &types.SseConfiguration{KmsEncryptionConfig: &types.KmsEncryptionConfig{CmkType: types.CmkTypeAoCmk}},
		Tags:                          []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}},
		IdentityProviderConfiguration: &types.IdentityProviderConfiguration{AuthorizationStrategy: types.AuthorizationStrategyAwsAuth, Metadata: aws.String(`{"a":1}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	one := &healthlake.DescribeFHIRDatastoreInput{DatastoreId: d.DatastoreId}
	if err := healthlake.NewFHIRDatastoreActiveWaiter(p).Wait(ctx, one, time.Minute); err != nil {
		t.Fatal(err)
	}
	got, err := p.DescribeFHIRDatastore(ctx, one)
	if err != nil {
		t.Fatal(err)
	}
	props := got.DatastoreProperties
	if *props.DatastoreName != "wards" || *props.DatastoreArn != *d.DatastoreArn || props.SseConfiguration == nil ||
		*props.IdentityProviderConfiguration.Metadata != `{"a":1}` || !strings.HasSuffix(*props.DatastoreEndpoint, "/datastore/"+*d.DatastoreId+"/r4/") {
		t.Errorf("%+v", props)
	}
	again, err := p.CreateFHIRDatastore(ctx, &healthlake.CreateFHIRDatastoreInput{DatastoreTypeVersion: types.FHIRVersionR4, ClientToken: aws.String("token-1")})
	if err != nil || *again.DatastoreId != *d.DatastoreId {
		t.Errorf("the same token: %+v, %v", again, err)
	}
	other := p.create("other")
	gone, err := p.DeleteFHIRDatastore(ctx, &healthlake.DeleteFHIRDatastoreInput{DatastoreId: d.DatastoreId})
	if err != nil || *gone.DatastoreArn != *d.DatastoreArn {
		t.Fatalf("%+v, %v", gone, err)
	}
	if err := healthlake.NewFHIRDatastoreDeletedWaiter(p).Wait(ctx, one, time.Minute); err != nil {
		t.Errorf("deleted: %v", err)
	}
	_, err = p.DeleteFHIRDatastore(ctx, &healthlake.DeleteFHIRDatastoreInput{DatastoreId: d.DatastoreId})
	expectCode(t, "delete again", err, "ResourceNotFoundException")
	_, err = p.StartFHIRImportJob(ctx, importOf(*d.DatastoreId, "s3://input"))
	expectCode(t, "import into a deleted one", err, "ResourceNotFoundException")
	for name, filter := range map[string]*types.DatastoreFilter{
		other: {DatastoreStatus: types.DatastoreStatusActive}, *d.DatastoreId: {DatastoreName: aws.String("wards"), CreatedAfter: aws.Time(time.Now().Add(-time.Hour))},
	} {
		list, err := p.ListFHIRDatastores(ctx, &healthlake.ListFHIRDatastoresInput{Filter: filter})
		if err != nil || len(list.DatastorePropertiesList) != 1 || *list.DatastorePropertiesList[0].DatastoreId != name {
			t.Errorf("filter %+v: %+v, %v", filter, list, err)
		}
	}
	list, err := p.ListFHIRDatastores(ctx, &healthlake.ListFHIRDatastoresInput{Filter: &types.DatastoreFilter{CreatedBefore: aws.Time(time.Now().Add(-time.Hour))}})
	if err != nil || len(list.DatastorePropertiesList) > 0 {
		t.Errorf("none is so old: %+v, %v", list, err)
	}
}

func TestPages(t *testing.T) {
	p := newPlane(t)
	var want, got []string
	for i := range 7 {
		want = append(want, p.create(fmt.Sprint("store ", i)))
	}
	for pages := healthlake.NewListFHIRDatastoresPaginator(p, &healthlake.ListFHIRDatastoresInput{MaxResults: aws.Int32(3)}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n := len(page.DatastorePropertiesList); n > 3 {
			t.Errorf("a page of %d", n)
		}
		for _, d := range page.DatastorePropertiesList {
			got = append(got, *d.DatastoreId)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("all pages (-want +got):\n%s", d)
	}
	page, err := p.ListFHIRDatastores(t.Context(), &healthlake.ListFHIRDatastoresInput{MaxResults: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.ListFHIRImportJobs(t.Context(), &healthlake.ListFHIRImportJobsInput{DatastoreId: &want[0], NextToken: page.NextToken})
	expectCode(t, "the token of another list", err, "ValidationException")
}

func TestTags(t *testing.T) {
	p, ctx := newPlane(t), t.Context()
	d, err := p.catalog.DataStore(p.create("a"))
	if err != nil {
		t.Fatal(err)
	}
	tag := func(tags ...types.Tag) error {
		_, err := p.TagResource(ctx, &healthlake.TagResourceInput{ResourceARN: &d.ARN, Tags: tags})
		return err
	}
	pair := func(k, v string) types.Tag { return types.Tag{Key: &k, Value: &v} }
	if err := errors.Join(tag(pair("a", "1"), pair("b", "")), tag(pair("a", "2"))); err != nil {
		t.Fatal(err)
	}
	if _, err := p.UntagResource(ctx, &healthlake.UntagResourceInput{ResourceARN: &d.ARN, TagKeys: []string{"b", "none"}}); err != nil {
		t.Fatal(err)
	}
	list, err := p.ListTagsForResource(ctx, &healthlake.ListTagsForResourceInput{ResourceARN: &d.ARN})
	if err != nil || len(list.Tags) != 1 || *list.Tags[0].Key != "a" || *list.Tags[0].Value != "2" {
		t.Errorf("%+v, %v", list, err)
	}
	var many []types.Tag
	for i := range 201 {
		many = append(many, pair(fmt.Sprint("k", i), ""))
	}
	expectCode(t, "201 tags", tag(many...), "ValidationException")
	expectCode(t, "too many in all", tag(many[:200]...), "ValidationException")
	for arn, code := range map[string]string{
		"arn:aws:healthlake:us-east-1:000000000000:datastore/fhir/" + strings.Repeat("0", 32): "ResourceNotFoundException",
		strings.Replace(d.ARN, "us-east-1", "eu-west-1", 1):                                   "ResourceNotFoundException",
		d.ID: "ValidationException",
	} {
		_, err := p.ListTagsForResource(ctx, &healthlake.ListTagsForResourceInput{ResourceARN: &arn})
		expectCode(t, arn, err, code)
	}
}

func TestImport(t *testing.T) {
	p, ctx := newPlane(t), t.Context()
	p.write("some/Patient.ndjson", `{"resourceType":"Patient","id":"pat-1"}`+"\n"+`{"resourceType":"Patient"}`+"\n")
	p.write("some/deep/more.ndjson", `{"resourceType":"Patient","id":"pat-2"}`+"\n")
	store := p.create("a")
	in := importOf(store, "s3://input/some/")
	in.JobName, in.ClientToken = aws.String("nightly"), aws.String("t")
	job, err := p.StartFHIRImportJob(ctx, in)
	if err != nil || job.JobStatus != types.JobStatusSubmitted {
		t.Fatalf("%+v, %v", job, err)
	}
	j := p.ended(store, *job.JobId)
	if err := healthlake.NewFHIRImportJobCompletedWaiter(p).Wait(ctx, &healthlake.DescribeFHIRImportJobInput{DatastoreId: &store, JobId: job.JobId}, time.Minute); err != nil {
		t.Error(err)
	}
	folder := "s3://output/reports/" + store + "-FHIR_IMPORT-" + *job.JobId + "/"
	r := j.JobProgressReport
	if j.JobStatus != types.JobStatusCompletedWithErrors || *j.JobName != "nightly" || j.EndTime == nil || j.Message != nil ||
		j.JobOutputDataConfig.(*types.OutputDataConfigMemberS3Configuration).Value.S3Uri == nil ||
		*j.JobOutputDataConfig.(*types.OutputDataConfigMemberS3Configuration).Value.S3Uri != folder ||
		j.InputDataConfig.(*types.InputDataConfigMemberS3Uri).Value != "s3://input/some/" {
		t.Errorf("%+v", j)
	}
	if *r.TotalNumberOfScannedFiles != 2 || *r.TotalNumberOfImportedFiles != 2 || *r.TotalNumberOfResourcesScanned != 3 || *r.TotalNumberOfResourcesImported != 2 ||
		*r.TotalNumberOfResourcesWithCustomerError != 1 || *r.TotalNumberOfFilesReadWithCustomerError != 1 || *r.TotalSizeOfScannedFilesInMB <= 0 || *r.Throughput <= 0 {
		t.Errorf("%+v", r)
	}
	p.expectReport(strings.TrimPrefix(folder, "s3://output/"))

	list, err := p.ListFHIRImportJobs(ctx, &healthlake.ListFHIRImportJobsInput{DatastoreId: &store, JobName: aws.String("nightly"), JobStatus: types.JobStatusCompletedWithErrors, SubmittedAfter: aws.Time(time.Now().Add(-time.Hour))})
	if err != nil || len(list.ImportJobPropertiesList) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err = p.ListFHIRImportJobs(ctx, &healthlake.ListFHIRImportJobsInput{DatastoreId: &store, JobName: aws.String("other")}); err != nil || len(list.ImportJobPropertiesList) != 0 {
		t.Errorf("%+v, %v", list, err)
	}

	// The same request is the same job, also after a restart; and what it says is the same.
	dir := p.root.Dir()
	p.close()
	p.open(dir)
	again, err := p.StartFHIRImportJob(ctx, in)
	if err != nil || *again.JobId != *job.JobId {
		t.Errorf("the same token: %+v, %v", again, err)
	}
	after := p.ended(store, *job.JobId)
	if after.JobStatus != j.JobStatus || !after.EndTime.Equal(*j.EndTime) {
		t.Errorf("after a restart: %+v", after)
	}
	// Another one changes nothing in the data store.
	if j := p.ended(store, p.start(store, "s3://input/some")); *j.JobProgressReport.TotalNumberOfResourcesImported != 2 {
		t.Errorf("%+v", j)
	}
	l, err := p.stores.Lake(store)
	if err != nil || l.Shown() != 1 {
		t.Errorf("snapshot %d, %v", l.Shown(), err)
	}
}

// expectReport checks the report of TestImport's job.
func (p *plane) expectReport(folder string) {
	p.t.Helper()
	dir := filepath.Join(p.out, folder)
	var names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	if d := cmp.Diff([]string{"FAILURE/Patient.ndjson", "Manifest.json", "SUCCESS/Patient.ndjson", "SUCCESS/more.ndjson", "manifest.json"}, names); d != "" {
		p.t.Errorf("report (-want +got):\n%s", d)
	}
	text, err := os.ReadFile(filepath.Join(dir, "Manifest.json"))
	if err != nil {
		p.t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		p.t.Fatal(err)
	}
	delete(m, "sizeOfScannedFilesInMB")
	delete(m, "sizeOfDataImportedSuccessfullyInMB")
	at := "s3://output/" + folder
	if d := cmp.Diff(map[string]any{
		"inputDataConfig":      map[string]any{"s3Uri": "s3://input/some/"},
		"outputDataConfig":     map[string]any{"s3Uri": at, "encryptionKeyID": "key"},
		"successOutput":        map[string]any{"successOutputS3Uri": at + "SUCCESS"},
		"failureOutput":        map[string]any{"failureOutputS3Uri": at + "FAILURE"},
		"numberOfScannedFiles": 2.0, "numberOfFilesImported": 2.0, "numberOfResourcesScanned": 3.0, "numberOfResourcesImportedSuccessfully": 2.0,
		"numberOfResourcesWithCustomerError": 1.0, "numberOfResourcesWithServerError": 0.0,
	}, m); d != "" {
		p.t.Errorf("manifest (-want +got):\n%s", d)
	}
}

func TestImportThatFails(t *testing.T) {
	p := newPlane(t)
	store := p.create("a")
	p.write("broken.ndjson.gz", "\x1f\x8bno gzip")
	p.write("empty/readme.txt", "")
	for _, uri := range []string{"s3://input/nothing", "s3://input/empty", "s3://input/broken.ndjson.gz"} {
		j := p.ended(store, p.start(store, uri))
		if j.JobStatus != types.JobStatusFailed || j.Message == nil || !strings.Contains(*j.Message, strings.TrimPrefix(uri, "s3://input/")) {
			t.Errorf("%s: %s %q", uri, j.JobStatus, aws.ToString(j.Message))
		}
	}
	// A report that cannot be written leaves the import as it is, and says where it is.
	p.write("good.ndjson", `{"resourceType":"Patient","id":"pat-1"}`+"\n")
	in := importOf(store, "s3://input/good.ndjson")
	in.JobOutputDataConfig = &types.OutputDataConfigMemberS3Configuration{Value: types.S3Configuration{S3Uri: aws.String("s3://output/file"), KmsKeyId: aws.String("key")}}
	if err := os.WriteFile(filepath.Join(p.out, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	job, err := p.StartFHIRImportJob(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	j := p.ended(store, *job.JobId)
	if j.JobStatus != types.JobStatusCompleted || !strings.Contains(aws.ToString(j.Message), "jobs/"+*job.JobId+"/report") {
		t.Errorf("%s %q", j.JobStatus, aws.ToString(j.Message))
	}
	if _, err := os.Stat(filepath.Join(p.root.JobDir(*job.JobId), "report", "Manifest.json")); err != nil {
		t.Error(err)
	}
}

// TestJobsOverS3 has buckets of a real S3 server.
func TestJobsOverS3(t *testing.T) {
	s := blobtest.Serve(t, "some-in", "some-out")
	p := newPlane(t)
	dir := p.root.Dir()
	p.close()
	p.blobs = blobtest.Options(s.URL)
	p.open(dir)
	s.Put(t, "some-in", "day 1/Patient.ndjson", []byte(`{"resourceType":"Patient","id":"pat-1"}`+"\n"+`{"resourceType":"Patient"}`+"\n"))
	store := p.create("a")
	in := importOf(store, "s3://some-in/day 1/")
	in.JobOutputDataConfig = &types.OutputDataConfigMemberS3Configuration{Value: types.S3Configuration{S3Uri: aws.String("s3://some-out/r"), KmsKeyId: aws.String("")}}
	job, err := p.StartFHIRImportJob(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	j := p.ended(store, *job.JobId)
	if j.JobStatus != types.JobStatusCompletedWithErrors || j.Message != nil {
		t.Fatalf("%s %q", j.JobStatus, aws.ToString(j.Message))
	}
	folder := "r/" + store + "-FHIR_IMPORT-" + *job.JobId + "/"
	for name, want := range map[string]string{"Manifest.json": `"numberOfResourcesScanned": 2`, "manifest.json": `s3://some-in/day 1/`, "SUCCESS/Patient.ndjson": `"pat-1"`, "FAILURE/Patient.ndjson": `"lineId":2`} {
		if text := s.Get(t, "some-out", folder+name); !strings.Contains(string(text), want) {
			t.Errorf("%s has no %s:\n%s", name, want, text)
		}
	}
	if j := p.ended(store, p.start(store, "s3://no-such-bucket/x")); j.JobStatus != types.JobStatusFailed || !strings.Contains(aws.ToString(j.Message), "no such bucket") {
		t.Errorf("%s %q", j.JobStatus, aws.ToString(j.Message))
	}
}

func TestExport(t *testing.T) {
	p, ctx := newPlane(t), t.Context()
	p.write("Patient.ndjson", `{"resourceType":"Patient","id":"pat-1"}`+"\n")
	store := p.create("a")
	p.ended(store, p.start(store, "s3://input"))
	job, err := p.StartFHIRExportJob(ctx, &healthlake.StartFHIRExportJobInput{
		DatastoreId: &store, DataAccessRoleArn: aws.String(role),
		OutputDataConfig: &types.OutputDataConfigMemberS3Configuration{Value: types.S3Configuration{S3Uri: aws.String("s3://output"), KmsKeyId: aws.String("key")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.jobs.Wait(ctx, *job.JobId)
	one := &healthlake.DescribeFHIRExportJobInput{DatastoreId: &store, JobId: job.JobId}
	if err := healthlake.NewFHIRExportJobCompletedWaiter(p).Wait(ctx, one, time.Minute); err != nil {
		t.Fatal(err)
	}
	j, err := p.DescribeFHIRExportJob(ctx, one)
	if err != nil {
		t.Fatal(err)
	}
	folder := store + "-FHIR_EXPORT-" + *job.JobId
	if uri := j.ExportJobProperties.OutputDataConfig.(*types.OutputDataConfigMemberS3Configuration).Value.S3Uri; *uri != "s3://output/"+folder+"/" {
		t.Errorf("%s", *uri)
	}
	files, err := filepath.Glob(filepath.Join(p.out, folder, "Patient", "Patient-*.ndjson"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil || strings.Count(string(text), "\n") != 1 || !strings.Contains(string(text), `"id":"pat-1"`) {
		t.Errorf("%s, %v", text, err)
	}
	_, err = p.DescribeFHIRImportJob(ctx, &healthlake.DescribeFHIRImportJobInput{DatastoreId: &store, JobId: job.JobId})
	expectCode(t, "an export as an import", err, "ResourceNotFoundException")
	if list, err := p.ListFHIRExportJobs(ctx, &healthlake.ListFHIRExportJobsInput{DatastoreId: &store}); err != nil || len(list.ExportJobPropertiesList) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestIsolation checks that a data store reaches nothing of another.
func TestIsolation(t *testing.T) {
	p, ctx := newPlane(t), t.Context()
	p.write("Patient.ndjson", `{"resourceType":"Patient","id":"pat-1"}`+"\n")
	a, b := p.create("a"), p.create("b")
	in := importOf(a, "s3://input")
	in.ClientToken = aws.String("token")
	job, err := p.StartFHIRImportJob(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	p.ended(a, *job.JobId)
	_, err = p.DescribeFHIRImportJob(ctx, &healthlake.DescribeFHIRImportJobInput{DatastoreId: &b, JobId: job.JobId})
	expectCode(t, "the job of another", err, "ResourceNotFoundException")
	if list, err := p.ListFHIRImportJobs(ctx, &healthlake.ListFHIRImportJobsInput{DatastoreId: &b}); err != nil || len(list.ImportJobPropertiesList) != 0 {
		t.Errorf("jobs of another: %+v, %v", list, err)
	}
	in.DatastoreId = &b
	other, err := p.StartFHIRImportJob(ctx, in)
	if err != nil || *other.JobId == *job.JobId {
		t.Errorf("the token of another: %+v, %v", other, err)
	}
	for _, id := range []string{"../" + a[:29], "..", "x", strings.ToUpper(a), a[:31]} {
		_, err = p.DescribeFHIRDatastore(ctx, &healthlake.DescribeFHIRDatastoreInput{DatastoreId: &id})
		expectCode(t, id, err, "ResourceNotFoundException")
		_, err = p.DescribeFHIRImportJob(ctx, &healthlake.DescribeFHIRImportJobInput{DatastoreId: &a, JobId: &id})
		expectCode(t, "job "+id, err, "ResourceNotFoundException")
	}
	for _, uri := range []string{"s3://input/../root", "s3://input/a/../../root", "s3://in\\put/x", "s3://input/./x"} {
		_, err := p.StartFHIRImportJob(ctx, importOf(a, uri))
		expectCode(t, uri, err, "ValidationException")
	}
}

func TestDeleteWhileAJobWorks(t *testing.T) {
	p := newPlane(t)
	store := p.create("a")
	end, err := p.stores.BeginJob(t.Context(), store, nil)
	if err != nil {
		t.Fatal(err)
	}
	id := p.start(store, "s3://input/nothing")
	_, err = p.DeleteFHIRDatastore(t.Context(), &healthlake.DeleteFHIRDatastoreInput{DatastoreId: &store})
	expectCode(t, "delete", err, "ConflictException")
	end()
	p.ended(store, id)
	if _, err = p.DeleteFHIRDatastore(t.Context(), &healthlake.DeleteFHIRDatastoreInput{DatastoreId: &store}); err != nil {
		t.Error(err)
	}
}

func TestPreload(t *testing.T) {
	p := newPlane(t)
	d, err := p.CreateFHIRDatastore(t.Context(), &healthlake.CreateFHIRDatastoreInput{
		DatastoreTypeVersion: types.FHIRVersionR4, PreloadDataConfig: &types.PreloadDataConfig{PreloadDataType: types.PreloadDataTypeSynthea},
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.stores.Lake(*d.DatastoreId)
	if err != nil || l.Shown() != 1 {
		t.Errorf("an active data store has snapshot %d, %v", l.Shown(), err)
	}
	if list, err := p.ListFHIRImportJobs(t.Context(), &healthlake.ListFHIRImportJobsInput{DatastoreId: d.DatastoreId}); err != nil || len(list.ImportJobPropertiesList) > 0 {
		t.Errorf("it is no import of a client: %+v, %v", list, err)
	}
}

// TestWire checks what no client of the SDK sends, and what the command line of AWS needs.
func TestWire(t *testing.T) {
	p := newPlane(t)
	store := p.create("a")
	start := `{"DatastoreId":"` + store + `","InputDataConfig":{"S3Uri":"s3://input"},"JobOutputDataConfig":{"S3Configuration":{"S3Uri":"s3://output"}},"DataAccessRoleArn":"` + role + `"`
	for _, tt := range []struct {
		name, operation, body string
		status                int
		want                  string // in the answer
	}{
		{"empty body", "ListFHIRDatastores", ``, 200, `"DatastorePropertiesList":[{`},
		{"unknown operation", "StartDataTransformationJob", `{}`, 400, `"__type":"UnknownOperationException"`},
		{"no JSON", "ListFHIRDatastores", `{`, 400, `"__type":"SerializationException"`},
		{"wrong type", "DescribeFHIRDatastore", `{"DatastoreId":7}`, 400, `"__type":"SerializationException"`},
		{"not there", "DescribeFHIRDatastore", `{"DatastoreId":"x"}`, 400, `"__type":"ResourceNotFoundException","Message":"`},
		{"missing", "DescribeFHIRDatastore", `{}`, 400, `1 validation error detected: DatastoreId is missing`},
		{"long id", "DescribeFHIRDatastore", `{"DatastoreId":"` + strings.Repeat("a", 33) + `"}`, 400, `ValidationException`},
		{"version", "CreateFHIRDatastore", `{"DatastoreTypeVersion":"R5"}`, 400, `DatastoreTypeVersion must be one of R4`},
		{"name", "CreateFHIRDatastore", `{"DatastoreTypeVersion":"R4","DatastoreName":"` + strings.Repeat("n", 257) + `"}`, 400, `at most 256`},
		{"token", "CreateFHIRDatastore", `{"DatastoreTypeVersion":"R4","ClientToken":"a b"}`, 400, `ClientToken`},
		{"encryption", "CreateFHIRDatastore", `{"DatastoreTypeVersion":"R4","SseConfiguration":{}}`, 400, `KmsEncryptionConfig is missing`},
		{"preload", "CreateFHIRDatastore", `{"DatastoreTypeVersion":"R4","PreloadDataConfig":{"PreloadDataType":"MIMIC"}}`, 400, `SYNTHEA`},
		{"page", "ListFHIRDatastores", `{"MaxResults":501}`, 400, `MaxResults must be 1 to 500`},
		{"next token", "ListFHIRDatastores", `{"NextToken":"?"}`, 400, `ValidationException`},
		{"union of two", "StartFHIRImportJob", `{"DatastoreId":"` + store + `","InputDataConfig":{"S3Uri":"s3://input","X":1}}`, 400, `must have S3Uri and nothing else`},
		{"all that is wrong", "StartFHIRImportJob", `{"ValidationLevel":"x"}`, 400, `5 validation errors detected`},
		{"role", "StartFHIRImportJob", start[:len(start)-len(role)-1] + `nobody"}`, 400, `DataAccessRoleArn`},
		{"input format", "StartFHIRImportJob", start + `,"InputFormat":"CSV"}`, 400, `InputFormat must be FHIR`},
		{"no such data store", "StartFHIRImportJob", strings.Replace(start, store, strings.Repeat("0", 32), 1) + `}`, 400, `ResourceNotFoundException`},
		{"fields of newer clients", "StartFHIRImportJob", start + `,"ProvenanceEnabled":true,"New":{"a":1}}`, 200, `"JobStatus":"SUBMITTED"`},
		{"update", "UpdateFHIRDatastore", `{"DatastoreId":"` + store + `","DatastoreName":"b","AnalyticsConfiguration":{"Status":"PAUSED"}}`, 200, `"DatastoreName":"b"`},
		{"update to a bad name", "UpdateFHIRDatastore", `{"DatastoreId":"` + store + `","DatastoreName":" b"}`, 400, `ValidationException`},
		{"update of none", "UpdateFHIRDatastore", `{"DatastoreId":"` + strings.Repeat("0", 32) + `"}`, 400, `ResourceNotFoundException`},
	} {
		status, body := p.post(tt.operation, tt.body)
		if status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, status, body, tt.status, tt.want)
		}
	}
	resp, err := http.Get(p.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("GET: %d", resp.StatusCode)
	}
}

func (p *plane) post(operation, body string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.url+"/", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "HealthLake."+operation)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestAWSCommandLine runs the command line of AWS, where it is installed.
func TestAWSCommandLine(t *testing.T) {
	bin := "/usr/bin/aws" // of Debian's package awscli
	if _, err := os.Stat(bin); err != nil {
		t.Skip("the command line of AWS is not installed: apt-get install awscli")
	}
	if testing.Short() {
		t.Skip("each command of it takes a second")
	}
	p := newPlane(t)
	run := func(want string, args ...string) map[string]any {
		t.Helper()
		cmd := exec.Command(bin, append([]string{"healthlake", "--endpoint-url", p.url, "--region", "us-east-1", "--output", "json"}, args...)...)
		cmd.Env = []string{"AWS_ACCESS_KEY_ID=k", "AWS_SECRET_ACCESS_KEY=s", "HOME=" + t.TempDir(), "PATH=/usr/bin:/bin", "AWS_MAX_ATTEMPTS=1"}
		out, err := cmd.CombinedOutput()
		if (err == nil) != (want == "") || !strings.Contains(string(out), want) {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		var v map[string]any
		if want == "" && json.Unmarshal(out, &v) != nil {
			t.Fatalf("%v: no JSON:\n%s", args, out)
		}
		return v
	}
	p.write("Patient.ndjson", `{"resourceType":"Patient","id":"pat-1"}`+"\n")
	store := run("", "create-fhir-datastore", "--datastore-type-version", "R4", "--datastore-name", "cli")["DatastoreId"].(string)
	job := run("", "start-fhir-import-job", "--datastore-id", store, "--input-data-config", "S3Uri=s3://input/",
		"--job-output-data-config", "S3Configuration={S3Uri=s3://output/,KmsKeyId=none}", "--data-access-role-arn", role)["JobId"].(string)
	p.jobs.Wait(t.Context(), job)
	j := run("", "describe-fhir-import-job", "--datastore-id", store, "--job-id", job)["ImportJobProperties"].(map[string]any)
	if j["JobStatus"] != "COMPLETED" || j["JobId"] != job { // version 2.9 knows no progress report
		t.Errorf("%v", j)
	}
	run("ResourceNotFoundException", "describe-fhir-datastore", "--datastore-id", strings.Repeat("0", 32))
	if d := run("", "delete-fhir-datastore", "--datastore-id", store); d["DatastoreStatus"] != "DELETED" {
		t.Errorf("%v", d)
	}
}
