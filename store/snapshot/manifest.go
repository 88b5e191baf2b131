// Package snapshot owns the immutable files of one data store: segments (a
// Parquet file and a zstd NDJSON file with the same rows), bitmaps of
// superseded rows, annotations of rows, id indexes, and the manifest that makes a set of them
// visible at once. It knows neither pipelines nor SQL.
//
// Invariants, cited by number elsewhere:
//
//  1. A file named by a published manifest never changes and was synced before
//     the manifest was.
//  2. Publication is one rename of CURRENT. A reader sees all of a layer or
//     nothing of it.
//  3. Row r of a segment's Parquet file and line r of its resources file are
//     the same resource; rows count from 0.
//  4. A segment's ordinal is never given twice in one data store.
//  5. The newest layer that has a key has its latest version. Who adds older
//     versions of a key in a new layer puts an entry of the latest one before them.
//  6. The rows of a segment are in the order of their meta.lastUpdated.
//
// Read [Manifest], [Store] and [Layer] first.
package snapshot

import "time"

// ManifestFormat is the version of the manifest's JSON that this code writes.
const ManifestFormat = 1

// Manifest names every live file of a data store (docs/formats/manifest.md).
type Manifest struct {
	Format      int       `json:"format"`
	Number      int64     `json:"number"` // 1 for the first; 0 is the empty store, which has no file
	CreatedAt   time.Time `json:"createdAt"`
	JobID       string    `json:"jobId,omitempty"`
	NextSegment uint32    `json:"nextSegment"` // the next free ordinal
	Segments    []Segment `json:"segments"`    // in the order of Ordinal
	Layers      []Layer   `json:"layers"`      // the oldest first

	// Search are the files of the search index, the oldest first. No two that are not
	// partial cover the same segment.
	Search []SearchIndex `json:"search,omitempty"`

	// DeltaSeq is the newest commit of the delta store when this state, or the last one
	// before it that says more than the delta does, was published: of a resource that has
	// no later commit, the delta may not have the latest version.
	DeltaSeq uint64 `json:"deltaSeq,omitempty"`
	// FoldedSeq is the newest commit of the delta store up to which all are in this
	// state as well.
	FoldedSeq uint64 `json:"foldedSeq,omitempty"`

	// Checksum is that of the manifest's text, with zeros for the digits of this one. It
	// is there in files alone: see ParseManifest. Older ones have none.
	Checksum string `json:"checksum,omitempty"`
}

// File is one immutable file, its path relative to the data store's folder with
// forward slashes.
type File struct {
	Path     string `json:"path"`
	Bytes    int64  `json:"bytes"`
	Checksum string `json:"checksum"` // "xxh64:" and 16 hexadecimal digits
}

// Segment is a set of rows of one resource type, in both of their forms.
type Segment struct {
	Ordinal      uint32 `json:"ordinal"`
	ID           string `json:"id"` // UUID, the base name of its files
	ResourceType string `json:"resourceType"`
	Rows         int64  `json:"rows"`
	Columns      File   `json:"columns"`              // <id>.parquet
	Resources    File   `json:"resources"`            // <id>.ndjson.zst
	Superseded   *File  `json:"superseded,omitempty"` // roaring bitmap; absent when all rows are current
	Current      int64  `json:"current"`              // rows that are not superseded
	Schema       int    `json:"schema"`               // version of the columnar layout

	// Annotations are what is derived from the rows, by kind in rising order.
	Annotations []Annotation `json:"annotations,omitempty"`
}

// Layer is what one job or compaction added.
type Layer struct {
	Number  int64 `json:"number"`  // the manifest that brought it
	Entries int64 `json:"entries"` // of the id index
	IDs     File  `json:"ids"`     // docs/formats/ids.md
	// FirstSegment is an ordinal: no older layer has an entry of a segment from here on.
	FirstSegment uint32 `json:"firstSegment,omitempty"`
}
