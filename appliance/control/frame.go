package control

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

// Kinds of frames.
const (
	frameRequest = 'R' // client: the verb, JSON; first and only once
	frameStdin   = 'I' // client: bytes of standard input; none means its end
	frameCancel  = 'C' // client: stop the verb
	frameStdout  = 'O' // server: bytes for standard output
	frameStderr  = 'E' // server: bytes for standard error
	frameWant    = 'W' // server: the verb waits for standard input
	frameExit    = 'X' // server: exit code, one byte; the last frame
)

// maxFrame bounds the content of a frame, so that a confused peer cannot make
// us reserve memory without end.
const maxFrame = 1 << 20

func writeFrame(to io.Writer, kind byte, content []byte) error {
	frame := make([]byte, 0, 5+len(content))
	frame = append(frame, kind)
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(content)))
	_, err := to.Write(append(frame, content...))
	return err
}

func readFrame(from io.Reader) (kind byte, content []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length > maxFrame {
		return 0, nil, fmt.Errorf("frame %q of %d bytes is too long", head[0], length)
	}
	content = make([]byte, length)
	if _, err := io.ReadFull(from, content); err != nil {
		return 0, nil, err
	}
	return head[0], content, nil
}

// writer sends the frames of many goroutines one after another.
type writer struct {
	mu sync.Mutex
	to io.Writer
}

func (w *writer) send(kind byte, content []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return writeFrame(w.to, kind, content)
}

// exit sends the last frame. A client that has gone does not hear it, and
// nobody is left to tell.
func (w *writer) exit(code int) {
	_ = w.send(frameExit, []byte{byte(code)})
}

// complain tells the client why its verb was not run.
func (w *writer) complain(err error) {
	_ = w.send(frameStderr, []byte(err.Error()+"\n"))
	w.exit(1)
}

// stream gives a writer whose bytes travel as frames of one kind.
func (w *writer) stream(kind byte) io.Writer { return stream{w, kind} }

type stream struct {
	to   *writer
	kind byte
}

// Write sends p in frames of bounded size.
func (s stream) Write(p []byte) (n int, err error) {
	for n < len(p) {
		part := p[n:min(n+maxFrame/4, len(p))]
		if err := s.to.send(s.kind, part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// asking is the standard input of a verb: each Read that finds nothing asks the
// client for more.
type asking struct {
	out   *writer
	parts chan []byte
	left  []byte
	ended bool
}

func newAsking(out *writer) *asking {
	return &asking{out: out, parts: make(chan []byte, 1)}
}

// Read waits for the client's next part.
func (a *asking) Read(p []byte) (int, error) {
	if len(a.left) == 0 && !a.ended {
		if err := a.out.send(frameWant, nil); err != nil {
			return 0, err
		}
		part, ok := <-a.parts
		a.left, a.ended = part, !ok || len(part) == 0
	}
	if len(a.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, a.left)
	a.left = a.left[n:]
	return n, nil
}

// receive takes frames from the client until it cancels or goes.
func (a *asking) receive(ctx context.Context, in io.Reader) {
	defer close(a.parts)
	for {
		kind, content, err := readFrame(in)
		if err != nil || kind != frameStdin {
			return
		}
		select {
		case a.parts <- content:
		case <-ctx.Done():
			return
		}
	}
}
