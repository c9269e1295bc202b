package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be the program itself: scripts call it as
// "emrvault", and tests that kill it start it through program.
func TestMain(m *testing.M) {
	if os.Getenv("EMRVAULT_TEST_AS_PROGRAM") == "1" {
		main()
		return
	}
	testscript.Main(m, map[string]func(){"emrvault": main})
}

// program prepares the real program as a child process with a clean
// environment; extra are more variables as "NAME=value".
func program(t testing.TB, dir string, extra []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatalf("find the test binary: %v", err)
	}
	cmd := exec.Command(self, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{
		"EMRVAULT_TEST_AS_PROGRAM=1", "EMRVAULT_LANG=en", "EMRVAULT_PASSWORD=geheim", "EMRVAULT_FROM_PASSWORD=geheim",
		"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(),
	}, extra...)
	return cmd
}

// run runs the program to its end and gives its output and exit code.
func runProgram(t testing.TB, dir string, args ...string) (output string, exit int) {
	t.Helper()
	cmd := program(t, dir, nil, args...)
	text, err := cmd.CombinedOutput()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		t.Fatalf("run emrvault %v: %v", args, err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// must runs the program and wants exit code 0.
func must(t testing.TB, dir string, args ...string) string {
	t.Helper()
	text, exit := runProgram(t, dir, args...)
	if exit != 0 {
		t.Fatalf("emrvault %v: got exit code %d, want 0\n%s", args, exit, text)
	}
	return text
}

// notShort leaves out what starts the program very often or with much data.
func notShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped with -short: starts the program very often or with much data")
	}
}

// stockRestic is the path of the peer whose format we keep: RESTIC_BIN, or
// restic on the PATH.
func stockRestic(t testing.TB) string {
	t.Helper()
	if bin := os.Getenv("RESTIC_BIN"); bin != "" {
		return bin
	}
	bin, err := exec.LookPath("restic")
	if err != nil {
		t.Skip("stock restic is not installed; ./build.sh test --install brings it, or set RESTIC_BIN")
	}
	return bin
}

// restic runs stock restic on a repository whose password is "geheim".
func restic(t testing.TB, repository string, args ...string) string {
	t.Helper()
	cmd := exec.Command(stockRestic(t), append([]string{"-r", repository, "--no-cache"}, args...)...)
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD=geheim")
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("restic %v: %v\n%s", args, err, text)
	}
	return string(text)
}

// TestScripts plays the CLI stories.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("EMRVAULT_DATA", filepath.Join(env.WorkDir, "home", "box")) // never the box of this machine
			env.Setenv("EMRVAULT_LANG", "en")
			env.Setenv("EMRVAULT_PASSWORD", "geheim")
			env.Setenv("YEAR", time.Now().Format("2006"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, errors.New("unknown condition " + cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "await": await},
	})
}

// exits runs a program and wants an exact exit code: exits CODE PROGRAM ARG...
// Its output is there for the stdout and stderr checks that follow.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exited *exec.ExitError
		if !errors.As(err, &exited) {
			ts.Fatalf("run %s: %v", args[1], err)
		}
		got = exited.ExitCode()
	}
	if got != want {
		ts.Fatalf("%v: got exit code %d, want %d", args[1:], got, want)
	}
}

// await waits until a program in the background has made a file: await FILE,
// which may be a pattern.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await FILE")
	}
	for range 300 {
		found, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		if len(found) > 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s was not made within 15 s", args[0])
}
