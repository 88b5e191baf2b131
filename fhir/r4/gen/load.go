package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// definitions is what the generator reads of the package, in the order of the
// archive; nothing of the output may depend on that order.
type definitions struct {
	digest       string // SHA-256 of the archive
	structures   map[string]*structureDefinition
	valueSets    map[string]*valueSet
	codeSystems  map[string]*codeSystem
	parameters   map[string]*searchParameter
	compartments map[string]*compartmentDefinition
}

type extension struct {
	URL          string `json:"url"`
	ValueURL     string `json:"valueUrl"`
	ValueBoolean bool   `json:"valueBoolean"`
}

type structureDefinition struct {
	URL            string `json:"url"`
	Type           string `json:"type"`
	Kind           string `json:"kind"`
	Abstract       bool   `json:"abstract"`
	BaseDefinition string `json:"baseDefinition"`
	Derivation     string `json:"derivation"`
	Snapshot       struct {
		Element []elementDefinition `json:"element"`
	} `json:"snapshot"`
}

type elementDefinition struct {
	Path string `json:"path"`
	Min  int    `json:"min"`
	Max  string `json:"max"`
	Type []struct {
		Code          string      `json:"code"`
		TargetProfile []string    `json:"targetProfile"`
		Extension     []extension `json:"extension"`
	} `json:"type"`
	ContentReference string                 `json:"contentReference"`
	Constraint       []constraintDefinition `json:"constraint"`
	IsModifier       bool                   `json:"isModifier"`
	IsSummary        bool                   `json:"isSummary"`
	Binding          struct {
		Strength string `json:"strength"`
		ValueSet string `json:"valueSet"`
	} `json:"binding"`
}

type constraintDefinition struct {
	Key        string      `json:"key"`
	Severity   string      `json:"severity"`
	Human      string      `json:"human"`
	Expression string      `json:"expression"`
	Source     string      `json:"source"`
	Extension  []extension `json:"extension"`
}

type valueSet struct {
	URL     string `json:"url"`
	Name    string `json:"name"`
	Compose struct {
		Include []valueSetInclude `json:"include"`
		Exclude []valueSetInclude `json:"exclude"`
	} `json:"compose"`
}

type valueSetInclude struct {
	System  string `json:"system"`
	Concept []struct {
		Code string `json:"code"`
	} `json:"concept"`
	Filter []struct {
		Property string `json:"property"`
		Op       string `json:"op"`
		Value    string `json:"value"`
	} `json:"filter"`
	ValueSet []string `json:"valueSet"`
}

type codeSystem struct {
	URL     string    `json:"url"`
	Content string    `json:"content"`
	Concept []concept `json:"concept"`
}

type concept struct {
	Code     string    `json:"code"`
	Concept  []concept `json:"concept"`
	Property []struct {
		Code      string `json:"code"`
		ValueCode string `json:"valueCode"`
	} `json:"property"`
}

type searchParameter struct {
	URL          string   `json:"url"`
	Code         string   `json:"code"`
	Base         []string `json:"base"`
	Type         string   `json:"type"`
	Expression   string   `json:"expression"`
	XPathUsage   string   `json:"xpathUsage"`
	Target       []string `json:"target"`
	Comparator   []string `json:"comparator"`
	Modifier     []string `json:"modifier"`
	MultipleOr   *bool    `json:"multipleOr"`
	MultipleAnd  *bool    `json:"multipleAnd"`
	Experimental bool     `json:"experimental"`
	Component    []struct {
		Definition string `json:"definition"`
		Expression string `json:"expression"`
	} `json:"component"`
}

type compartmentDefinition struct {
	URL      string              `json:"url"`
	Code     string              `json:"code"`
	Resource []compartmentMember `json:"resource"`
}

type compartmentMember struct {
	Code  string   `json:"code"`
	Param []string `json:"param"`
}

// load reads the package archive (.tgz) as the npm registry serves it. File
// names start with the resource type, so the examples are skipped unparsed.
func load(name string) (*definitions, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	hash := sha256.New()
	zr, err := gzip.NewReader(io.TeeReader(f, hash))
	if err != nil {
		return nil, fmt.Errorf("open package: %w", err)
	}
	d := &definitions{
		structures:   map[string]*structureDefinition{},
		valueSets:    map[string]*valueSet{},
		codeSystems:  map[string]*codeSystem{},
		parameters:   map[string]*searchParameter{},
		compartments: map[string]*compartmentDefinition{},
	}
	for tr := tar.NewReader(zr); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read package: %w", err)
		}
		kind, _, _ := strings.Cut(path.Base(h.Name), "-")
		if err := d.add(kind, tr); err != nil {
			return nil, fmt.Errorf("read %s: %w", h.Name, err)
		}
	}
	if _, err := io.Copy(io.Discard, zr); err != nil {
		return nil, fmt.Errorf("read package: %w", err)
	}
	if _, err := io.Copy(hash, f); err != nil {
		return nil, fmt.Errorf("read package: %w", err)
	}
	d.digest = hex.EncodeToString(hash.Sum(nil))
	return d, nil
}

func (d *definitions) add(kind string, r io.Reader) error {
	dec := json.NewDecoder(r)
	switch kind {
	case "StructureDefinition":
		s := &structureDefinition{}
		if err := dec.Decode(s); err != nil {
			return err
		}
		base := strings.HasPrefix(s.URL, structureURL) && s.Derivation != "constraint" &&
			(s.Kind == "primitive-type" || s.Kind == "complex-type" || s.Kind == "resource")
		if base {
			return put(d.structures, s.Type, s)
		}
	case "ValueSet":
		v := &valueSet{}
		if err := dec.Decode(v); err != nil {
			return err
		}
		return put(d.valueSets, v.URL, v)
	case "CodeSystem":
		c := &codeSystem{}
		if err := dec.Decode(c); err != nil {
			return err
		}
		return put(d.codeSystems, c.URL, c)
	case "SearchParameter":
		p := &searchParameter{}
		if err := dec.Decode(p); err != nil {
			return err
		}
		// The experimental ones are examples and parameters of extensions.
		if !p.Experimental {
			return put(d.parameters, p.URL, p)
		}
	case "CompartmentDefinition":
		c := &compartmentDefinition{}
		if err := dec.Decode(c); err != nil {
			return err
		}
		if !strings.HasSuffix(c.URL, "/example") {
			return put(d.compartments, c.Code, c)
		}
	}
	return nil
}

func put[T any](m map[string]*T, key string, v *T) error {
	if m[key] != nil {
		return fmt.Errorf("second definition of %s", key)
	}
	m[key] = v
	return nil
}
