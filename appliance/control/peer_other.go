//go:build !linux && !windows

package control

import (
	"net"
	"os/user"
)

// shorten gives the socket as it is.
func shorten(sock string) (near string, done func(), err error) { return sock, func() {}, nil }

// peer trusts the rights of the socket, which let only its owner in.
func peer(net.Conn) (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", err
	}
	return u.Username, nil
}
