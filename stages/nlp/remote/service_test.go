package remote_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/fhirlake/fhirlake/stages/nlp/remote"
)

// term is something that the service of the tests finds.
type term struct{ word, category, kind, operation, code string }

var terms = []term{
	{"Kopfweh", "MEDICAL_CONDITION", "DX_NAME", "InferICD10CM", "R51.9"},
	{"asthma", "MEDICAL_CONDITION", "DX_NAME", "InferICD10CM", "J45.909"},
	{"aspirin", "MEDICATION", "GENERIC_NAME", "InferRxNorm", "1191"},
	{"knee", "ANATOMY", "SYSTEM_ORGAN_SITE", "InferSNOMEDCT", "72696002"},
}

// limits are the longest texts that the service takes, in bytes.
var limits = map[string]int{"DetectEntitiesV2": 20_000, "InferICD10CM": 10_000, "InferRxNorm": 10_000, "InferSNOMEDCT": 5_000}

var member = map[string]string{"InferICD10CM": "ICD10CMConcepts", "InferRxNorm": "RxNormConcepts", "InferSNOMEDCT": "SNOMEDCTConcepts"}

// request is one that the service got.
type request struct {
	operation, text string
	attempt         int // of this operation, from 1
}

// fault answers a request in place of the service, or leaves it to it by false.
type fault func(w http.ResponseWriter, r *http.Request, q request) bool

// service behaves as Comprehend Medical does, with faults.
type service struct {
	*httptest.Server
	t     *testing.T
	keys  map[string]credentials.Value // that sign requests; nil: none has to
	fault fault

	mu       sync.Mutex
	requests []request
	conns    int
}

func newService(t *testing.T, f fault) *service {
	s := &service{t: t, fault: f}
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.mu.Lock()
			s.conns++
			s.mu.Unlock()
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *service) got() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "ComprehendMedical_20181030.")
	var in struct{ Text string }
	switch {
	case !ok || limits[operation] == 0 || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-amz-json-1.1":
		refuse(w, 404, "UnknownOperationException", "")
		return
	case json.Unmarshal(body, &in) != nil || in.Text == "":
		refuse(w, 400, "InvalidRequestException", "")
		return
	case len(in.Text) > limits[operation]:
		refuse(w, 400, "TextSizeLimitExceededException", "")
		return
	}
	s.mu.Lock()
	q := request{operation, in.Text, 1}
	for _, o := range s.requests {
		if o.operation == operation {
			q.attempt++
		}
	}
	s.requests = append(s.requests, q)
	s.mu.Unlock()
	if s.keys != nil {
		if wrong := s.verify(r, body); wrong != "" {
			refuse(w, 403, wrong, "")
			return
		}
	}
	if s.fault != nil && s.fault(w, r, q) {
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Write(answer(operation, in.Text))
}

// refuse answers as AWS does, with a message that repeats what it must not.
func refuse(w http.ResponseWriter, status int, kind, text string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"__type":"com.amazonaws.comprehendmedical#%s","Message":%q}`, kind, "the text "+text+" is refused")
}

// answer is what an operation finds in a text.
func answer(operation, text string) []byte {
	type object = map[string]any
	found := []object{}
	for _, t := range terms {
		if operation != "DetectEntitiesV2" && operation != t.operation {
			continue
		}
		for from := 0; ; {
			i := strings.Index(text[from:], t.word)
			if i < 0 {
				break
			}
			begin := utf8.RuneCountInString(text[:from+i])
			e := object{
				"Id": len(found), "Text": t.word, "BeginOffset": begin, "EndOffset": begin + utf8.RuneCountInString(t.word),
				"Category": t.category, "Type": t.kind, "Score": 0.75, "Traits": []object{}, "Attributes": []object{},
			}
			if operation == t.operation {
				e[member[operation]] = []object{{"Code": t.code, "Description": "of " + t.word, "Score": 0.5}}
			}
			found = append(found, e)
			from += i + len(t.word)
		}
	}
	b, err := json.Marshal(object{"Entities": found, "ModelVersion": "1.0.0", "PaginationToken": nil})
	if err != nil {
		panic(err)
	}
	return b
}

// verify checks the signature as AWS describes it, and gives the name of the error.
func (s *service) verify(r *http.Request, body []byte) string {
	fields := map[string]string{}
	for part := range strings.SplitSeq(strings.TrimPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 "), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/") // key, day, region, service, "aws4_request"
	if len(scope) != 5 || scope[2] != "eu-west-1" || scope[3] != "comprehendmedical" {
		return "IncompleteSignatureException"
	}
	key, ok := s.keys[scope[0]]
	if !ok || key.SessionToken != r.Header.Get("X-Amz-Security-Token") {
		return "UnrecognizedClientException"
	}
	headers := ""
	for name := range strings.SplitSeq(fields["SignedHeaders"], ";") {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		headers += name + ":" + strings.TrimSpace(value) + "\n"
	}
	for _, must := range []string{"host", "x-amz-date", "x-amz-target", "content-type"} {
		if !slices.Contains(strings.Split(fields["SignedHeaders"], ";"), must) {
			return "IncompleteSignatureException"
		}
	}
	sum := func(b string) string { h := sha256.Sum256([]byte(b)); return hex.EncodeToString(h[:]) }
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	path := strings.ReplaceAll(r.URL.EscapedPath(), "%", "%25") // encoded once more, as for all services but S3
	canonical := strings.Join([]string{r.Method, path, r.URL.RawQuery, headers, fields["SignedHeaders"], sum(string(body))}, "\n")
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", r.Header.Get("X-Amz-Date"), strings.Join(scope[1:], "/"), sum(canonical)}, "\n")
	k := []byte("AWS4" + key.SecretAccessKey)
	for _, part := range scope[1:] {
		k = mac(k, part)
	}
	if hex.EncodeToString(mac(k, toSign)) != fields["Signature"] {
		return "InvalidSignatureException"
	}
	if !key.Expiration.IsZero() && key.Expiration.Before(time.Now()) {
		return "ExpiredTokenException"
	}
	return ""
}

// client makes a client of the service that does not wait between attempts.
func (s *service) client(o remote.Options) (*remote.Client, *waits) {
	s.t.Helper()
	o.Endpoint = s.URL
	if s.keys == nil {
		o.Unsigned = true
	}
	if o.Operations == nil {
		o.Operations = []string{"DetectEntitiesV2"}
	}
	c, err := remote.New(o)
	if err != nil {
		s.t.Fatal(err)
	}
	w := &waits{}
	c.OnWait(w.wait)
	return c, w
}
