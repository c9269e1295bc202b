package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// credsName is written into what systemd-creds encrypts and checked when it
// decrypts.
const credsName = "emrvault-box"

// creds is systemd-creds with the key it uses.
type creds struct{ with []string }

// chip asks for the TPM and binds to no measurement: a firmware update must
// not lock a hospital out of its own backups. What remains is what we want: the
// key leaves this machine only with its mainboard.
var chip = creds{with: []string{"--with-key=tpm2", "--tpm2-pcrs="}}

// protect wraps the key by the chip when that is proven to work both ways, and
// otherwise leaves it to the rights of the file.
func protect(ctx context.Context, key []byte) (Protection, []byte, error) {
	if !chipUsable(ctx) {
		return ByFile, key, nil
	}
	wrapped, err := chip.encrypt(ctx, key)
	if err != nil {
		return ByFile, key, nil //nolint:nilerr // a chip that does not work is as good as none
	}
	back, err := chip.decrypt(ctx, wrapped)
	if err != nil || !bytes.Equal(back, key) {
		return ByFile, key, nil //nolint:nilerr // as above
	}
	return ByTPM, wrapped, nil
}

func unprotect(ctx context.Context, by Protection, wrapped []byte) ([]byte, error) {
	switch by {
	case ByFile:
		return wrapped, nil
	case ByTPM:
		return chip.decrypt(ctx, wrapped)
	}
	return nil, fmt.Errorf("this machine cannot open a key protected by %q", by)
}

func chipUsable(ctx context.Context) bool {
	_, err := runCreds(ctx, nil, "has-tpm2", "--quiet")
	return err == nil
}

func (c creds) encrypt(ctx context.Context, key []byte) ([]byte, error) {
	args := append([]string{"encrypt", "--name=" + credsName}, c.with...)
	return runCreds(ctx, key, append(args, "-", "-")...)
}

func (c creds) decrypt(ctx context.Context, wrapped []byte) ([]byte, error) {
	return runCreds(ctx, wrapped, "decrypt", "--name="+credsName, "-", "-")
}

// runCreds feeds systemd-creds on its standard input; the key never becomes an
// argument or a file.
func runCreds(ctx context.Context, in []byte, args ...string) ([]byte, error) {
	path, err := exec.LookPath("systemd-creds")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var out, complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, errors.Join(fmt.Errorf("systemd-creds %s: %w", args[0], err), errors.New(strings.TrimSpace(complaint.String())))
	}
	return out.Bytes(), nil
}
