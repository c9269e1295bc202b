package control

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"emrvault/appliance/errs"
)

// longest is the longest path a socket address takes, with the final zero left
// out.
const longest = 107

// shorten gives a name for the socket that fits its address, however deep the
// data folder lies: the folder is opened and named through /proc. done frees
// what that took.
func shorten(sock string) (near string, done func(), err error) {
	if len(sock) <= longest {
		return sock, func() {}, nil
	}
	dir, err := os.OpenFile(filepath.Dir(sock), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", nil, err
	}
	near = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(sock))
	return near, func() { _ = dir.Close() }, nil // an O_PATH handle has nothing to lose
}

// peer asks the kernel who is at the other end. The rights of the socket keep
// others out already; this holds even when somebody widened them.
func peer(conn net.Conn) (string, error) {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return "", fmt.Errorf("ask for peer: %w", err)
	}
	var cred *unix.Ucred
	var asked error
	err = raw.Control(func(fd uintptr) {
		cred, asked = unix.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err == nil {
		err = asked
	}
	if err != nil {
		return "", fmt.Errorf("ask for peer: %w", err)
	}
	if cred.Uid != 0 && int(cred.Uid) != os.Getuid() {
		return "", errs.New(errs.Denied, "control.rights")
	}
	return userName(cred.Uid), nil
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "uid-" + id
}
