package main

import (
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
		&cobra.Command{
			Use: "create NAME", Short: "Create a data store",
			Example: "  fhirlake datastore create research",
			Args:    exactly(1, "a NAME"),
			RunE: func(c *cobra.Command, args []string) error {
				if args[0] == "" {
					return usageError("the NAME is empty; see `%s --help`", c.CommandPath())
				}
				return withRoot(g, true, func(l *lake) error {
					d, err := l.catalog.CreateDataStore(catalog.Create{Properties: catalog.Properties{Name: args[0]}})
					if err != nil {
						return err
					}
					return g.showChanged(c.OutOrStdout(), d)
				})
			},
		},
		&cobra.Command{
			Use: "describe [NAME-OR-ID]", Short: "Show one data store",
			Example: "  fhirlake datastore describe default --json",
			Args:    atMostOne,
			RunE: func(c *cobra.Command, args []string) error {
				return withRoot(g, false, func(l *lake) error {
					d, err := l.catalog.Find(oneOr(args, g.datastore))
					if err != nil {
						return err
					}
					return g.showDatastore(c.OutOrStdout(), d)
				})
			},
		},
		&cobra.Command{
			Use: "list", Short: "List the data stores",
			Example: "  fhirlake datastore list --json",
			Args:    exactly(0, "no arguments"),
			RunE: func(c *cobra.Command, _ []string) error {
				return withRoot(g, false, func(l *lake) error {
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
				return withRoot(g, true, func(l *lake) error {
					d, err := l.catalog.Find(args[0])
					if err != nil {
						return err
					}
					if d, err = l.catalog.DeleteDataStore(d.ID); err != nil {
						return err
					}
					return g.showChanged(c.OutOrStdout(), d)
				})
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

// withRoot calls f with the root open.
func withRoot(g *globals, exclusive bool, f func(*lake) error) error {
	l, err := openRoot(g, exclusive)
	if err != nil {
		return err
	}
	err = f(l)
	if cerr := l.Close(); err == nil {
		err = cerr
	}
	return err
}

func (g *globals) showDatastore(out io.Writer, d *catalog.DataStore) error {
	if g.json {
		return printJSON(out, struct {
			Properties catalog.Properties `json:"DatastoreProperties"`
		}{d.Properties})
	}
	_, err := fmt.Fprintf(out, "id        %s\nname      %s\nstatus    %s\ncreated   %s\nendpoint  %s\n",
		d.ID, d.Name, d.Status, d.CreatedAt.Format("2006-01-02 15:04:05 MST"), d.Endpoint)
	return err
}

// showChanged shows a data store that was made or deleted; the API answers these
// two calls with less than it describes.
func (g *globals) showChanged(out io.Writer, d *catalog.DataStore) error {
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
