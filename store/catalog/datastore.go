package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

// The states of a data store.
const (
	StatusActive   = "ACTIVE"
	StatusDeleting = "DELETING"
	StatusDeleted  = "DELETED"
)

// Properties are a data store's properties as HealthLake's API gives them.
type Properties struct {
	ID          string `json:"DatastoreId"`
	ARN         string `json:"DatastoreArn"`
	Name        string `json:"DatastoreName,omitempty"`
	Status      string `json:"DatastoreStatus"`
	CreatedAt   Time   `json:"CreatedAt"`
	TypeVersion string `json:"DatastoreTypeVersion"`
	Endpoint    string `json:"DatastoreEndpoint"`

	// Kept and given back as the caller sent them; the server acts on some.
	SSE              json.RawMessage `json:"SseConfiguration,omitempty"`
	PreloadData      json.RawMessage `json:"PreloadDataConfig,omitempty"`
	IdentityProvider json.RawMessage `json:"IdentityProviderConfiguration,omitempty"`
	NLP              json.RawMessage `json:"NlpConfiguration,omitempty"`
	Analytics        json.RawMessage `json:"AnalyticsConfiguration,omitempty"`
	Profile          json.RawMessage `json:"ProfileConfiguration,omitempty"`
	Backup           json.RawMessage `json:"BackupConfiguration,omitempty"`
	ErrorCause       *ErrorCause     `json:"ErrorCause,omitempty"`
}

// ErrorCause says why a data store failed.
type ErrorCause struct {
	Message  string `json:"ErrorMessage"`
	Category string `json:"ErrorCategory"`
}

// DataStore is the record of a data store. To a client goes its Properties
// alone: the key stays inside.
type DataStore struct {
	Properties
	// HashKey keys the hash of the id index, so that nobody outside can make
	// ids that collide: 32 bytes, hexadecimal.
	HashKey     string `json:"hashKey"`
	ClientToken string `json:"clientToken,omitempty"`
	DeletedAt   Time   `json:"deletedAt,omitzero"`
	Tags        []Tag  `json:"tags,omitempty"`
	// Retention says which old versions compactions keep.
	Retention Retention `json:"retention,omitzero"`
}

// Retention says which old versions a data store keeps; the zero value keeps all.
type Retention struct {
	Versions int `json:"versions,omitempty"` // of a resource, the current one among them
	Days     int `json:"days,omitempty"`     // for how long a version is kept after it was replaced
}

func (r Retention) check() error {
	if r.Versions < 0 || r.Days < 0 || r.Days > 100_000 {
		return fmt.Errorf("%w: a retention of %d versions and %d days; 0 keeps all", ErrInvalid, r.Versions, r.Days)
	}
	return nil
}

// Tag is one tag of a data store.
type Tag struct {
	Key   string `json:"Key"`
	Value string `json:"Value"`
}

// Create says what a new data store is to be. In Properties, what the caller
// may choose is read: Name, TypeVersion and the configurations.
type Create struct {
	Properties
	Tags      []Tag
	Retention Retention
	// ClientToken makes Create repeatable: the same token gives the same store.
	ClientToken string
}

// ErrInvalid says that a value was refused; the text around it says why.
var ErrInvalid = errors.New("invalid value")

// CreateDataStore makes a data store. Its folder comes with its first content.
func (c *Catalog) CreateDataStore(o Create) (*DataStore, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.create(o)
}

// CheckName refuses what cannot be the name of a data store.
func CheckName(name string) error {
	if n := utf8.RuneCountInString(name); n > 256 || strings.TrimSpace(name) != name || IsID(name) {
		return fmt.Errorf("%w: the name must have 1 to 256 characters, no space around it, and not the form of an id", ErrInvalid)
	}
	return nil
}

func (c *Catalog) create(o Create) (*DataStore, error) {
	if !c.root.Exclusive() {
		return nil, fmt.Errorf("create data store: %w", ErrReadOnly)
	}
	if err := CheckName(o.Name); err != nil {
		return nil, fmt.Errorf("create data store: %w", err)
	}
	if o.TypeVersion != "" && o.TypeVersion != "R4" {
		return nil, fmt.Errorf("create data store: %w: DatastoreTypeVersion %q; only R4 is there", ErrInvalid, o.TypeVersion)
	}
	if err := o.Retention.check(); err != nil {
		return nil, fmt.Errorf("create data store: %w", err)
	}
	all, err := readAll[DataStore](c.folder(datastores))
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if o.ClientToken != "" && d.ClientToken == o.ClientToken && !c.forgotten(d) {
			return c.shown(d), nil
		}
	}
	d := &DataStore{Properties: o.Properties, Tags: o.Tags, ClientToken: o.ClientToken, Retention: o.Retention}
	if d.ID, err = c.random(16); err != nil {
		return nil, err
	}
	if d.HashKey, err = c.random(32); err != nil {
		return nil, err
	}
	d.ARN = fmt.Sprintf("arn:aws:healthlake:%s:%s:datastore/fhir/%s", c.o.Region, c.o.Account, d.ID)
	d.Status, d.TypeVersion, d.CreatedAt = StatusActive, "R4", At(c.o.Now())
	d.ErrorCause = nil
	d = c.shown(d)
	return d, c.putDataStore(d)
}

// putDataStore writes the record of a data store and tells the watcher. The caller holds mu.
func (c *Catalog) putDataStore(d *DataStore) error {
	if err := c.write(datastores, d.ID, d); err != nil {
		return err
	}
	was := c.states[d.ID]
	c.states[d.ID] = d.Status
	if c.watcher != nil && was != d.Status {
		c.watcher.DataStoreChanged(c.shown(d))
	}
	return nil
}

// shown sets what depends on where the data store is served, not on its record.
func (c *Catalog) shown(d *DataStore) *DataStore {
	d.Endpoint = c.o.BaseURL + "/datastore/" + d.ID + "/r4/"
	return d
}

// DataStore describes a data store by its id, deleted ones too for seven days.
func (c *Catalog) DataStore(id string) (*DataStore, error) {
	d, err := read[DataStore](c, datastores, id)
	if err == nil && c.forgotten(d) {
		err = fmt.Errorf("data store %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return c.shown(d), nil
}

// forgotten tells of a deleted data store that its time is over; the next owner purges it.
func (c *Catalog) forgotten(d *DataStore) bool {
	return d.Status == StatusDeleted && !d.DeletedAt.IsZero() && c.o.Now().Sub(d.DeletedAt.Time) > keepDeleted
}

// Find looks a data store up by name or id, among those not deleted.
func (c *Catalog) Find(nameOrID string) (*DataStore, error) {
	all, err := readAll[DataStore](c.folder(datastores))
	if err != nil {
		return nil, err
	}
	var found []*DataStore
	var names []string
	for _, d := range all {
		if d.Status != StatusActive {
			continue
		}
		if d.ID == nameOrID {
			return c.shown(d), nil
		}
		if d.Name == nameOrID {
			found = append(found, d)
		}
		names = append(names, d.Name)
	}
	switch len(found) {
	case 1:
		return c.shown(found[0]), nil
	case 0:
		hint := "there is none yet"
		if len(names) > 0 {
			hint = "there is: " + strings.Join(names, ", ")
		}
		return nil, fmt.Errorf("data store %q: %w (%s)", nameOrID, ErrNotFound, hint)
	}
	// HealthLake lets names repeat, so a name alone may not be enough.
	ids := make([]string, len(found))
	for i, d := range found {
		ids[i] = d.ID
	}
	return nil, fmt.Errorf("data store %q: %w: %d have this name; use an id: %s", nameOrID, ErrInvalid, len(found), strings.Join(ids, ", "))
}

// Use is Find for the owner's commands: the default data store is made when it
// is not there.
func (c *Catalog) Use(nameOrID string) (*DataStore, error) {
	if nameOrID == "" {
		nameOrID = DefaultName
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d, err := c.Find(nameOrID)
	if errors.Is(err, ErrNotFound) && nameOrID == DefaultName && c.root.Exclusive() {
		return c.create(Create{Properties: Properties{Name: DefaultName}})
	}
	return d, err
}

// DataStores lists all data stores, deleted ones too, the oldest first.
func (c *Catalog) DataStores() ([]*DataStore, error) {
	all, err := readAll[DataStore](c.folder(datastores))
	if err != nil {
		return nil, err
	}
	list := all[:0]
	for _, d := range all {
		if c.forgotten(d) {
			continue
		}
		list = append(list, c.shown(d))
	}
	byTime(list, func(d *DataStore) time.Time { return d.CreatedAt.Time }, func(d *DataStore) string { return d.ID })
	return list, nil
}

// UpdateDataStore changes a data store that is not deleted; change must leave
// the id alone.
func (c *Catalog) UpdateDataStore(id string, change func(*DataStore) error) (*DataStore, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, err := c.live(id)
	if err != nil {
		return nil, err
	}
	if err := change(d); err != nil {
		return nil, err
	}
	d.ID = id
	if err := d.Retention.check(); err != nil {
		return nil, fmt.Errorf("update data store: %w", err)
	}
	return d, c.putDataStore(d)
}

func (c *Catalog) live(id string) (*DataStore, error) {
	d, err := c.DataStore(id)
	if err == nil && d.Status != StatusActive {
		err = fmt.Errorf("data store %q: %w: it is deleted", id, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// DeleteDataStore removes a data store's folder and keeps its record, DELETED,
// for seven days. ErrBusy while a job works in it.
func (c *Catalog) DeleteDataStore(id string) (*DataStore, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.root.Exclusive() {
		return nil, fmt.Errorf("delete data store: %w", ErrReadOnly)
	}
	d, err := c.live(id)
	if err != nil {
		return nil, err
	}
	running, err := c.Jobs(id)
	if err != nil {
		return nil, err
	}
	for _, j := range running {
		if !j.Ended() {
			return nil, fmt.Errorf("delete data store %q: %w (%s, %s)", id, ErrBusy, j.ID, j.Status)
		}
	}
	d.Status, d.DeletedAt = StatusDeleting, At(c.o.Now())
	if err := c.putDataStore(d); err != nil {
		return nil, err
	}
	return d, c.finishDelete(d)
}

func (c *Catalog) finishDelete(d *DataStore) error {
	if err := os.RemoveAll(c.root.DatastoreDir(d.ID)); err != nil {
		return fmt.Errorf("delete data store %q: %w", d.ID, err)
	}
	d.Status = StatusDeleted
	return c.putDataStore(d)
}
