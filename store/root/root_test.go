package root_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fhirlake/fhirlake/store/root"
)

// TestMain lets the test binary play the other process: it opens the root named
// by the variable, says so, and holds it until its stdin ends.
func TestMain(m *testing.M) {
	if dir := os.Getenv("FHIRLAKE_TEST_OWN"); dir != "" {
		r, err := root.Open(dir, root.Options{Exclusive: true})
		if err == nil {
			err = r.Announce(root.Owner{Address: "127.0.0.1:9999", Token: "secret"})
		}
		if err != nil {
			os.Stdout.WriteString("error " + err.Error() + "\n")
			os.Exit(1)
		}
		os.Stdout.WriteString("open\n")
		io.Copy(io.Discard, os.Stdin)
		r.Close()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func startOwner(t *testing.T, dir string) (cmd *exec.Cmd, stop func()) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "FHIRLAKE_TEST_OWN="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if line != "open\n" {
		t.Fatalf("other process: %q", line)
	}
	stop = func() { in.Close(); cmd.Wait() }
	t.Cleanup(stop)
	return cmd, stop
}

func TestLockBetweenProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lake")
	cmd, stop := startOwner(t, dir)

	_, err := root.Open(dir, root.Options{Exclusive: true})
	var owned *root.OwnedError
	if !errors.As(err, &owned) {
		t.Fatalf("got %v, want an OwnedError", err)
	}
	if want := (root.Owner{PID: cmd.Process.Pid, Address: "127.0.0.1:9999", Token: "secret"}); owned.Owner != want {
		t.Errorf("owner %+v, want %+v", owned.Owner, want)
	}
	if !strings.Contains(err.Error(), "send the work there") {
		t.Errorf("no advice in %q", err)
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error %q shows the token", err)
	}
	if o, ok := root.FindOwner(dir); !ok || o.Address != "127.0.0.1:9999" {
		t.Errorf("FindOwner: %+v, %v", o, ok)
	}
	reader, err := root.Open(dir, root.Options{})
	if err != nil {
		t.Fatalf("reader beside the owner: %v", err)
	}
	if reader.Exclusive() {
		t.Error("the reader owns the root")
	}

	stop()
	r, err := root.Open(dir, root.Options{Exclusive: true})
	if err != nil {
		t.Fatalf("after the owner ended: %v", err)
	}
	defer r.Close()
}

func TestLockOfDeadProcess(t *testing.T) {
	dir := t.TempDir()
	cmd, _ := startOwner(t, dir)
	cmd.Process.Kill()
	cmd.Wait()
	if _, ok := root.FindOwner(dir); ok {
		t.Error("a dead process owns the root")
	}
	r, err := root.Open(dir, root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
}

func TestOpenFolders(t *testing.T) {
	tests := []struct {
		name      string
		make      func(dir string) error
		exclusive bool
		want      error
	}{
		{"missing, owner", func(string) error { return nil }, true, nil},
		{"missing, reader", func(string) error { return nil }, false, nil},
		{"empty", func(d string) error { return os.MkdirAll(d, 0o755) }, true, nil},
		{"fresh volume", func(d string) error { return os.MkdirAll(d+"/lost+found", 0o755) }, true, nil},
		{"a root", func(d string) error { return os.MkdirAll(d+"/catalog", 0o755) }, true, nil},
		{"other content", func(d string) error { return os.MkdirAll(d+"/photos", 0o755) }, true, root.ErrNotRoot},
		{"other content, reader", func(d string) error { return os.MkdirAll(d+"/photos", 0o755) }, false, root.ErrNotRoot},
		{"a file", func(d string) error { return os.WriteFile(d, nil, 0o644) }, true, root.ErrNotRoot},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "lake")
			if err := tt.make(dir); err != nil {
				t.Fatal(err)
			}
			r, err := root.Open(dir, root.Options{Exclusive: tt.exclusive})
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err != nil {
				return
			}
			defer r.Close()
			if _, err := os.Stat(dir); tt.name == "missing, reader" && err == nil {
				t.Error("a reader made the folder")
			}
		})
	}
}

func TestOpenNotWritable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("the superuser may write everywhere")
	}
	dir := t.TempDir()
	os.Chmod(dir, 0o555)
	_, err := root.Open(dir, root.Options{Exclusive: true})
	if err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Fatalf("got %v", err)
	}
}

func TestAnnounce(t *testing.T) {
	dir := t.TempDir()
	// Earlier versions made the file readable by all.
	if err := os.WriteFile(filepath.Join(dir, "lock"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := root.Open(dir, root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, want := range []root.Owner{
		{Address: "a-long-name.example.org:8080", URL: "https://fhir.example.org", Token: "a-long-token", Certificate: "00ff"},
		{Address: "h:1", Token: "t"},
	} {
		if err := r.Announce(want); err != nil {
			t.Fatal(err)
		}
		want.PID = os.Getpid()
		if o, ok := root.FindOwner(dir); !ok || o != want {
			t.Errorf("got %+v, %v, want %+v", o, ok, want)
		}
	}
	st, err := os.Stat(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if got := st.Mode().Perm(); got != 0o600 {
		t.Errorf("the lock with the token has mode %o, want 600", got)
	}
	reader, err := root.Open(dir, root.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Announce(root.Owner{}); err == nil {
		t.Error("a reader announced itself as the owner")
	}
}

func TestTempDir(t *testing.T) {
	dir := t.TempDir()
	first, err := root.Open(dir, root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	reader, err := root.Open(dir, root.Options{})
	if err != nil {
		t.Fatal(err)
	}
	held, release, err := reader.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "tmp", "spill-left")
	if err := os.MkdirAll(filepath.Join(left, "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := root.Open(dir, root.Options{Exclusive: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := os.Stat(left); err == nil {
		t.Error("the leftover of a dead process is still there")
	}
	if _, err := os.Stat(held); err != nil {
		t.Error("the folder of a living reader was swept")
	}
	release()
	if _, err := os.Stat(held); err == nil {
		t.Error("release left the folder")
	}
}
