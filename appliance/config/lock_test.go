package config_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"emrvault/appliance/config"
	"emrvault/appliance/errs"
)

// TestMain lets the test binary play a second process that holds a folder.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LOCK_CHILD"); dir != "" {
		if _, err := config.NewLayout(dir).Lock(); err != nil {
			os.Stdout.WriteString(err.Error())
			os.Exit(1)
		}
		os.Stdout.WriteString("held\n")
		select {}
	}
	os.Exit(m.Run())
}

func TestLockNamesItsHolder(t *testing.T) {
	layout := config.NewLayout(filepath.Join(t.TempDir(), "数据"))
	if err := layout.Make(); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "LOCK_CHILD="+layout.Data)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := out.Read(buf); err != nil || string(buf[:n]) != "held\n" {
		t.Fatalf("child said %q, %v", buf[:n], err)
	}
	_, err = layout.Lock()
	if errs.KindOf(err) != errs.Busy || !strings.Contains(err.Error(), strconv.Itoa(child.Process.Pid)) {
		t.Errorf("error = %v, want busy by process %d", err, child.Process.Pid)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed on purpose
	lock, err := layout.Lock()
	if err != nil {
		t.Fatalf("lock after the holder died: %v", err)
	}
	if err := lock.Unlock(); err != nil {
		t.Errorf("unlock: %v", err)
	}
}

func TestLockTwiceInOneProcess(t *testing.T) {
	layout := config.NewLayout(t.TempDir())
	if err := layout.Make(); err != nil {
		t.Fatal(err)
	}
	first, err := layout.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := layout.Lock(); errs.KindOf(err) != errs.Busy {
		t.Errorf("second lock = %v, want busy", err)
	}
	if err := first.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := layout.Lock()
	if err != nil {
		t.Fatalf("lock after unlock: %v", err)
	}
	if err := again.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestFoldersAreForTheOwnerOnly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: Windows rights are lists, not bits; look at the security page of the data folder by hand")
	}
	layout := config.NewLayout(t.TempDir())
	if err := os.MkdirAll(layout.Secret(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := layout.Make(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{layout.Data, layout.Secret(), layout.Scratch(), layout.Run(), layout.Log()} {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s has rights %v (%v), want 0700", dir, info.Mode(), err)
		}
	}
}

func TestDataDir(t *testing.T) {
	t.Setenv("EMRVAULT_DATA", filepath.Join(t.TempDir(), "env"))
	fromEnv, err := config.DataDir("")
	if err != nil || filepath.Base(fromEnv) != "env" {
		t.Errorf("data folder = %q, %v, want the one of the environment", fromEnv, err)
	}
	fromFlag, err := config.DataDir("rel")
	if err != nil || !filepath.IsAbs(fromFlag) || filepath.Base(fromFlag) != "rel" {
		t.Errorf("data folder = %q, %v, want the flag made absolute", fromFlag, err)
	}
}
