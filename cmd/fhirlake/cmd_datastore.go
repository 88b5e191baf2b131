package main

import (
	"context"
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
				d, err := createDatastoreWork.run(c, g, nil, args[0])
				if err != nil {
					return err
				}
				return g.showChanged(c.OutOrStdout(), &d)
			},
		},
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
					return g.showDatastore(c.OutOrStdout(), &d.Properties)
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

// createDatastoreWork makes a data store of a name.
var createDatastoreWork = work[string, catalog.Properties]{
	name: "datastore-create",
	do: func(_ context.Context, l *lake, _ *session, name string) (catalog.Properties, error) {
		d, err := l.catalog.CreateDataStore(catalog.Create{Properties: catalog.Properties{Name: name}})
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
		if d, err = l.stores.Delete(d.ID); err != nil {
			return catalog.Properties{}, err
		}
		return d.Properties, nil
	},
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
