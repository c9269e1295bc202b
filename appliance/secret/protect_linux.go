package secret

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// nameWithin is written into what systemd-creds encrypts and checked when it
// decrypts.
const nameWithin = "emrvault-box"

// creds is systemd-creds with the key it uses.
type creds struct{ with []string }

// chip asks for the TPM and binds to no measurement: a firmware update must
// not lock a hospital out of its own backups. What remains is what we want: the
// key leaves this machine only with its mainboard.
var chip = creds{with: []string{"--with-key=tpm2", "--tpm2-pcrs="}}

// protect wraps the key by the chip when that is proven to work both ways, and
// otherwise leaves it to the rights of the file.
func protect(key []byte) (Protection, []byte, error) {
	if !chipUsable() {
		return ByFile, key, nil
	}
	wrapped, err := chip.encrypt(key)
	if err != nil {
		return ByFile, key, nil //nolint:nilerr // a chip that does not work is as good as none
	}
	back, err := chip.decrypt(wrapped)
	if err != nil || !bytes.Equal(back, key) {
		return ByFile, key, nil //nolint:nilerr // as above
	}
	return ByTPM, wrapped, nil
}

func unprotect(by Protection, wrapped []byte) ([]byte, error) {
	switch by {
	case ByFile:
		return wrapped, nil
	case ByTPM:
		return chip.decrypt(wrapped)
	}
	return nil, fmt.Errorf("this machine cannot open a key protected by %q", by)
}

func chipUsable() bool {
	_, err := runCreds(nil, "has-tpm2", "--quiet")
	return err == nil
}

func (c creds) encrypt(key []byte) ([]byte, error) {
	args := append([]string{"encrypt", "--name=" + nameWithin}, c.with...)
	return runCreds(key, append(args, "-", "-")...)
}

func (c creds) decrypt(wrapped []byte) ([]byte, error) {
	return runCreds(wrapped, "decrypt", "--name="+nameWithin, "-", "-")
}

// runCreds feeds systemd-creds on its standard input; the key never becomes an
// argument or a file. A chip that does not answer is given up after a while.
func runCreds(in []byte, args ...string) ([]byte, error) {
	path, err := exec.LookPath("systemd-creds")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	var out, complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &complaint
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("systemd-creds %s: %w", args[0], err)
	}
	late := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("systemd-creds %s: %w: %s", args[0], err, strings.TrimSpace(complaint.String()))
	}
	return out.Bytes(), nil
}
