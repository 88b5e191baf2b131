// Command gen writes base.gz of package fhir/profile: the profiles, extensions,
// value sets and code systems of FHIR R4 without their prose. The source is the
// npm package hl7.fhir.r4.examples@4.0.1 (CC0), read as the archive that
// `npm pack` leaves:
//
//	npm pack hl7.fhir.r4.examples@4.0.1
//	go run ./gen -package hl7.fhir.r4.examples-4.0.1.tgz
//
// in the folder fhir/profile, or with FHIRLAKE_R4_PACKAGE naming the archive and
// `go generate`. The output is gzip; its first line names source and
// licence, each further one is a definition: type, URL, version and JSON, with
// tabs between them, sorted.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/fhirlake/fhirlake/fhir/profile"
)

func main() {
	archive := flag.String("package", os.Getenv("FHIRLAKE_R4_PACKAGE"), "archive of hl7.fhir.r4.examples@4.0.1 (.tgz); the default is $FHIRLAKE_R4_PACKAGE")
	out := flag.String("out", "base.gz", "file to write")
	flag.Parse()
	if *archive == "" {
		fmt.Fprintln(os.Stderr, "gen: no package: give -package or set FHIRLAKE_R4_PACKAGE (see the comment of gen/main.go)")
		os.Exit(2)
	}
	text, err := generate(*archive)
	if err == nil {
		err = os.WriteFile(*out, text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// generate gives the content of the file.
func generate(archive string) ([]byte, error) {
	raw, err := os.ReadFile(archive)
	if err != nil {
		return nil, err
	}
	var lines []string
	err = profile.ReadFrom(bytes.NewReader(raw), archive, func(res profile.Resource) error {
		slim, err := slimmed(res)
		if err != nil || slim == nil {
			return err
		}
		lines = append(lines, strings.Join([]string{res.Type, res.URL, res.Version, string(slim)}, "\t"))
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(lines)
	lines = slices.Compact(lines) // the package has them in Bundles, too
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(z, "Source: HL7 FHIR R4 4.0.1, npm package hl7.fhir.r4.examples@4.0.1, SHA-256 %x. Licence: CC0.\n", sha256.Sum256(raw))
	for _, line := range lines {
		fmt.Fprintln(z, line)
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// slimmed gives the part of a definition that says what instances must be, or nil
// for what package fhir/r4 has and for code systems without content.
func slimmed(res profile.Resource) ([]byte, error) {
	var d map[string]any
	if err := json.Unmarshal(res.JSON, &d); err != nil {
		return nil, err
	}
	switch res.Type {
	case "StructureDefinition":
		if d["derivation"] != "constraint" {
			return nil, nil
		}
		keep(d, "resourceType url version name kind type baseDefinition derivation context differential")
		differential, _ := d["differential"].(map[string]any)
		keep(differential, "element")
		for _, e := range objects(differential["element"]) {
			slimElement(e)
		}
	case "ValueSet":
		keep(d, "resourceType url version compose")
		compose, _ := d["compose"].(map[string]any)
		keep(compose, "include exclude")
		for _, part := range append(objects(compose["include"]), objects(compose["exclude"])...) {
			for _, c := range objects(part["concept"]) {
				keep(c, "code")
			}
		}
	case "CodeSystem":
		if d["content"] != "complete" {
			return nil, nil
		}
		keep(d, "resourceType url version content caseSensitive concept")
		slimConcepts(d["concept"])
	default:
		return nil, nil
	}
	return json.Marshal(d)
}

func slimElement(e map[string]any) {
	for name := range e {
		if !slices.Contains(strings.Fields("id path sliceName slicing min max type contentReference maxLength constraint binding"), name) &&
			!strings.HasPrefix(name, "fixed") && !strings.HasPrefix(name, "pattern") &&
			!strings.HasPrefix(name, "minValue") && !strings.HasPrefix(name, "maxValue") {
			delete(e, name)
		}
	}
	slicing, _ := e["slicing"].(map[string]any)
	keep(slicing, "discriminator ordered rules")
	for _, c := range objects(e["constraint"]) {
		keep(c, "key severity human expression source")
	}
	binding, _ := e["binding"].(map[string]any)
	keep(binding, "strength valueSet extension")
	for _, t := range objects(e["type"]) {
		keep(t, "code profile targetProfile aggregation")
	}
}

func slimConcepts(list any) {
	for _, c := range objects(list) {
		keep(c, "code concept property")
		slimConcepts(c["concept"])
	}
}

// keep deletes all members but the named ones.
func keep(d map[string]any, names string) {
	for name := range d {
		if !slices.Contains(strings.Fields(names), name) {
			delete(d, name)
		}
	}
}

// objects gives the objects of a list.
func objects(list any) []map[string]any {
	items, _ := list.([]any)
	var out []map[string]any
	for _, item := range items {
		if o, ok := item.(map[string]any); ok {
			out = append(out, o)
		}
	}
	return out
}
