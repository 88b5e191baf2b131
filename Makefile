# fhirlake. `make demo` shows what it does, `make test` checks a clone.

GO    ?= go
TOOL  := $(GO) tool -modfile=go.tools.mod
BIN   := bin/fhirlake
DEMO  := demo-data
R4TGZ ?=

.PHONY: build demo test check fmt vet lint race onnx slow crash soak search vuln bench generate clean

build: ## build bin/fhirlake
	@command -v $(GO) >/dev/null || { echo "Go 1.26 or later is needed: https://go.dev/dl" >&2; exit 1; }
	@command -v $${CC:-cc} >/dev/null || { echo "a C compiler is needed (Debian: apt-get install gcc; macOS: xcode-select --install)" >&2; exit 1; }
	$(GO) build -o $(BIN) ./cmd/fhirlake

demo: build ## generate a population, import it, answer three questions
	@BIN=$(BIN) DIR=$(DEMO) sh bench/demo.sh

test: ## all tests that end within minutes; needs no network
	$(GO) test -shuffle=on -tags invariants ./...

check: fmt vet lint test race ## what CI runs

fmt:
	@out="$$($(TOOL) gofumpt -l .)"; test -z "$$out" || { echo "not formatted (gofumpt -w):" $$out >&2; exit 1; }

vet:
	$(GO) vet ./...
	$(GO) vet -tags onnx ./stages/nlp/onnx
	$(GO) mod tidy -diff

lint:
	$(TOOL) staticcheck ./...
	$(TOOL) staticcheck -tags onnx ./stages/nlp/onnx

race:
	$(GO) test -race -short ./fhir/... ./fhirpath/... ./pipeline/... ./sources/... ./stages/... ./sinks/... ./store/snapshot/... ./store/root/... ./store/catalog/... ./store/compact/...
	$(GO) test -race -short -run Beside ./server/bulk

onnx: ## models in ONNX Runtime; FHIRLAKE_ONNXRUNTIME is its file, if it is not where the system looks
	$(GO) test -race -short -tags onnx ./stages/nlp/onnx

slow: crash soak search ## the suites that take long; run them before a release

crash: build ## kill imports and servers at many moments, damage files, fill disks, and look what is left
	FHIRLAKE_BIN=$(CURDIR)/$(BIN) $(GO) test -tags slow -run Crash -count 1 -timeout 60m ./cmd/fhirlake

soak: build ## big inputs: memory and rate must hold
	FHIRLAKE_BIN=$(CURDIR)/$(BIN) $(GO) test -tags slow -run Soak -count 1 -timeout 60m ./cmd/fhirlake

search: ## searches beside writers, and hostile ones, at length
	$(GO) test -tags slow -run 'Beside|OfOneMoment|Injections|OracleOverHTTP' -count 1 -timeout 60m ./server/search ./server/rest ./server/datastores

vuln:
	$(TOOL) govulncheck ./...; test $$? -ne 3 # 3: found; 1: no database here

bench: ## micro-benchmarks, ten runs, for benchstat
	@mkdir -p bench/results
	$(GO) test -run '^$$' -bench . -count 10 ./... | tee bench/results/new.txt

generate: ## write the R4 tables again: make generate R4TGZ=hl7.fhir.r4.examples-4.0.1.tgz
	@test -n "$(R4TGZ)" || { echo "get the definitions with 'npm pack hl7.fhir.r4.examples@4.0.1' and name the archive: make generate R4TGZ=..." >&2; exit 1; }
	FHIRLAKE_R4_PACKAGE=$(abspath $(R4TGZ)) $(GO) generate ./fhir/r4 ./fhir/profile

clean:
	rm -rf bin $(DEMO)
