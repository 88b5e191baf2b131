package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/store/catalog"
)

func newDatastoreCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:     "datastore",
		Short:   "Create, describe, list and delete data stores",
		Example: "  fhirlake datastore create research\n  fhirlake datastore list",
		Args:    subcommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		newDatastoreCreateCommand(g),
		newDatastoreConfigureCommand(g),
		&cobra.Command{
			Use: "describe [NAME-OR-ID]", Short: "Show one data store",
			Example: "  fhirlake datastore describe default --json",
			Args:    atMostOne,
			RunE: func(c *cobra.Command, args []string) error {
				return withRoot(g, func(l *lake) error {
					d, err := l.catalog.Find(oneOr(args, g.datastore))
					if err != nil {
						return err
					}
					if g.json {
						return g.showDatastore(c.OutOrStdout(), &d.Properties)
					}
					return errors.Join(g.showDatastore(c.OutOrStdout(), &d.Properties), showSettings(c.OutOrStdout(), d))
				})
			},
		},
		&cobra.Command{
			Use: "list", Short: "List the data stores",
			Example: "  fhirlake datastore list --json",
			Args:    exactly(0, "no arguments"),
			RunE: func(c *cobra.Command, _ []string) error {
				return withRoot(g, func(l *lake) error {
					all, err := l.catalog.DataStores()
					if err != nil {
						return err
					}
					return g.listDatastores(c.OutOrStdout(), all)
				})
			},
		},
		&cobra.Command{
			Use: "delete NAME-OR-ID", Short: "Delete a data store and all that is in it",
			Example: "  fhirlake datastore delete research",
			Args:    exactly(1, "a NAME-OR-ID"),
			RunE: func(c *cobra.Command, args []string) error {
				d, err := deleteDatastoreWork.run(c, g, nil, args[0])
				if err != nil {
					return err
				}
				return g.showChanged(c.OutOrStdout(), &d)
			},
		},
	)
	return c
}

// subcommand refuses a command group's arguments that are no command of it.
func subcommand(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("unknown command %q; see `%s --help`", args[0], c.CommandPath())
	}
	return nil
}

func atMostOne(c *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usageError("expected at most one argument, found %d; see `%s --help`", len(args), c.CommandPath())
	}
	return nil
}

func oneOr(args []string, fallback string) string {
	if len(args) > 0 {
		return args[0]
	}
	return fallback
}

func newDatastoreCreateCommand(g *globals) *cobra.Command {
	var p datastoreParams
	c := &cobra.Command{
		Use: "create NAME", Short: "Create a data store",
		Example: "  fhirlake datastore create research\n  fhirlake datastore create registry --keep-versions 10",
		Args:    exactly(1, "a NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if p.Name = args[0]; p.Name == "" {
				return usageError("the NAME is empty; see `%s --help`", c.CommandPath())
			}
			if err := p.check(); err != nil {
				return err
			}
			d, err := createDatastoreWork.run(c, g, nil, p)
			if err != nil {
				return err
			}
			return g.showChanged(c.OutOrStdout(), &d)
		},
	}
	p.register(c)
	return c
}

func newDatastoreConfigureCommand(g *globals) *cobra.Command {
	var p datastoreParams
	c := &cobra.Command{
		Use: "configure NAME-OR-ID", Short: "Say which old versions a data store keeps, and whether it reads notes",
		Long: `Configure sets which old versions of resources a data store keeps. Those that it no
longer keeps go with the next compactions. The current version always stays. It also
sets whether clinical notes are read when they are stored. A flag that is not given changes nothing.`,
		Example: "  fhirlake datastore configure default --keep-versions 10 --keep-days 365\n  fhirlake datastore configure default --keep-versions 0",
		Args:    exactly(1, "a NAME-OR-ID"),
		RunE: func(c *cobra.Command, args []string) error {
			p.Name, p.SetVersions, p.SetDays = args[0], c.Flags().Changed("keep-versions"), c.Flags().Changed("keep-days")
			if !p.SetVersions && !p.SetDays && p.NLP == "" && p.Reports == "" && p.Derive == "" {
				return usageError("there is nothing to change; give --keep-versions, --keep-days, --nlp, --nlp-reports or --derive")
			}
			if err := p.check(); err != nil {
				return err
			}
			d, err := configureDatastoreWork.run(c, g, nil, p)
			switch {
			case err != nil:
				return err
			case g.json:
				return printJSON(c.OutOrStdout(), struct {
					catalog.Retention
					NLP catalog.NLP `json:"nlp"`
				}{d.Retention, d.NLPSettings()})
			}
			return showSettings(c.OutOrStdout(), &d)
		},
	}
	p.register(c)
	return c
}

// datastoreParams are the settings of a data store.
type datastoreParams struct {
	Name      string            `json:"name"`
	Retention catalog.Retention `json:"retention"`
	NLP       string            `json:"nlp,omitempty"` // on, off, or "" for as it is
	Reports   string            `json:"nlpReports,omitempty"`
	Derive    string            `json:"derive,omitempty"`
	// Which of the retention are to be changed.
	SetVersions bool `json:"setVersions"`
	SetDays     bool `json:"setDays"`
}

// check refuses values that the flags do not have.
func (p *datastoreParams) check() error {
	for name, value := range map[string]string{"nlp": p.NLP, "nlp-reports": p.Reports, "derive": p.Derive} {
		if value != "" && value != "on" && value != "off" {
			return usageError("--%s %q is neither on nor off", name, value)
		}
	}
	return nil
}

// setNLP puts what was given of NLP into the properties of a data store.
func (p *datastoreParams) setNLP(to *catalog.Properties) error {
	if p.NLP == "" && p.Reports == "" && p.Derive == "" {
		return nil
	}
	return to.SetNLP(func(n *catalog.NLP) {
		if p.NLP != "" {
			n.Status = catalog.SwitchOf(p.NLP == "on")
		}
		if p.Reports != "" {
			n.DiagnosticReports = catalog.SwitchOf(p.Reports == "on")
		}
		if p.Derive != "" {
			n.DerivedResources = catalog.SwitchOf(p.Derive == "on")
		}
	})
}

func (p *datastoreParams) register(c *cobra.Command) {
	c.Flags().IntVar(&p.Retention.Versions, "keep-versions", 0, "versions of a resource that are kept, the current one among them; 0: all")
	c.Flags().IntVar(&p.Retention.Days, "keep-days", 0, "days for which a version is kept after it was replaced; 0: for ever")
	c.Flags().StringVar(&p.NLP, "nlp", "", "on or off: read the clinical notes of what is stored (a new data store does)")
	c.Flags().StringVar(&p.Derive, "derive", "", "on or off: make resources of what the notes of DocumentReferences say (a new data store does not)")
	c.Flags().StringVar(&p.Reports, "nlp-reports", "", "on or off: read DiagnosticReport.presentedForm too (a new data store does not)")
}

// showSettings shows what configure sets.
func showSettings(out io.Writer, d *catalog.DataStore) error {
	n := d.NLPSettings()
	text := "not read"
	switch {
	case n.Reads() && n.DiagnosticReports == catalog.Enabled:
		text = "read, those of DiagnosticReports too"
	case n.Reads():
		text = "read"
	}
	if n.Reads() && n.DerivedResources == catalog.Enabled {
		text += "; resources are derived"
	}
	_, err := fmt.Fprintf(out, "notes     %s\n", text)
	return errors.Join(err, showRetention(out, d.Retention))
}

func showRetention(out io.Writer, r catalog.Retention) error {
	text := "all versions"
	switch {
	case r.Versions > 0 && r.Days > 0:
		text = fmt.Sprintf("%d versions of a resource, for %d days after they were replaced", r.Versions, r.Days)
	case r.Versions > 0:
		text = fmt.Sprintf("%d versions of a resource", r.Versions)
	case r.Days > 0:
		text = fmt.Sprintf("versions for %d days after they were replaced", r.Days)
	}
	_, err := fmt.Fprintf(out, "keeps     %s\n", text)
	return err
}

// configureDatastoreWork changes the settings of a data store.
var configureDatastoreWork = work[datastoreParams, catalog.DataStore]{
	name: "datastore-configure",
	do: func(_ context.Context, l *lake, _ *session, p datastoreParams) (catalog.DataStore, error) {
		d, err := l.catalog.Find(p.Name)
		if err != nil {
			return catalog.DataStore{}, err
		}
		d, err = l.catalog.UpdateDataStore(d.ID, func(d *catalog.DataStore) error {
			if p.SetVersions {
				d.Retention.Versions = p.Retention.Versions
			}
			if p.SetDays {
				d.Retention.Days = p.Retention.Days
			}
			return p.setNLP(&d.Properties)
		})
		if err != nil {
			return catalog.DataStore{}, err
		}
		return catalog.DataStore{Properties: d.Properties, Retention: d.Retention}, nil
	},
}

// createDatastoreWork makes a data store.
var createDatastoreWork = work[datastoreParams, catalog.Properties]{
	name: "datastore-create",
	do: func(_ context.Context, l *lake, _ *session, p datastoreParams) (catalog.Properties, error) {
		properties := catalog.Properties{Name: p.Name}
		if err := p.setNLP(&properties); err != nil {
			return catalog.Properties{}, err
		}
		d, err := l.catalog.CreateDataStore(catalog.Create{Properties: properties, Retention: p.Retention})
		if err != nil {
			return catalog.Properties{}, err
		}
		return d.Properties, nil
	},
}

// deleteDatastoreWork deletes the data store of a name or id.
var deleteDatastoreWork = work[string, catalog.Properties]{
	name: "datastore-delete",
	do: func(_ context.Context, l *lake, _ *session, nameOrID string) (catalog.Properties, error) {
		d, err := l.catalog.Find(nameOrID)
		if err != nil {
			return catalog.Properties{}, err
		}
		if d, err = l.delete(d.ID); err != nil {
			return catalog.Properties{}, err
		}
		return d.Properties, nil
	},
}

// delete deletes a data store, also of a server that has it open.
func (l *lake) delete(id string) (*catalog.DataStore, error) {
	if l.sql != nil {
		if err := l.sql.Forget(id); err != nil {
			return nil, err
		}
	}
	return l.stores.Delete(id)
}

func (g *globals) showDatastore(out io.Writer, d *catalog.Properties) error {
	if g.json {
		return printJSON(out, struct {
			Properties catalog.Properties `json:"DatastoreProperties"`
		}{*d})
	}
	_, err := fmt.Fprintf(out, "id        %s\nname      %s\nstatus    %s\ncreated   %s\nendpoint  %s\n",
		d.ID, d.Name, d.Status, d.CreatedAt.Format("2006-01-02 15:04:05 MST"), d.Endpoint)
	return err
}

// showChanged shows a data store that was made or deleted; the API answers these
// two calls with less than it describes.
func (g *globals) showChanged(out io.Writer, d *catalog.Properties) error {
	if !g.json {
		return g.showDatastore(out, d)
	}
	return printJSON(out, struct {
		ID       string `json:"DatastoreId"`
		ARN      string `json:"DatastoreArn"`
		Status   string `json:"DatastoreStatus"`
		Endpoint string `json:"DatastoreEndpoint"`
	}{d.ID, d.ARN, d.Status, d.Endpoint})
}

func (g *globals) listDatastores(out io.Writer, all []*catalog.DataStore) error {
	if g.json {
		list := struct {
			Properties []catalog.Properties `json:"DatastorePropertiesList"`
		}{[]catalog.Properties{}}
		for _, d := range all {
			list.Properties = append(list.Properties, d.Properties)
		}
		return printJSON(out, list)
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSTATUS\tCREATED")
	for _, d := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.ID, d.Name, d.Status, d.CreatedAt.Format("2006-01-02 15:04:05 MST"))
	}
	return w.Flush()
}
