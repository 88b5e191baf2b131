package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/fhir/profile"
	checked "github.com/fhirlake/fhirlake/stages/validate/profiles"
	profilestore "github.com/fhirlake/fhirlake/store/profiles"
)

func newProfileCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "profile",
		Short: "Add, list and remove profiles, value sets and code systems",
		Long: `Profile manages what the data stores of a root know beyond base R4: profiles and
extensions (StructureDefinition), value sets, code systems, questionnaires, and
the global profiles of implementation guides. Strict validation checks each
resource against the profiles that it claims in meta.profile.`,
		Example: "  fhirlake profile add hl7.fhir.us.core-3.1.0.tgz\n  fhirlake profile list",
		Args:    subcommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newProfileAdd(g), newProfileList(g), newProfileRemove(g))
	return c
}

// maxFaults is how many faults of definitions an error lists.
const maxFaults = 20

func newProfileAdd(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "add FILE|FOLDER|PACKAGE.tgz...",
		Short: "Add definitions",
		Long: `Add reads definitions from JSON and NDJSON files, maybe gzip, Bundles, folders
and npm packages. One of the same URL and version takes the place of an earlier
one; adding the same again changes nothing. All are added or, when one is at
fault, none.`,
		Example: "  fhirlake profile add hl7.fhir.us.core-3.1.0.tgz\n  fhirlake profile add profiles/",
		Args:    atLeast(1, "FILE, FOLDER or PACKAGE.tgz"),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := addProfilesWork.run(c, g, nil, args)
			if err != nil {
				return err
			}
			return g.showAdded(c.OutOrStdout(), a)
		},
	}
}

// added is what `profile add` did.
type added struct {
	Added       int `json:"added"`
	Replaced    int `json:"replaced"`
	Definitions int `json:"definitions"`
}

// addProfilesWork adds the definitions in files.
var addProfilesWork = work[[]string, added]{
	name:   "profile-add",
	abroad: absolute,
	do: func(_ context.Context, l *lake, s *session, files []string) (added, error) {
		reg, err := profilestore.Load(l.root)
		if err != nil {
			return added{}, err
		}
		before := reg.Len()
		changed := 0
		err = profile.Read(files, func(res profile.Resource) error {
			did, err := reg.Add(res)
			if did {
				changed++
			}
			return err
		})
		if err != nil {
			return added{}, err
		}
		notes, err := faultless(reg)
		if err != nil {
			return added{}, err
		}
		if changed > 0 {
			if err := l.saveProfiles(reg.Resources()); err != nil {
				return added{}, err
			}
		}
		for _, n := range notes {
			s.note(fmt.Sprintf("note: %v", n))
		}
		return added{reg.Len() - before, changed - (reg.Len() - before), reg.Len()}, nil
	},
}

// saveProfiles makes the definitions those of the root and has those know who use them.
func (l *lake) saveProfiles(list []profile.Resource) error {
	if err := profilestore.Save(l.root, list); err != nil {
		return err
	}
	if l.profilesChanged != nil {
		l.profilesChanged()
	}
	return nil
}

// faultless checks all definitions; the error lists what is wrong in them, the
// notes what will not be checked.
func faultless(reg *profile.Registry) (notes []error, err error) {
	faults, notes := checked.NewSet(reg).Check()
	if len(faults) == 0 {
		return notes, nil
	}
	rest := len(faults) - maxFaults
	if rest > 0 {
		faults = append(faults[:maxFaults], fmt.Errorf("and %d more", rest))
	}
	return nil, fmt.Errorf("nothing was changed: %w", errors.Join(faults...))
}

func (g *globals) showAdded(out io.Writer, a added) error {
	if g.json {
		return printJSON(out, a)
	}
	_, err := fmt.Fprintf(out, "%d added, %d replaced; there are %d definitions\n", a.Added, a.Replaced, a.Definitions)
	return err
}

// listed is a definition as list shows it.
type listed struct {
	Type    string `json:"type"`
	URL     string `json:"url"`
	Version string `json:"version,omitempty"`
	Name    string `json:"name,omitempty"`
}

func newProfileList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the definitions that were added",
		Example: "  fhirlake profile list --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return withRoot(g, func(l *lake) error {
				reg, err := profilestore.Load(l.root)
				if err != nil {
					return err
				}
				list := []listed{}
				for _, res := range reg.Resources() {
					list = append(list, listed{res.Type, res.URL, res.Version, res.Name})
				}
				if g.json {
					return printJSON(c.OutOrStdout(), struct {
						Definitions []listed `json:"definitions"`
					}{list})
				}
				w := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
				fmt.Fprintln(w, "TYPE\tURL\tVERSION\tNAME")
				for _, d := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.Type, d.URL, d.Version, d.Name)
				}
				return w.Flush()
			})
		},
	}
}

func newProfileRemove(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "remove URL",
		Short: "Remove the definitions of a canonical URL",
		Long: `Remove takes away the definitions with the canonical URL, all of its versions, or
one: URL|VERSION. What other definitions are derived from stays.`,
		Example: "  fhirlake profile remove http://example.org/StructureDefinition/my-patient",
		Args:    exactly(1, "a URL"),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := removeProfilesWork.run(c, g, nil, args[0])
			if err != nil {
				return err
			}
			return g.showRemoved(c.OutOrStdout(), r)
		},
	}
}

// removed is what `profile remove` did.
type removed struct {
	Removed     int `json:"removed"`
	Definitions int `json:"definitions"`
}

// removeProfilesWork removes the definitions of a canonical URL.
var removeProfilesWork = work[string, removed]{
	name: "profile-remove",
	do: func(_ context.Context, l *lake, _ *session, url string) (removed, error) {
		reg, err := profilestore.Load(l.root)
		if err != nil {
			return removed{}, err
		}
		all := reg.Resources()
		kept := slices.DeleteFunc(slices.Clone(all), func(res profile.Resource) bool {
			return res.Canonical() == url || res.URL == url
		})
		if len(kept) == len(all) {
			return removed{}, fmt.Errorf("no definition has the URL %s; `fhirlake profile list` shows all", url)
		}
		rest := profile.NewRegistry()
		for _, res := range kept {
			if _, err := rest.Add(res); err != nil {
				return removed{}, err
			}
		}
		if _, err := faultless(rest); err != nil {
			return removed{}, fmt.Errorf("others need %s: %w", url, err)
		}
		if err := l.saveProfiles(kept); err != nil {
			return removed{}, err
		}
		return removed{len(all) - len(kept), len(kept)}, nil
	},
}

func (g *globals) showRemoved(out io.Writer, r removed) error {
	if g.json {
		return printJSON(out, r)
	}
	_, err := fmt.Fprintf(out, "%d removed; there are %d definitions\n", r.Removed, r.Definitions)
	return err
}
