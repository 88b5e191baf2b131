package delta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// # Marks
//
// Pebble reads the newest log up to the first record that is damaged and takes the
// rest for a write that a crash cut short, unless a later record tells it that the
// damaged one was synced. What it tells is too low when records fill blocks of the
// log (the bytes of full blocks are not counted), so a flipped bit could make
// acknowledged entries vanish. So each batch ends with a mark of our own in the
// log: the last Seq that was durable before it, and its own last Seq. Whatever
// intact mark lies anywhere in the log, readable or behind a damaged record: the
// entries that it calls durable must be found.
//
// What a reused log has from its earlier life does no harm: entries that its marks
// call durable are in tables now. Open reads the log once for this, after a crash;
// a store that was closed has an empty log.
const (
	markMagic = "\xf5fhlmk\x00\x01" // no UTF-8, so no JSON has it
	markSize  = len(markMagic) + 8 + 8 + 4
)

// appendMark appends the mark of a batch.
func appendMark(dst []byte, durable, last uint64) []byte {
	start := len(dst)
	dst = append(dst, markMagic...)
	dst = binary.LittleEndian.AppendUint64(dst, durable)
	dst = binary.LittleEndian.AppendUint64(dst, last)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// parseMark reads a mark at the beginning of b.
func parseMark(b []byte) (durable, last uint64, ok bool) {
	if len(b) < markSize || !bytes.HasPrefix(b, []byte(markMagic)) ||
		binary.LittleEndian.Uint32(b[markSize-4:]) != crc32.Checksum(b[:markSize-4], castagnoli) {
		return 0, 0, false
	}
	b = b[len(markMagic):]
	return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), true
}

// scanMarks gives the greatest Seq that an intact mark in the bytes of r calls
// durable.
func scanMarks(r io.Reader) (durable uint64, err error) {
	buf := make([]byte, 0, 1<<20)
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		for at := 0; ; at++ {
			i := bytes.Index(buf[at:], []byte(markMagic))
			if i < 0 {
				break
			}
			at += i
			if d, _, ok := parseMark(buf[at:]); ok {
				durable = max(durable, d)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return durable, nil
		}
		if err != nil {
			return 0, err
		}
		keep := copy(buf, buf[len(buf)-markSize:]) // a mark may begin there
		buf = buf[:keep]
	}
}

// tail keeps the last bytes that are written to it.
type tail struct {
	buf [markSize]byte
	n   int
}

func (t *tail) Write(p []byte) (int, error) {
	if len(p) >= markSize {
		t.n = copy(t.buf[:], p[len(p)-markSize:])
		return len(p), nil
	}
	if over := t.n + len(p) - markSize; over > 0 {
		t.n = copy(t.buf[:], t.buf[over:t.n])
	}
	t.n += copy(t.buf[t.n:], p)
	return len(p), nil
}

// readLog reads a log as the engine does and gives the last Seq of the last batch
// that it can read, and the error at which it stops.
func readLog(log wal.LogicalLog) (last uint64, records int, err error) {
	r := log.OpenForRead()
	defer r.Close()
	for ; ; records++ {
		rec, _, err := r.NextRecord()
		var t tail
		if err == nil {
			_, err = io.Copy(&t, rec)
		}
		if errors.Is(err, io.EOF) {
			return last, records, nil
		}
		if err != nil {
			return last, records, err
		}
		if _, l, ok := parseMark(t.buf[:t.n]); ok {
			last = max(last, l)
		}
	}
}

// newestLog tells of the newest log of the store in dir its name, the last Seq
// that can be read and the last one that was durable.
func newestLog(fs vfs.FS, dir string) (name string, readable, durable uint64, err error) {
	logs, err := wal.Scan(wal.Dir{FS: fs, Dirname: dir})
	if err != nil || len(logs) == 0 {
		return "", 0, 0, err
	}
	log := logs[len(logs)-1]
	_, path := log.SegmentLocation(0)
	name = fs.PathBase(path)
	readable, records, err := readLog(log)
	if records == 0 && err == nil {
		return name, 0, 0, nil
	}
	f, err := fs.Open(path)
	if err != nil {
		return "", 0, 0, err
	}
	defer f.Close()
	if durable, err = scanMarks(f); err != nil {
		err = fmt.Errorf("read log %s: %w", name, err)
	}
	return name, readable, durable, err
}

// damagedLog looks for the log that cannot be read, to name it: "" when none is
// found. Only the newest may end in a torn record.
func damagedLog(fs vfs.FS, dir string) string {
	logs, err := wal.Scan(wal.Dir{FS: fs, Dirname: dir})
	if err != nil {
		return ""
	}
	for i, log := range logs {
		if _, _, err := readLog(log); err != nil && (i < len(logs)-1 || !errors.Is(err, record.ErrUnexpectedEOF)) {
			_, path := log.SegmentLocation(0)
			return fs.PathBase(path)
		}
	}
	return ""
}
