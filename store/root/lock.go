package root

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/fhirlake/fhirlake/store/disk"
)

// errReadOnlyFS is what a read-only mount answers.
const errReadOnlyFS = syscall.EROFS

// Owner is the process that owns a root, as the text of the lock names it. Only the
// user who owns the file may read it: Token is a secret.
type Owner struct {
	PID     int    `json:"pid"`
	Address string `json:"address,omitempty"` // host:port of its server; empty for a command
	URL     string `json:"url,omitempty"`     // by which clients reach the server, without a slash at its end
	Token   string `json:"token,omitempty"`   // opens the server for commands
	// Certificate is the SHA-256 of the server's certificate, hexadecimal; empty when
	// it speaks without TLS.
	Certificate string `json:"certificate,omitempty"`
}

// String names the owner without its token.
func (o Owner) String() string {
	if o.Address == "" {
		return fmt.Sprintf("process %d", o.PID)
	}
	return fmt.Sprintf("the server of process %d at %s", o.PID, o.Address)
}

// OwnedError says that another process owns the root. Its work can be sent to
// Owner.Address, if that is set.
type OwnedError struct {
	Root  string
	Owner Owner
}

func (e *OwnedError) Error() string {
	if e.Owner.Address != "" {
		return fmt.Sprintf("root %s is owned by %s; send the work there, or stop it first", e.Root, e.Owner)
	}
	who := "another process"
	if e.Owner.PID != 0 {
		who = e.Owner.String()
	}
	return fmt.Sprintf("root %s is in use by %s; wait until it ends, or choose another root with --root", e.Root, who)
}

// FindOwner tells which process owns the root at dir, if one does.
func FindOwner(dir string) (Owner, bool) {
	name := filepath.Join(dir, "lock")
	f, err := os.Open(name)
	if err != nil {
		return Owner{}, false
	}
	defer f.Close()
	if err := disk.Lock(f, true, false); !errors.Is(err, disk.ErrLocked) {
		return Owner{}, false
	}
	return readOwner(name), true
}

// readOwner waits a little for the text of an owner that has just locked.
func readOwner(name string) Owner {
	var o Owner
	for range 20 {
		if text, err := os.ReadFile(name); err == nil && json.Unmarshal(text, &o) == nil && o.PID != 0 {
			return o
		}
		time.Sleep(5 * time.Millisecond)
	}
	return Owner{}
}

// lockFile is the held lock. The lock itself decides; the text is for others to
// read and may be of an owner that died.
type lockFile struct {
	mu sync.Mutex
	f  *os.File
}

func takeLock(name string) (*lockFile, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	// A reader in FindOwner holds the lock for an instant. So a lock whose text
	// names no living process is tried again before it counts as owned; the
	// process may also live in another container, hence not for ever.
	for try := 0; ; try++ {
		err = disk.Lock(f, false, false)
		if !errors.Is(err, disk.ErrLocked) {
			break
		}
		if o := readOwner(name); disk.Alive(o.PID) && try > 0 || try == 10 {
			f.Close()
			return nil, &OwnedError{Owner: o}
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	l := &lockFile{f: f}
	if err := errors.Join(f.Chmod(0o600), l.write(Owner{})); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

// write makes o, as this process, the text of the lock.
func (l *lockFile) write(o Owner) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return os.ErrClosed
	}
	o.PID = os.Getpid()
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err = l.f.WriteAt(append(text, '\n'), 0)
	return err
}

// release empties the text, so that it never names a process that is gone, and
// unlocks. The file stays: removing it would let two processes lock two files.
func (l *lockFile) release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	err := l.f.Truncate(0)
	if e := l.f.Close(); err == nil {
		err = e
	}
	l.f = nil
	return err
}
