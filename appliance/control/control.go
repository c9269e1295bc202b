// Package control lets a verb typed at a console be carried out by the running
// appliance.
//
// One process owns the data folder. A verb that finds it running sends its
// words over <data>/run/control.sock (a named pipe on Windows); the appliance
// runs the verb's own command in its process and streams back what it prints,
// then its exit code. Standard input travels only when the verb reads it. When
// the person at the console gives up or vanishes, the verb's context is
// cancelled.
//
// Only the owner of the appliance and root may open the socket. Who asked is
// not what the client says but what the operating system says of the peer, and
// goes into Request.User as "console:<user>".
//
// On the wire there are frames: one byte that names the kind, four bytes of
// length, the content.
package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// ErrNotRunning says that no appliance listens at the socket.
var ErrNotRunning = errors.New("the appliance is not running")

// Request is a verb as it was typed.
type Request struct {
	Args  []string  `json:"args"`
	Lang  string    `json:"lang"` // language of the answer, "zh" or "en"
	Dir   string    `json:"dir"`  // working folder of the person; relative paths begin there
	User  string    `json:"-"`    // "console:<OS user>", from the peer's credentials
	Stdin io.Reader `json:"-"`    // reads from the person's standard input
}

// Run carries out a verb and gives its exit code. It must return soon after
// its context is cancelled.
type Run = func(ctx context.Context, req Request, stdout, stderr io.Writer) int

// Serve listens at sock and carries out verbs until ctx ends; then it cancels
// those at work and waits for them. The caller holds the lock of the data
// folder, so a socket that lies there already is left from a dead process.
func Serve(ctx context.Context, sock string, run Run) error {
	listener, err := listen(sock)
	if err != nil {
		return fmt.Errorf("listen at %s: %w", sock, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var verbs sync.WaitGroup
	defer verbs.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if err := listener.Close(); err != nil {
			slog.Warn("close control socket", "error", err)
		}
	})
	defer stop()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return closeLate(conn)
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("accept at %s: %w", sock, err)
		}
		if err != nil {
			// Too many open files, say: no reason to end the box.
			slog.Warn("control: no connection taken", "error", err)
			rest(ctx)
			continue
		}
		verbs.Go(func() { serve(ctx, conn, run) })
	}
}

// rest waits a moment, or until ctx ends.
func rest(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}

// closeLate closes a connection that came while we were leaving.
func closeLate(conn net.Conn) error {
	if conn == nil {
		return nil
	}
	return conn.Close()
}

// serve carries out the one verb of a connection.
func serve(ctx context.Context, conn net.Conn, run Run) {
	var reader sync.WaitGroup
	defer reader.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer conn.Close() // ends the reader; the verb is done
	defer context.AfterFunc(ctx, func() { hurry(conn) })()

	out := &writer{to: conn}
	user, err := peer(conn)
	if err != nil {
		slog.Warn("control: peer refused", "error", err)
		out.complain(err)
		return
	}
	in := bufio.NewReader(conn)
	req, err := readRequest(in)
	if errors.Is(err, io.EOF) {
		return // somebody looked whether we are here
	}
	if err != nil {
		slog.Warn("control: request refused", "user", user, "error", err)
		out.complain(err)
		return
	}
	asked := newAsking(out)
	req.User, req.Stdin = "console:"+user, asked
	reader.Go(func() {
		defer cancel()
		asked.receive(ctx, in)
	})
	out.exit(shielded(ctx, req, run, out))
}

// hurry bounds how long a cancelled verb may wait for its client: no more
// input comes, and output nobody takes is given up.
func hurry(conn net.Conn) {
	_ = conn.SetReadDeadline(time.Now())                    // a closed connection
	_ = conn.SetWriteDeadline(time.Now().Add(patience / 2)) // needs neither
}

// shielded runs the verb; one that panics fails alone and does not take the
// appliance along.
func shielded(ctx context.Context, req Request, run Run, out *writer) (code int) {
	defer func() {
		if what := recover(); what != nil {
			slog.Error("control: verb panicked", "args", req.Args, "panic", what)
			code = 1
		}
	}()
	return run(ctx, req, out.stream(frameStdout), out.stream(frameStderr))
}

func readRequest(in io.Reader) (Request, error) {
	var req Request
	kind, content, err := readFrame(in)
	if err != nil {
		return req, fmt.Errorf("read request: %w", err)
	}
	if kind != frameRequest {
		return req, fmt.Errorf("read request: got frame %q first", kind)
	}
	if err := json.Unmarshal(content, &req); err != nil {
		return req, fmt.Errorf("read request: %w", err)
	}
	return req, nil
}
