package backupcmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"emrvault/appliance/locale"
	"emrvault/backup/drill"
	"emrvault/backup/drill/drilltest"
)

// shell runs verbs against a box.
type shell struct {
	t   *testing.T
	box *drilltest.Box
}

// run carries a verb out and gives its output and exit code.
func (s shell) run(args ...string) (string, int) {
	s.t.Helper()
	var out, problems bytes.Buffer
	env := &Env{
		Out: &out, Err: &problems, In: strings.NewReader(""), Lang: locale.English, Dir: s.box.Dir, Actor: "console:test",
		Appliance: func(context.Context) (*Appliance, func() error, error) {
			return &Appliance{s.box.Book, s.box.Runner, s.box.Drills, s.box.Jobs}, func() error { return nil }, nil
		},
	}
	for _, cmd := range applianceCommands(env) {
		if cmd.Name() != args[0] {
			continue
		}
		cmd.SetArgs(args[1:])
		cmd.SetOut(&out)
		cmd.SetErr(&problems)
		cmd.SilenceErrors = true
		err := cmd.ExecuteContext(s.t.Context())
		if err != nil {
			problems.WriteString(locale.English.Detail(err))
		}
		return out.String() + problems.String(), ExitCode(err)
	}
	s.t.Fatalf("no verb %s", args[0])
	return "", 0
}

// want runs a verb and looks at exit code and output.
func (s shell) want(code int, part string, args ...string) string {
	s.t.Helper()
	out, got := s.run(args...)
	if got != code || !strings.Contains(out, part) {
		s.t.Fatalf("%s: exit %d, want %d, with %q in:\n%s", strings.Join(args, " "), got, code, part, out)
	}
	return out
}

const planFile = `
name: docs
title: 病历文书附件
repository: main
location: repository
source:
  kind: files
  settings: {paths: [%s]}
keep: {last: 5}
drill:
  after_backup: false
  assertions:
    - {kind: count, path: "*.xml", min: 2}
`

func TestVerbsOfTheBox(t *testing.T) {
	t.Parallel()
	s := shell{t, drilltest.Open(t)}
	s.box.Write("<a/>", "emr", "病程.xml")
	s.box.Write("<b/>", "emr", "入院记录.xml")
	text := strings.Replace(planFile, "%s", s.box.Path("emr"), 1)
	s.box.Write(text, "docs.yaml")
	s.box.Write(strings.Replace(text, "keep: {last: 5}", `schedule: "99 22 * * *"`, 1), "wrong.yaml")

	s.want(0, "no plan yet", "plan", "list")
	s.want(0, "repository: main", "plan", "sample")
	s.want(2, "99", "plan", "add", "-f", "wrong.yaml")
	s.want(0, "Made the plan docs", "plan", "add", "-f", "docs.yaml")
	s.want(1, "exists already", "plan", "add", "-f", "docs.yaml")
	s.want(0, "never", "plan", "list")
	s.want(1, "no recovery point yet", "restore", "docs", "--target", "out")

	s.want(0, "2 files", "backup", "docs")
	s.want(0, "unproven", "points", "docs")
	out := s.want(0, "passed", "drill", "run", "docs", "--json")
	var v drill.Verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.State != drill.Passed || v.Figures.Files != 2 {
		t.Fatalf("drill run --json: %+v, %v", v, err)
	}
	s.want(0, "proven", "points")
	s.want(0, v.Number, "drill", "list", "docs")
	s.want(0, "Not proven", "drill", "show", v.Number)
	s.want(1, "no drill", "drill", "show", "YL-1999-001")
	s.want(0, "good", "plan", "show", "docs")
	s.want(0, "kind: files", "plan", "show", "docs", "--file")

	s.want(0, "Restored and verified", "restore", "docs", "--target", "out", "--verify")
	got, err := os.ReadFile(filepath.Join(s.box.Dir, "out", s.box.Path("emr", "病程.xml")))
	if err != nil || string(got) != "<a/>" {
		t.Errorf("restored file: %q, %v", got, err)
	}
	s.want(1, "not empty", "restore", "docs", "--target", "out")
	s.want(1, "in use", "restore", "docs", "--target", "emr/inside")
	s.want(2, "--target", "restore", "docs")

	s.want(2, "Nothing was done", "plan", "remove", "docs")
	s.want(0, "Changed", "plan", "edit", "docs", "--disable")
	s.want(0, "points that stay: 1", "plan", "remove", "docs", "--confirm")
	s.want(1, "no plan named docs", "plan", "show", "docs")
}

func TestBackupExitCodes(t *testing.T) {
	t.Parallel()
	s := shell{t, drilltest.Open(t)}
	s.box.Write("<a/>", "emr", "病程.xml")
	text := strings.Replace(planFile, "[%s]", "["+s.box.Path("emr")+", "+s.box.Path("vanished")+"]", 1)
	s.box.Write(text, "docs.yaml")
	s.want(0, "Made the plan", "plan", "add", "-f", "docs.yaml")
	s.want(3, "vanished", "backup", "docs")
	if err := os.Rename(s.box.Path("repository"), s.box.Path("away")); err != nil {
		t.Fatal(err)
	}
	s.want(10, "mounted", "backup", "docs")
	if ExitCode(wrongWord{errors.New("x")}) != exitUsage {
		t.Error("a wrong word is wrong usage")
	}
}
