package main

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fhirlake/fhirlake/server/auth"
)

func newAuthCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "auth",
		Short: "Access keys of a server: add-key, list, remove",
		Long: `Auth changes the file that serve reads with --auth: access keys, with which the AWS CLI
and SDKs sign requests, and what each may do. A running server sees the change.`,
		Example: `  fhirlake auth add-key --file keys.json --grant read,write
  fhirlake serve --listen 0.0.0.0:8080 --auth keys.json`,
		Args: exactly(0, "add-key, list or remove"),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var file string
	c.PersistentFlags().StringVar(&file, "file", "auth.json", "file of access keys and issuers of tokens")
	c.AddCommand(newAddKeyCommand(g, &file), newListKeysCommand(g, &file), newRemoveKeyCommand(g, &file))
	return c
}

func newAddKeyCommand(g *globals, file *string) *cobra.Command {
	var grants []string
	c := &cobra.Command{
		Use:   "add-key",
		Short: "Make an access key, and show its secret this once",
		Example: `  fhirlake auth add-key --grant read,write
  fhirlake auth add-key --grant read@0123456789abcdef0123456789abcdef`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			k := auth.Key{ID: "FL" + rand.Text()[:18], Secret: rand.Text() + rand.Text()[:14]}
			for _, text := range grants {
				list, datastore, _ := strings.Cut(text, "@")
				if datastore == "" {
					datastore = auth.All
				}
				one := auth.Grant{DataStore: datastore}
				for p := range strings.SplitSeq(list, ",") {
					one.Permissions = append(one.Permissions, auth.Permission(p))
				}
				k.Grants = append(k.Grants, one)
			}
			s, err := auth.OpenSettings(*file)
			if err != nil {
				return err
			}
			s.Keys = append(s.Keys, k)
			if err := s.Write(*file); err != nil {
				return err
			}
			if g.json {
				return printJSON(c.OutOrStdout(), map[string]string{"AccessKeyId": k.ID, "SecretAccessKey": k.Secret})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "access key %s\nsecret     %s\n", k.ID, k.Secret)
			return err
		},
	}
	c.Flags().StringArrayVar(&grants, "grant", []string{"read"}, "what it may do: some of read,write,admin, for all data stores or with @ID for one; may be given again")
	return c
}

func newListKeysCommand(g *globals, file *string) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List access keys and what they may do, without their secrets",
		Example: `  fhirlake auth list --file keys.json`,
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := auth.OpenSettings(*file)
			if err != nil {
				return err
			}
			type shown struct {
				ID     string       `json:"id"`
				Grants []auth.Grant `json:"grants"`
			}
			keys := []shown{}
			for _, k := range s.Keys {
				keys = append(keys, shown{k.ID, k.Grants})
			}
			if g.json {
				return printJSON(c.OutOrStdout(), map[string]any{"keys": keys})
			}
			for _, k := range keys {
				var all []string
				for _, x := range k.Grants {
					var names []string
					for _, p := range x.Permissions {
						names = append(names, string(p))
					}
					all = append(all, strings.Join(names, ",")+"@"+x.DataStore)
				}
				if _, err := fmt.Fprintf(c.OutOrStdout(), "%s  %s\n", k.ID, strings.Join(all, " ")); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func newRemoveKeyCommand(_ *globals, file *string) *cobra.Command {
	return &cobra.Command{
		Use:     "remove KEY-ID",
		Short:   "Remove an access key",
		Example: `  fhirlake auth remove FLABCDEFGHIJKLMNOPQR --file keys.json`,
		Args:    exactly(1, "the id of an access key"),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := auth.OpenSettings(*file)
			if err != nil {
				return err
			}
			at := slices.IndexFunc(s.Keys, func(k auth.Key) bool { return k.ID == args[0] })
			if at < 0 {
				return fmt.Errorf("there is no access key %s in %s", args[0], *file)
			}
			s.Keys = slices.Delete(s.Keys, at, at+1)
			return s.Write(*file)
		},
	}
}
