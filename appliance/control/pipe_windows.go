package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"

	"emrvault/appliance/errs"
)

// guard lets the system and administrators in and nobody else.
const guard = "D:P(A;;GA;;;SY)(A;;GA;;;BA)"

func listen(pipe string) (net.Listener, error) {
	return winio.ListenPipe(pipe, &winio.PipeConfig{SecurityDescriptor: guard})
}

func dial(ctx context.Context, pipe string) (net.Conn, error) {
	conn, err := winio.DialPipeContext(ctx, pipe)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNotRunning
	case errors.Is(err, fs.ErrPermission):
		return nil, errs.Wrap(errs.Denied, err, "control.rights")
	case err != nil:
		return nil, fmt.Errorf("call the appliance at %s: %w", pipe, err)
	}
	return conn, nil
}

// peer asks Windows whose process is at the other end.
func peer(conn net.Conn) (string, error) {
	pipe, ok := conn.(interface{ Fd() uintptr })
	if !ok {
		return "", errors.New("ask for peer: the pipe has no handle")
	}
	var pid uint32
	if err := windows.GetNamedPipeClientProcessId(windows.Handle(pipe.Fd()), &pid); err != nil {
		return "", fmt.Errorf("ask for peer: %w", err)
	}
	name, err := processUser(pid)
	if err != nil {
		return "", fmt.Errorf("ask for user of process %d: %w", pid, err)
	}
	return name, nil
}

func processUser(pid uint32) (string, error) {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return "", err
	}
	defer windows.CloseHandle(process) //nolint:errcheck // only read
	var token windows.Token
	if err := windows.OpenProcessToken(process, windows.TOKEN_QUERY, &token); err != nil {
		return "", err
	}
	defer token.Close() // only read
	user, err := token.GetTokenUser()
	if err != nil {
		return "", err
	}
	account, domain, _, err := user.User.Sid.LookupAccount("")
	if err != nil {
		return "", err
	}
	return domain + `\` + account, nil
}
