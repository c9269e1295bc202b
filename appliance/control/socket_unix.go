//go:build !windows

package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"emrvault/appliance/errs"
)

// listen makes the socket for the owner only.
func listen(sock string) (net.Listener, error) {
	if err := removeStale(sock); err != nil {
		return nil, err
	}
	near, done, err := shorten(sock)
	if err != nil {
		return nil, err
	}
	defer done()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: near, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // the short name is gone by then
	if err := os.Chmod(sock, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return unlinking{listener, sock}, nil
}

// unlinking removes the socket when it closes.
type unlinking struct {
	*net.UnixListener
	sock string
}

// Close ends listening and removes the socket.
func (u unlinking) Close() error {
	err := os.Remove(u.sock)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(u.UnixListener.Close(), err)
}

// removeStale removes a socket left from a dead process and touches nothing
// that is no socket.
func removeStale(sock string) error {
	info, err := os.Lstat(sock)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s is in the way and is no socket", sock)
	}
	return os.Remove(sock)
}

func dial(ctx context.Context, sock string) (net.Conn, error) {
	near, done, err := shorten(sock)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, denied(err, sock)
	}
	defer done()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", near)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, ErrNotRunning
	case err != nil:
		return nil, denied(err, sock)
	}
	return conn, nil
}

func denied(err error, sock string) error {
	if errors.Is(err, fs.ErrPermission) {
		return errs.Wrap(errs.Denied, err, "control.rights")
	}
	return fmt.Errorf("call the appliance at %s: %w", sock, err)
}
