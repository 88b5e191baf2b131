package main

import (
	"context"
	"encoding/json"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/fhirlake/fhirlake/server/auth"
	"github.com/fhirlake/fhirlake/server/control"
	"github.com/fhirlake/fhirlake/server/httpd"
)

// newGuard makes the guard of a server that asks who comes.
func (s *serving) newGuard() (*auth.Guard, error) {
	return auth.Open(auth.Options{
		Path: s.flags.auth, Audit: s.log, AuditAll: s.flags.audit == "all", Describe: httpd.Describe,
		Configuration: s.loginOf, RefuseControl: control.Refuse,
	})
}

// loginOf gives the metadata of a data store's identity provider, nil for none.
func (s *serving) loginOf(datastore string) []byte {
	d, err := s.lake.catalog.DataStore(datastore)
	if err != nil {
		return nil
	}
	var provider struct{ Metadata string }
	if json.Unmarshal(d.IdentityProvider, &provider) != nil || !json.Valid([]byte(provider.Metadata)) {
		return nil
	}
	return []byte(provider.Metadata)
}

func (s *serving) watchKeys(ctx context.Context) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	defer signal.Stop(asked)
	t := time.NewTicker(watchInterval)
	defer t.Stop()
	s.guard.Watch(ctx, t.C, asked, func(err error) {
		if err != nil {
			s.log.Error("read the keys again", "error", err)
			return
		}
		s.log.Info("the keys were read again")
	})
}
