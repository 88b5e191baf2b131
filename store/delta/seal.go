package delta

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// # Seals
//
// The manifest says which tables and logs live. Pebble reads it up to the first
// record that is damaged and takes the rest for a write that a crash cut short.
// That is right at the end of the file only: a flipped bit before it would make
// acknowledged entries vanish without a word. So each fsync of a manifest is
// followed by a record in a file beside it, its seal: how many bytes there are
// now, and their checksum. Open verifies the bytes that are sealed; what lies
// behind them may be torn. Manifests grow with flushes and compactions, not with
// writes, so this costs no write anything.
const (
	sealSuffix = ".seal"
	sealRecord = 16 // length, checksum, checksum of these
)

// sealer follows the writing of one manifest.
type sealer struct {
	length uint64
	sum    uint32
	file   vfs.File // made by the first seal
}

func (s *sealer) wrote(p []byte) {
	s.length += uint64(len(p))
	s.sum = crc32.Update(s.sum, castagnoli, p)
}

// seal records that what was written is on disk.
func (s *sealer) seal(fs vfs.FS, manifest string) (err error) {
	if s.file == nil {
		if s.file, err = fs.Create(manifest+sealSuffix, vfs.WriteCategoryUnspecified); err != nil {
			return err
		}
	}
	b := binary.LittleEndian.AppendUint64(nil, s.length)
	b = binary.LittleEndian.AppendUint32(b, s.sum)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	if _, err := s.file.Write(b); err != nil {
		return err
	}
	return s.file.Sync()
}

func (s *sealer) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

func isManifest(name string) bool {
	return strings.HasPrefix(name, "MANIFEST-") && !strings.HasSuffix(name, sealSuffix)
}

// currentManifest names the manifest of the store in dir; "" when there is none.
func currentManifest(fs vfs.FS, dir string) (string, error) {
	name, err := atomicfs.ReadMarker(fs, dir, "manifest")
	if err != nil {
		return "", fmt.Errorf("find the manifest: %w", err)
	}
	return name, nil
}

// verifySeal checks that the manifest of the store in dir is what was sealed.
func verifySeal(fs vfs.FS, dir string) error {
	name, err := currentManifest(fs, dir)
	if err != nil || name == "" {
		return err
	}
	seals, err := readFile(fs, fs.PathJoin(dir, name+sealSuffix))
	if err != nil {
		return &damage{name + sealSuffix, err}
	}
	var length uint64
	var sum uint32
	for len(seals) >= sealRecord {
		b := seals[:sealRecord]
		if binary.LittleEndian.Uint32(b[12:]) != crc32.Checksum(b[:12], castagnoli) {
			break
		}
		length, sum = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:])
		seals = seals[sealRecord:]
	}
	if len(seals) > sealRecord || length == 0 {
		return &damage{name + sealSuffix, errors.New("a checksum is wrong")} // before the end, so no crash did it
	}
	manifest, err := readFile(fs, fs.PathJoin(dir, name))
	if err != nil {
		return &damage{name, err}
	}
	if uint64(len(manifest)) < length {
		return &damage{name, fmt.Errorf("%d bytes are left of %d", len(manifest), length)}
	}
	if crc32.Checksum(manifest[:length], castagnoli) != sum {
		return &damage{name, errors.New("the checksum is wrong")}
	}
	return nil
}

// sealManifest seals the manifest of a store that is complete, as it is.
func sealManifest(fs vfs.FS, dir string) error {
	name, err := currentManifest(fs, dir)
	if err != nil {
		return err
	}
	manifest, err := readFile(fs, fs.PathJoin(dir, name))
	if err != nil {
		return err
	}
	var s sealer
	s.wrote(manifest)
	if err := errors.Join(s.seal(fs, fs.PathJoin(dir, name)), s.close()); err != nil {
		return err
	}
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func readFile(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
