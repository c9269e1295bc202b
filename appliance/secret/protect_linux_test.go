package secret

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The chip is rarely there on a build machine, so the way through systemd-creds
// is walked with its other key, a file of the host put into a temporary folder.
func TestSystemdCredsBothWays(t *testing.T) {
	if _, err := exec.LookPath("systemd-creds"); err != nil || os.Getuid() != 0 {
		t.Skip("skipped: systemd-creds needs package systemd 250 or newer, and root")
	}
	t.Setenv("SYSTEMD_CREDENTIAL_SECRET", filepath.Join(t.TempDir(), "host.secret"))
	host := creds{with: []string{"--with-key=host"}}
	key := []byte("0123456789abcdef0123456789abcdef")
	wrapped, err := host.encrypt(key)
	if err != nil {
		t.Fatalf("encrypt: %v", err)
	}
	if bytes.Contains(wrapped, key) {
		t.Error("the wrapped key shows the key")
	}
	back, err := host.decrypt(wrapped)
	if err != nil || !bytes.Equal(back, key) {
		t.Errorf("decrypted %q, %v, want the key", back, err)
	}
	if _, err := host.decrypt(wrapped[1:]); err == nil {
		t.Error("a damaged wrapped key was opened")
	}
}

func TestProtectFallsBackToFile(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	key := []byte("key")
	by, wrapped, err := protect(key)
	if err != nil || by != ByFile || !bytes.Equal(wrapped, key) {
		t.Errorf("protect = %s %q %v, want the file", by, wrapped, err)
	}
}
