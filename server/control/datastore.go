package control

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/fhirlake/fhirlake/store/catalog"
)

type createRequest struct {
	DatastoreName                 string
	DatastoreTypeVersion          string
	SseConfiguration              json.RawMessage
	PreloadDataConfig             json.RawMessage
	ClientToken                   string
	Tags                          []catalog.Tag
	IdentityProviderConfiguration json.RawMessage
	AnalyticsConfiguration        json.RawMessage
	NlpConfiguration              json.RawMessage
	ProfileConfiguration          json.RawMessage
	BackupConfiguration           json.RawMessage
}

// changedDatastore is what is said of a data store that was made or deleted.
type changedDatastore struct {
	ID       string `json:"DatastoreId"`
	ARN      string `json:"DatastoreArn"`
	Status   string `json:"DatastoreStatus"`
	Endpoint string `json:"DatastoreEndpoint"`
}

func changed(d *catalog.DataStore) changedDatastore {
	return changedDatastore{d.ID, d.ARN, d.Status, d.Endpoint}
}

func (h *Handler) createDatastore(ctx context.Context, r *createRequest) (any, error) {
	o := catalog.Create{Properties: catalog.Properties{
		Name: r.DatastoreName, TypeVersion: r.DatastoreTypeVersion, SSE: r.SseConfiguration, PreloadData: r.PreloadDataConfig,
		IdentityProvider: r.IdentityProviderConfiguration, Analytics: r.AnalyticsConfiguration, NLP: r.NlpConfiguration,
		Profile: r.ProfileConfiguration, Backup: r.BackupConfiguration,
	}, Tags: r.Tags, ClientToken: r.ClientToken}
	var c checks
	c.oneOf("DatastoreTypeVersion", r.DatastoreTypeVersion, false, "R4")
	c.text("DatastoreName", r.DatastoreName, 256, true)
	c.token(r.ClientToken)
	c.tags(r.Tags)
	c.encryption(r.SseConfiguration)
	var preload struct{ PreloadDataType string }
	if c.known("PreloadDataConfig", r.PreloadDataConfig, &preload) {
		c.oneOf("PreloadDataConfig.PreloadDataType", preload.PreloadDataType, false, "SYNTHEA")
	}
	c.configurations(&o.Properties)
	if err := c.err(); err != nil {
		return nil, err
	}
	d, err := h.o.Catalog.CreateDataStore(o)
	if err != nil {
		return nil, err
	}
	if j, err := h.o.Jobs.Preload(d); err != nil {
		return nil, err
	} else if j != nil {
		wait, cancel := context.WithTimeout(ctx, h.o.PreloadWait)
		defer cancel()
		h.o.Jobs.Wait(wait, j.ID)
	}
	return changed(d), nil
}

func (c *checks) encryption(config json.RawMessage) {
	var sse struct {
		KmsEncryptionConfig *struct{ CmkType, KmsKeyId string }
	}
	if !c.known("SseConfiguration", config, &sse) {
		return
	}
	if sse.KmsEncryptionConfig == nil {
		c.add("SseConfiguration.KmsEncryptionConfig is missing")
		return
	}
	c.oneOf("SseConfiguration.KmsEncryptionConfig.CmkType", sse.KmsEncryptionConfig.CmkType, false, "CUSTOMER_MANAGED_KMS_KEY", "AWS_OWNED_KMS_KEY")
	c.text("SseConfiguration.KmsEncryptionConfig.KmsKeyId", sse.KmsEncryptionConfig.KmsKeyId, 400, true)
}

type datastoreRequest struct{ DatastoreId string }

type datastoreAnswer struct {
	Properties catalog.Properties `json:"DatastoreProperties"`
}

func (h *Handler) describeDatastore(_ context.Context, r *datastoreRequest) (any, error) {
	d, err := h.datastore(r.DatastoreId)
	if err != nil {
		return nil, err
	}
	return datastoreAnswer{d.Properties}, nil
}

// datastore finds a data store, deleted ones too.
func (h *Handler) datastore(id string) (*catalog.DataStore, error) {
	var c checks
	c.id("DatastoreId", id)
	if err := c.err(); err != nil {
		return nil, err
	}
	return h.o.Catalog.DataStore(id)
}

func (h *Handler) deleteDatastore(_ context.Context, r *datastoreRequest) (any, error) {
	if _, err := h.datastore(r.DatastoreId); err != nil {
		return nil, err
	}
	d, err := h.o.Delete(r.DatastoreId)
	if err != nil {
		return nil, err
	}
	return changed(d), nil
}

type updateRequest struct {
	DatastoreId                   string
	DatastoreName                 *string
	IdentityProviderConfiguration json.RawMessage
	AnalyticsConfiguration        json.RawMessage
	NlpConfiguration              json.RawMessage
	ProfileConfiguration          json.RawMessage
	BackupConfiguration           json.RawMessage
}

func (h *Handler) updateDatastore(_ context.Context, r *updateRequest) (any, error) {
	p := catalog.Properties{
		IdentityProvider: r.IdentityProviderConfiguration, Analytics: r.AnalyticsConfiguration, NLP: r.NlpConfiguration,
		Profile: r.ProfileConfiguration, Backup: r.BackupConfiguration,
	}
	var c checks
	c.id("DatastoreId", r.DatastoreId)
	if r.DatastoreName != nil {
		c.text("DatastoreName", *r.DatastoreName, 256, false)
	}
	c.configurations(&p)
	if err := c.err(); err != nil {
		return nil, err
	}
	d, err := h.o.Catalog.UpdateDataStore(r.DatastoreId, func(d *catalog.DataStore) error {
		if r.DatastoreName != nil {
			if err := catalog.CheckName(*r.DatastoreName); err != nil {
				return err
			}
			d.Name = *r.DatastoreName
		}
		for _, set := range []struct {
			to   *json.RawMessage
			from json.RawMessage
		}{{&d.IdentityProvider, p.IdentityProvider}, {&d.Analytics, p.Analytics}, {&d.NLP, p.NLP}, {&d.Profile, p.Profile}, {&d.Backup, p.Backup}} {
			if set.from != nil {
				*set.to = set.from
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return datastoreAnswer{d.Properties}, nil
}

type listDatastoresRequest struct {
	Filter struct {
		DatastoreName   string
		DatastoreStatus string
		CreatedBefore   catalog.Time
		CreatedAfter    catalog.Time
	}
	page
}

func (h *Handler) listDatastores(_ context.Context, r *listDatastoresRequest) (any, error) {
	var c checks
	f := &r.Filter
	c.text("Filter.DatastoreName", f.DatastoreName, 256, true)
	c.oneOf("Filter.DatastoreStatus", f.DatastoreStatus, true, "CREATING", "ACTIVE", "DELETING", "DELETED", "CREATE_FAILED", "UPDATING", "UPDATE_FAILED")
	c.page(&r.page)
	if err := c.err(); err != nil {
		return nil, err
	}
	all, err := h.o.Catalog.DataStores()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(d *catalog.DataStore) bool {
		return f.DatastoreName != "" && d.Name != f.DatastoreName ||
			f.DatastoreStatus != "" && d.Status != f.DatastoreStatus || outside(d.CreatedAt, f.CreatedAfter, f.CreatedBefore)
	})
	at := func(d *catalog.DataStore) place { return place{d.CreatedAt.UnixMilli(), d.ID} }
	list, next, err := cut(all, &r.page, fmt.Sprint("datastores", f.DatastoreName, f.DatastoreStatus, f.CreatedAfter.UnixMilli(), f.CreatedBefore.UnixMilli()), at)
	if err != nil {
		return nil, err
	}
	answer := struct {
		List []catalog.Properties `json:"DatastorePropertiesList"`
		Next string               `json:"NextToken,omitempty"`
	}{[]catalog.Properties{}, next}
	for _, d := range list {
		answer.List = append(answer.List, d.Properties)
	}
	return answer, nil
}

// outside tells whether a time is not between two others; zero ones are no bounds.
func outside(t, after, before catalog.Time) bool {
	return !after.IsZero() && !t.After(after.Time) || !before.IsZero() && !t.Before(before.Time)
}
