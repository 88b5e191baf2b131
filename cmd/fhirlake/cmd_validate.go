package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/fhir/profile"
	"github.com/fhirlake/fhirlake/pipeline"
	"github.com/fhirlake/fhirlake/sinks/reject"
	"github.com/fhirlake/fhirlake/sources/ndjson"
	"github.com/fhirlake/fhirlake/stages/parse"
	"github.com/fhirlake/fhirlake/stages/validate"
	checked "github.com/fhirlake/fhirlake/stages/validate/profiles"
	profilestore "github.com/fhirlake/fhirlake/store/profiles"
)

// validateFlags are the flags of validate.
type validateFlags struct {
	level       string
	profiles    []string // that every resource of their type must keep
	definitions []string // files beside those of the root
}

func newValidateCommand(g *globals) *cobra.Command {
	f := &validateFlags{}
	c := &cobra.Command{
		Use:   "validate [flags] FILE...",
		Short: "Check resources against R4 and profiles",
		Long: `Validate reads resources like import does (NDJSON or single JSON documents,
files, folders, globs, or - for standard input) and writes one OperationOutcome,
a line of NDJSON, for each resource of which there is something to say. It stores
nothing. A Bundle is one resource: it is checked as a whole, entries and all.

A resource is held to base R4 and to the profiles that it claims in meta.profile,
as far as they are known: those that fhirlake profile add gave to the root, if
there is one, and those of --definitions. --profile names one that all resources of
its type must keep, claimed or not.

The exit code is 3 when a resource has an error. Warnings and information are shown
and do not change it.`,
		Example: `  fhirlake validate Patient.ndjson
  fhirlake validate --definitions hl7.fhir.us.core-3.1.0.tgz Patient.ndjson
  fhirlake validate - < bundle.json`,
		Args: atLeast(1, "FILE: files, folders, globs, or - for standard input"),
		RunE: func(c *cobra.Command, args []string) error { return runValidate(c, g, f, args) },
	}
	fs := c.Flags()
	fs.StringVar(&f.level, "level", validate.Strict.String(), "strict: R4 and the profiles that resources claim; structure-only: R4, and what --profile names")
	fs.StringArrayVar(&f.profiles, "profile", nil, "canonical URL of a profile that every resource of its type must keep")
	fs.StringArrayVar(&f.definitions, "definitions", nil, "file, folder or npm package with definitions to use beside those of the root")
	return c
}

func runValidate(c *cobra.Command, g *globals, f *validateFlags, inputs []string) error {
	o, err := f.options(g)
	if err != nil {
		return err
	}
	out := c.OutOrStdout()
	fig, err := validateInto(c.Context(), out, c.InOrStdin(), o, inputs)
	if err != nil {
		return err
	}
	if g.json {
		err = printJSON(out, struct {
			Resources int64 `json:"resources"`
			Faulty    int64 `json:"faulty"`
			Warned    int64 `json:"warned"`
		}{fig.Records, fig.Rejected, fig.Warned})
	} else {
		_, err = fmt.Fprintf(c.ErrOrStderr(), "%s resources, %s faulty, %s with warnings alone\n",
			formatCount(fig.Records), formatCount(fig.Rejected), formatCount(fig.Warned))
	}
	if err == nil && fig.Rejected > 0 {
		err = exitError{code: exitRejected}
	}
	return err
}

// validateInto writes the outcomes of the inputs.
func validateInto(ctx context.Context, out io.Writer, stdin io.Reader, o validate.Options, inputs []string) (pipeline.Figures, error) {
	stage, err := validate.New(o)
	if err != nil {
		return pipeline.Figures{}, err
	}
	src, err := ndjson.Open(ctx, inputs, ndjson.Options{Stdin: stdin})
	if err != nil {
		return pipeline.Figures{}, err
	}
	return pipeline.Run(ctx, pipeline.Config{
		Source: src,
		Stages: []pipeline.Stage{parse.New(), stage},
		Sinks:  []pipeline.Sink{reject.NewOutcomes(out)},
	})
}

// options makes those of the stage. A profile that is asked for by name must be known.
func (f *validateFlags) options(g *globals) (validate.Options, error) {
	level, err := validate.ParseLevel(f.level)
	switch {
	case err != nil:
		return validate.Options{}, usageError("--level: %w", err)
	case level == validate.Minimal:
		return validate.Options{}, usageError("--level minimal is for imports, where it says what becomes of faulty resources; use strict or structure-only")
	}
	known, err := f.registry(g)
	if err != nil {
		return validate.Options{}, err
	}
	for _, url := range f.profiles {
		if _, err := known.Profile(url); errors.Is(err, profile.ErrUnknown) {
			return validate.Options{}, usageError("--profile %s is not known here; add it with `fhirlake profile add`, or name its file with --definitions", url)
		} else if err != nil {
			return validate.Options{}, err
		}
	}
	set := checked.NewSet(known)
	if len(f.definitions) > 0 {
		// Those of the root were checked when they were added.
		if faults, _ := set.Check(); len(faults) > 0 {
			return validate.Options{}, errors.Join(faults[:min(len(faults), maxFaults)]...)
		}
	}
	return validate.Options{Level: level, Profiles: set, Always: f.profiles, Notes: true}, nil
}

// registry reads the definitions of the root, if there is one, and of --definitions.
func (f *validateFlags) registry(g *globals) (*profile.Registry, error) {
	var known *profile.Registry
	err := withRoot(g, func(l *lake) (err error) {
		known, err = profilestore.Load(l.root)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = profile.Read(f.definitions, func(res profile.Resource) error {
		_, err := known.Add(res)
		return err
	})
	return known, err
}
