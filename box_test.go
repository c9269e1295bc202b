package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// appliance is a running "serve" with a data folder of its own.
type appliance struct {
	t       *testing.T
	cmd     *exec.Cmd
	data    string
	address string // of the page
	setup   string // one-time link of the first start
	ended   chan error

	mu  sync.Mutex
	log strings.Builder
}

// serve starts the appliance and waits until it has told where its page is.
func serve(t *testing.T, data string, args ...string) *appliance {
	t.Helper()
	return startBox(t, data, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
}

// startBox starts serve or demo.
func startBox(t *testing.T, data string, args ...string) *appliance {
	t.Helper()
	a := &appliance{t: t, data: data, ended: make(chan error, 1)}
	a.cmd = program(t, filepath.Dir(data), []string{"EMRVAULT_DATA=" + data}, args...)
	out, err := a.cmd.StdoutPipe()
	if err == nil {
		a.cmd.Stderr = writerFunc(a.note)
		err = a.cmd.Start()
	}
	if err != nil {
		t.Fatalf("start the appliance: %v", err)
	}
	t.Cleanup(func() {
		if err := a.cmd.Process.Kill(); err == nil {
			<-a.ended
		}
		if t.Failed() {
			a.mu.Lock()
			defer a.mu.Unlock()
			t.Logf("the appliance said:\n%s", a.log.String())
		}
	})
	lines := make(chan string, 8)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
		a.ended <- a.cmd.Wait()
	}()
	a.hear(lines)
	return a
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func (a *appliance) note(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log.Write(b)
}

// hear takes the page's address, and the setup link where there is one.
func (a *appliance) hear(lines <-chan string) {
	a.t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				a.t.Fatal("the appliance ended before it told its address")
			}
			_, _ = a.note([]byte(line + "\n"))
			at := strings.Index(line, "http")
			switch {
			case at >= 0 && strings.HasPrefix(line, "page: "):
				a.address = line[at:]
				if _, err := os.Stat(filepath.Join(a.data, "run", "setup-link")); err != nil {
					return
				}
			case at >= 0:
				a.setup = line[at:]
				return
			}
		case <-late:
			a.t.Fatal("the appliance did not tell its address within a minute")
		}
	}
}

// kill ends the appliance as a power cut does.
func (a *appliance) kill() {
	a.t.Helper()
	if err := a.cmd.Process.Kill(); err != nil {
		a.t.Fatal(err)
	}
	<-a.ended
}

// stop ends the appliance as the operating system does, and tells how long it
// took.
func (a *appliance) stop() time.Duration {
	a.t.Helper()
	began := time.Now()
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		a.t.Fatal(err)
	}
	select {
	case err := <-a.ended:
		if err != nil {
			a.t.Errorf("stopped: %v, want exit code 0", err)
		}
	case <-time.After(time.Minute):
		a.t.Fatal("the appliance did not stop within a minute")
	}
	return time.Since(began)
}

// verb runs a verb on the appliance's data folder and wants exit code 0.
func (a *appliance) verb(args ...string) string {
	a.t.Helper()
	return must(a.t, filepath.Dir(a.data), append(args, "--data", a.data)...)
}

// ward is a hospital whose backup takes a while.
func ward(t *testing.T, dir string, megabytes int, drill bool) (source string) {
	t.Helper()
	source = filepath.Join(dir, "emr")
	chunk := make([]byte, 1<<20)
	state := uint64(megabytes)
	for i := range megabytes {
		for j := range chunk {
			state = state*6364136223846793005 + 1442695040888963407
			chunk[j] = byte(state >> 56)
		}
		path := filepath.Join(source, fmt.Sprintf("影像-%04d.dcm", i))
		if err := errors.Join(os.MkdirAll(source, 0o755), os.WriteFile(path, chunk, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Sprintf("name: emr\nrepository: main\nlocation: %s\nsource: {kind: files, settings: {paths: [%s]}}\ndrill: {after_backup: %v}\n",
		filepath.Join(dir, "repository"), source, drill)
	if err := os.WriteFile(filepath.Join(dir, "plan.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return source
}

// until waits for something to come about.
func until(t *testing.T, what string, come func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !come(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come about within a minute", what)
		}
	}
}

// filled says whether there is a file below a folder.
func filled(t *testing.T, dir string) bool {
	t.Helper()
	return len(content(t, filepath.Dir(dir), filepath.Base(dir))) > 0
}

// proofs are what the points of the plan have been found to be, newest first.
func (a *appliance) proofs() (list []string) {
	a.t.Helper()
	for decoder := json.NewDecoder(strings.NewReader(a.verb("points", "emr", "--json"))); ; {
		var point struct {
			Proof string `json:"proof"`
		}
		if err := decoder.Decode(&point); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			a.t.Fatal(err)
		}
		list = append(list, point.Proof)
	}
}

// TestApplianceDies pulls the plug in the middle of a backup. The next start
// tells the job as interrupted, removes its lock, and runs it again: nobody has
// to come.
func TestApplianceDies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, repo := filepath.Join(dir, "data"), filepath.Join(dir, "repository")
	ward(t, dir, 200, false)
	a := serve(t, data)
	a.verb("plan", "add", "-f", "plan.yaml")
	a.verb("backup", "emr", "--detach")
	until(t, "the first pack", func() bool { return filled(t, filepath.Join(repo, "data")) })
	if !filled(t, filepath.Join(repo, "locks")) {
		t.Error("a backup is running and has no lock")
	}
	a.kill()
	if len(points(t, repo)) > 0 {
		t.Fatal("the backup ended before it was killed; nothing is proven")
	}

	a = serve(t, data)
	until(t, "the point of the repeated backup", func() bool { return len(a.proofs()) == 1 })
	shown := a.verb("plan", "show", "emr")
	for _, want := range []string{"interrupted", "after a crash", "succeeded"} {
		if !strings.Contains(shown, want) {
			t.Errorf("plan show: got\n%swant %q in it", shown, want)
		}
	}
	until(t, "a repository without locks", func() bool { return !filled(t, filepath.Join(repo, "locks")) })
	a.verb("drill", "run", "emr")
	if got := a.proofs(); len(got) != 1 || got[0] != "proven" {
		t.Errorf("got points %v, want one that is proven", got)
	}
	a.stop()
}

// TestApplianceDiesInDrill pulls the plug while a point is restored. Nothing of
// the restored records stays in scratch, and the point is proven all the same.
func TestApplianceDiesInDrill(t *testing.T) {
	notShort(t)
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	ward(t, dir, 60, false)
	a := serve(t, data)
	a.verb("plan", "add", "-f", "plan.yaml")
	a.verb("backup", "emr")
	a.verb("drill", "run", "emr", "--detach")
	scratch := filepath.Join(data, "scratch")
	until(t, "something in scratch", func() bool { return filled(t, scratch) })
	a.kill()
	if !filled(t, scratch) {
		t.Fatal("the drill ended before it was killed; nothing is proven")
	}
	a = serve(t, data)
	until(t, "a proven point", func() bool { got := a.proofs(); return len(got) == 1 && got[0] == "proven" })
	until(t, "an empty scratch", func() bool { return !filled(t, scratch) })
	if list := a.verb("drill", "list"); !strings.Contains(list, "interrupted") || !strings.Contains(list, "passed") {
		t.Errorf("drill list: got\n%swant one interrupted and one passed", list)
	}
	a.stop()
}

// TestApplianceStops asks the appliance to stop in the middle of a backup. It
// does so soon, leaves no lock, and goes on at the next start.
func TestApplianceStops(t *testing.T) {
	notShort(t)
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("skipped: Windows has no SIGTERM; its service manager is a test of appliance/osservice")
	}
	dir := t.TempDir()
	data, repo := filepath.Join(dir, "data"), filepath.Join(dir, "repository")
	ward(t, dir, 200, false)
	a := serve(t, data)
	a.verb("plan", "add", "-f", "plan.yaml")
	a.verb("backup", "emr", "--detach")
	until(t, "the first pack", func() bool { return filled(t, filepath.Join(repo, "data")) })
	if took := a.stop(); took > 10*time.Second {
		t.Errorf("the stop took %s, want at most 10 s", took)
	}
	if filled(t, filepath.Join(repo, "locks")) {
		t.Error("a lock is left after an orderly stop")
	}
	if len(points(t, repo)) > 0 {
		t.Fatal("the backup ended before it was stopped; nothing is proven")
	}
	a = serve(t, data)
	until(t, "the point of the repeated backup", func() bool { return len(a.proofs()) == 1 })
	a.stop()
}
