package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// patience is how long a cancelled verb may take to say goodbye.
const patience = 10 * time.Second

// Call sends a verb to the appliance listening at sock, passes streams through
// and gives the verb's exit code. When ctx ends, the verb is told to stop.
// Nobody listening is ErrNotRunning. stdin may be nil; it is read only when
// the verb asks, and a read that still waits when the verb has ended is left
// to end with the process.
func Call(ctx context.Context, sock string, req Request, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	conn, err := dial(ctx, sock)
	if err != nil {
		return 1, err
	}
	defer conn.Close() // the answer is complete or lost
	out := &writer{to: conn}
	text, err := json.Marshal(req)
	if err != nil {
		return 1, fmt.Errorf("send verb: %w", err)
	}
	if err := out.send(frameRequest, text); err != nil {
		return 1, fmt.Errorf("send verb: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { withdraw(conn, out) })
	defer stop()
	code, err := listenTo(conn, out, stdin, stdout, stderr)
	return code, errors.Join(ctx.Err(), err)
}

// Ping says whether an appliance listens at sock: nil, or ErrNotRunning.
func Ping(ctx context.Context, sock string) error {
	conn, err := dial(ctx, sock)
	if err != nil {
		return err
	}
	return conn.Close()
}

// withdraw asks the appliance to stop the verb and bounds the wait for it.
func withdraw(conn net.Conn, out *writer) {
	_ = conn.SetDeadline(time.Now().Add(patience)) // a closed connection needs none
	_ = out.send(frameCancel, nil)                 // nor does it hear this
}

// listenTo passes on what the appliance sends until the exit code comes.
func listenTo(conn net.Conn, out *writer, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	var input sync.Mutex // one read of standard input at a time
	for {
		kind, content, err := readFrame(conn)
		if err != nil {
			return 1, fmt.Errorf("the appliance went away during the verb: %w", err)
		}
		switch kind {
		case frameStdout:
			_, err = stdout.Write(content)
		case frameStderr:
			_, err = stderr.Write(content)
		case frameWant:
			go answer(&input, out, stdin)
		case frameExit:
			return exitCode(content)
		default:
			err = fmt.Errorf("unknown frame %q from the appliance", kind)
		}
		if err != nil {
			return 1, err
		}
	}
}

// answer sends the next part of standard input, or its end.
func answer(one *sync.Mutex, out *writer, stdin io.Reader) {
	one.Lock()
	defer one.Unlock()
	part := make([]byte, 32<<10)
	n := 0
	if stdin != nil {
		n = readSome(stdin, part)
	}
	_ = out.send(frameStdin, part[:n]) // a verb that has ended wants none
}

// readSome reads at least one byte, or none at the end.
func readSome(from io.Reader, into []byte) int {
	for range 100 {
		n, err := from.Read(into)
		if n > 0 || err != nil {
			return n
		}
	}
	return 0
}

func exitCode(content []byte) (int, error) {
	if len(content) != 1 {
		return 1, errors.New("the appliance sent no exit code")
	}
	return int(content[0]), nil
}
