package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/server/dictionary"
	"github.com/fhirlake/fhirlake/stages/nlp/terminology/release"
)

func newTerminologyCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "terminology",
		Short: "Import, list and remove terminologies that notes are read with",
		Long: `Terminology manages the dictionary by which NLP reads the notes of a root: the core
lexicon of fhirlake and the releases of terminologies that you have. They are yours
to get, and their licences yours to keep: fhirlake brings none along.`,
		Example: "  fhirlake terminology import icd10cm-order-2026.txt RxNorm_full_01052026.zip\n  fhirlake terminology list",
		Args:    subcommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newTerminologyImport(g), newTerminologyList(g), newTerminologyRemove(g))
	return c
}

// terminologyImport says what to import.
type terminologyImport struct {
	Files []string `json:"files"`
	Name  string   `json:"name,omitempty"`
	Kind  string   `json:"kind,omitempty"` // empty for what the files look like
}

func newTerminologyImport(g *globals) *cobra.Command {
	var p terminologyImport
	c := &cobra.Command{
		Use:     "import [flags] FILE|FOLDER|ZIP...",
		Aliases: []string{"add"},
		Short:   "Import releases of terminologies",
		Long: `Import reads releases as their publishers make them: files, maybe gzip, folders or
zip archives, which need not be unpacked. In folders and archives it finds the files
that it knows by their names and content, passes over others, and says which it read:

  ICD-10-CM   order file, tabular list and index files (XML)
  RxNorm      RXNCONSO.RRF, with RXNREL.RRF for the ingredients of brands
  UMLS        MRCONSO.RRF and MRSTY.RRF
  SNOMED CT   the snapshot of RF2; the US edition's map gives ICD-10-CM codes
  LOINC       Loinc.csv: names of tests
  OBO         the Disease Ontology and others of conditions
  TSV         a table of your own: a column named term, and maybe system, code,
              preferred, category, type and kind

Each release has a name, so that its next version takes its place. All are imported or,
when one is at fault, none. Notes that come are read with the new dictionary from then
on, by a running server too; fhirlake reread reads again what is stored.`,
		Example: `  fhirlake terminology import icd10cm-order-2026.txt icd10cm-tabular-2026.xml
  fhirlake terminology import RxNorm_full_01052026.zip
  fhirlake terminology import --name ward-words words.tsv`,
		Args: atLeast(1, "FILE, FOLDER or ZIP"),
		RunE: func(c *cobra.Command, args []string) error {
			p.Files = args
			kinds := append([]string{"auto"}, release.Kinds()...)
			switch {
			case !slices.Contains(kinds, p.Kind):
				return usageError("--kind %s is unknown; expected one of %s", p.Kind, strings.Join(kinds, ", "))
			case c.Flags().Changed("name") && !validName(p.Name):
				return usageError("--name %q: expected 1 to 64 letters, digits, dots, hyphens and underscores", p.Name)
			}
			if p.Kind == "auto" {
				p.Kind = ""
			}
			r, err := importTerminologyWork.run(c, g, nil, p)
			if err != nil {
				return err
			}
			return g.showImportedTerminology(c.OutOrStdout(), r)
		},
	}
	c.Flags().StringVar(&p.Name, "name", "", "what to call the terminology, when one is imported; an earlier one of the name is replaced")
	c.Flags().StringVar(&p.Kind, "kind", "auto", "format: "+strings.Join(release.Kinds(), ", ")+"; auto: by name and content")
	return c
}

func validName(s string) bool {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r)
	}
	return len(s) > 0 && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool { return !ok(r) })
}

// terminologySource is a terminology as commands show it.
type terminologySource struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind"`
	Version string    `json:"version,omitempty"`
	Terms   int       `json:"terms"`
	Added   time.Time `json:"added"`
	Read    []string  `json:"read"`
}

// terminologies is the dictionary of a root as commands show it; Sources are all of it, or
// those that an import added.
type terminologies struct {
	Dictionary string              `json:"dictionary"` // its version
	Terms      int                 `json:"terms"`      // different texts, those of the core lexicon included
	Sources    []terminologySource `json:"sources"`
}

func terminologiesOf(d *dictionary.Dictionary, sources []dictionary.Source) terminologies {
	x := d.Current()
	t := terminologies{Dictionary: x.Version(), Terms: x.Len(), Sources: []terminologySource{}}
	for _, s := range sources {
		t.Sources = append(t.Sources, terminologySource{s.Name, s.Kind, s.Version, s.Terms, s.Added, s.Read})
	}
	return t
}

var importTerminologyWork = work[terminologyImport, terminologies]{
	name: "terminology-import",
	abroad: func(p terminologyImport) (_ terminologyImport, err error) {
		p.Files, err = absolute(p.Files)
		return p, err
	},
	home: func(p terminologyImport, t terminologies) terminologies {
		here := relative(p.Files)
		for i := range t.Sources {
			for k, name := range t.Sources[i].Read {
				t.Sources[i].Read[k] = here(name)
			}
		}
		return t
	},
	do: func(ctx context.Context, l *lake, s *session, p terminologyImport) (t terminologies, err error) {
		found, err := release.Find(p.Files, p.Kind)
		if err != nil {
			return t, fmt.Errorf("nothing was imported: %w", err)
		}
		if p.Name != "" {
			if len(found) != 1 {
				var names []string
				for _, r := range found {
					names = append(names, r.Name)
				}
				return t, usageError("--name is for one terminology; found %s", strings.Join(names, ", "))
			}
			found[0].Name = p.Name
		}
		d := l.dictionaryToChange()
		var now dictionary.Progress
		defer s.watch(func() progress {
			return progress{Done: now.Done.Load(), Total: now.Total.Load(), Bytes: now.Done.Load(), Resources: now.Terms.Load(), Unit: "terms"}
		})()
		added, err := d.Import(ctx, found, time.Now(), &now)
		if err != nil {
			return t, fmt.Errorf("nothing was imported: %w", err)
		}
		for i := range found {
			if !slices.ContainsFunc(added, func(s dictionary.Source) bool { return s.Name == found[i].Name }) {
				s.note(fmt.Sprintf("note: %s: no terms for the dictionary in it", found[i].Files[0].Name))
			}
		}
		return terminologiesOf(d, added), nil
	},
}

func (g *globals) showImportedTerminology(out io.Writer, t terminologies) error {
	if g.json {
		return printJSON(out, t)
	}
	var b strings.Builder
	for _, s := range t.Sources {
		fmt.Fprintf(&b, "%s: %s terms\n", strings.TrimSpace(s.Name+" "+s.Version), formatCount(int64(s.Terms)))
		for _, name := range s.Read {
			fmt.Fprintf(&b, "  read %s\n", name)
		}
	}
	fmt.Fprintf(&b, "the dictionary has %s terms now\n", formatCount(int64(t.Terms)))
	_, err := io.WriteString(out, b.String())
	return err
}

func newTerminologyList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the terminologies that were imported",
		Example: "  fhirlake terminology list --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return withRoot(g, func(l *lake) error {
				d, err := l.dictionary()
				if err != nil {
					return err
				}
				t := terminologiesOf(d, d.Sources())
				if g.json {
					return printJSON(c.OutOrStdout(), t)
				}
				w := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
				fmt.Fprintln(w, "NAME\tKIND\tVERSION\tTERMS\tADDED")
				for _, s := range t.Sources {
					fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", s.Name, s.Kind, s.Version, s.Terms, s.Added.Format(time.DateOnly))
				}
				if err := w.Flush(); err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "dictionary %s: %s terms, those of the core lexicon included\n", t.Dictionary, formatCount(int64(t.Terms)))
				return err
			})
		},
	}
}

func newTerminologyRemove(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME...",
		Short: "Remove terminologies",
		Long: `Remove takes terminologies out of the dictionary, by the names that terminology list
shows. What was found in notes with them stays until fhirlake reread.`,
		Example: "  fhirlake terminology remove icd10cm-index",
		Args:    atLeast(1, "NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			t, err := removeTerminologyWork.run(c, g, nil, args)
			if err != nil {
				return err
			}
			if g.json {
				return printJSON(c.OutOrStdout(), t)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d removed; the dictionary has %s terms now\n", len(args), formatCount(int64(t.Terms)))
			return err
		},
	}
}

// removeTerminologyWork removes terminologies and gives those that are left.
var removeTerminologyWork = work[[]string, terminologies]{
	name: "terminology-remove",
	do: func(_ context.Context, l *lake, _ *session, names []string) (t terminologies, err error) {
		d := l.dictionaryToChange()
		if err := d.Remove(names...); errors.Is(err, dictionary.ErrUnknown) {
			return t, fmt.Errorf("%w; `fhirlake terminology list` shows all", err)
		} else if err != nil {
			return t, err
		}
		return terminologiesOf(d, d.Sources()), nil
	},
}
