package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/config"
	"emrvault/appliance/control"
)

// serve starts an appliance that carries out verbs by run until the test ends
// or stop is called.
func serve(t *testing.T, sock string, run control.Run) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- control.Serve(ctx, sock, run) }()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if err := control.Ping(ctx, sock); err == nil {
			break
		} else if !errors.Is(err, control.ErrNotRunning) || time.Now().After(deadline) {
			t.Fatalf("the appliance does not answer: %v", err)
		}
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func socket(t *testing.T) string {
	t.Helper()
	layout := config.NewLayout(t.TempDir())
	if err := layout.Make(); err != nil {
		t.Fatal(err)
	}
	return layout.Socket()
}

func TestVerbAndItsStreams(t *testing.T) {
	sock := socket(t)
	serve(t, sock, func(_ context.Context, req control.Request, stdout, stderr io.Writer) int {
		if len(req.Args) == 0 {
			return 0
		}
		fmt.Fprintf(stdout, "%s|%s|%s|%s", strings.Join(req.Args, " "), req.Lang, req.Dir, req.User)
		fmt.Fprint(stderr, "进度 50%")
		return 3
	})
	var stdout, stderr bytes.Buffer
	req := control.Request{Args: []string{"plan", "run", "电子病历"}, Lang: "zh", Dir: "/tmp", User: "console:forged"}
	code, err := control.Call(t.Context(), sock, req, nil, &stdout, &stderr)
	if err != nil || code != 3 || stderr.String() != "进度 50%" {
		t.Fatalf("call = %d, %v, stderr %q", code, err, stderr.String())
	}
	want := "plan run 电子病历|zh|/tmp|console:"
	if got := stdout.String(); !strings.HasPrefix(got, want) || strings.HasSuffix(got, ":") || strings.Contains(got, "forged") {
		t.Errorf("stdout = %q, want %q and the user the system names", got, want)
	}
}

func TestStandardInputTravels(t *testing.T) {
	sock := socket(t)
	serve(t, sock, func(_ context.Context, req control.Request, stdout, _ io.Writer) int {
		if len(req.Args) == 0 {
			return 0
		}
		if _, err := io.Copy(stdout, req.Stdin); err != nil {
			return 1
		}
		return 0
	})
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<17) // two megabytes: many frames each way
	var got bytes.Buffer
	code, err := control.Call(t.Context(), sock, control.Request{Args: []string{"echo"}}, bytes.NewReader(sent), &got, io.Discard)
	if err != nil || code != 0 || !bytes.Equal(got.Bytes(), sent) {
		t.Errorf("call = %d, %v; %d bytes came back, want %d", code, err, got.Len(), len(sent))
	}
	got.Reset()
	code, err = control.Call(t.Context(), sock, control.Request{Args: []string{"echo"}}, nil, &got, io.Discard)
	if err != nil || code != 0 || got.Len() != 0 {
		t.Errorf("call without input = %d, %v, %q", code, err, got.String())
	}
}

// waiter is a verb that works until it is cancelled.
func waiter(started, ended chan<- struct{}) control.Run {
	return func(ctx context.Context, req control.Request, stdout, _ io.Writer) int {
		if len(req.Args) == 0 {
			return 0
		}
		close(started)
		<-ctx.Done()
		fmt.Fprint(stdout, "stopped")
		close(ended)
		return 130
	}
}

func TestCancelledCallStopsTheVerb(t *testing.T) {
	sock := socket(t)
	started, ended := make(chan struct{}), make(chan struct{})
	serve(t, sock, waiter(started, ended))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	var stdout bytes.Buffer
	code, err := control.Call(ctx, sock, control.Request{Args: []string{"wait"}}, nil, &stdout, io.Discard)
	if code != 130 || !errors.Is(err, context.Canceled) || stdout.String() != "stopped" {
		t.Errorf("call = %d, %v, %q, want the verb's farewell", code, err, stdout.String())
	}
	<-ended
}

func TestVanishedClientStopsTheVerb(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: speaks to the socket by hand, which is a pipe on Windows")
	}
	sock := filepath.Join(t.TempDir(), "s")
	started, ended := make(chan struct{}), make(chan struct{})
	serve(t, sock, waiter(started, ended))
	conn, err := net.Dial("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(control.Request{Args: []string{"wait"}})
	if err != nil {
		t.Fatal(err)
	}
	frame := append([]byte{'R', 0, 0, 0, byte(len(text))}, text...)
	if _, err := conn.Write(frame); err != nil {
		t.Fatal(err)
	}
	<-started
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the verb goes on although nobody is there")
	}
}

func TestStopCancelsVerbsThatWaitForInput(t *testing.T) {
	sock := socket(t)
	reading := make(chan struct{})
	stop := serve(t, sock, func(_ context.Context, req control.Request, _, _ io.Writer) int {
		if len(req.Args) == 0 {
			return 0
		}
		close(reading)
		_, _ = io.ReadAll(req.Stdin)
		return 7
	})
	hang, _ := io.Pipe()
	result := make(chan int, 1)
	go func() {
		code, _ := control.Call(context.Background(), sock, control.Request{Args: []string{"x"}}, hang, io.Discard, io.Discard)
		result <- code
	}()
	<-reading
	began := time.Now()
	stop()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if code := <-result; code != 7 {
		t.Errorf("exit code = %d, want the verb's 7", code)
	}
	if _, err := control.Call(context.Background(), sock, control.Request{}, nil, io.Discard, io.Discard); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("call after stop = %v, want ErrNotRunning", err)
	}
}

func TestPanickingVerbFailsAlone(t *testing.T) {
	sock := socket(t)
	serve(t, sock, func(_ context.Context, req control.Request, _, _ io.Writer) int {
		if len(req.Args) > 0 {
			panic("planned by the test")
		}
		return 0
	})
	for range 2 {
		code, err := control.Call(t.Context(), sock, control.Request{Args: []string{"x"}}, nil, io.Discard, io.Discard)
		if err != nil || code != 1 {
			t.Errorf("call = %d, %v, want 1", code, err)
		}
	}
}

func TestSocketOfADeadProcess(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: a pipe leaves nothing behind")
	}
	deep := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	if err := os.Mkdir(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	sock := filepath.Join(deep, "s")
	if _, err := control.Call(t.Context(), sock, control.Request{}, nil, io.Discard, io.Discard); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("call without socket = %v, want ErrNotRunning", err)
	}
	t.Chdir(deep)
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: "s", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := control.Call(t.Context(), sock, control.Request{}, nil, io.Discard, io.Discard); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("call of a dead socket = %v, want ErrNotRunning", err)
	}
	stop := serve(t, sock, func(context.Context, control.Request, io.Writer, io.Writer) int { return 0 })
	if info, err := os.Stat(sock); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket has rights %v (%v), want 0600", info.Mode(), err)
	}
	stop()
	if _, err := os.Lstat(sock); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestFileInTheWayIsKept(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: a pipe is no file")
	}
	sock := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(sock, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := control.Serve(t.Context(), sock, nil)
	if err == nil || !strings.Contains(err.Error(), sock) {
		t.Errorf("serve = %v, want a refusal that names the file", err)
	}
	if data, err := os.ReadFile(sock); err != nil || string(data) != "mine" {
		t.Errorf("file = %q, %v, want it untouched", data, err)
	}
}
