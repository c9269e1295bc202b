package backupcmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"emrvault/appliance/locale"
	"emrvault/backup/storage/probe"
	"emrvault/backup/storage/retry"
	"emrvault/backup/storage/s3/s3test"
)

func TestProbeVerb(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo := c.path("repo")
	c.want(0, "repo", "init", "-r", repo)
	delete(c.env, "EMRVAULT_PASSWORD")
	out := c.want(0, "repo", "probe", "-r", repo)
	for _, want := range []string{"write again", "object lock", "not offered", "a second", "can live at " + repo} {
		if !strings.Contains(out, want) {
			t.Errorf("got\n%s\nwant %q in it", out, want)
		}
	}
	var report probe.Report
	if err := json.Unmarshal([]byte(c.want(0, "repo", "probe", "--json", "-r", repo)), &report); err != nil || !report.Usable || len(report.Steps) != 13 {
		t.Errorf("got %+v, %v", report, err)
	}
	if _, err := os.Stat(filepath.Join(repo, "probe")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the probe left something behind: %v", err)
	}
	if out := c.want(1, "repo", "probe", "-r", c.path("nothing")); !strings.Contains(out, "FAILED") || !strings.Contains(out, "No repository can live") {
		t.Errorf("got\n%s", out)
	}
	c.want(2, "repo", "probe")
	c.want(1, "repo", "probe", "--json", "-r", c.path("nothing"))
}

// TestProbeHasWords: every step, state and detail is told in both languages.
func TestProbeHasWords(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		probe.Write, probe.Read, probe.Range, probe.List, probe.Overwrite, probe.ConditionalPut, probe.Versioning, probe.ObjectLock,
		probe.Checksum, probe.Clock, probe.Upload, probe.Download, probe.Delete,
	} {
		for _, l := range []locale.Lang{locale.English, locale.Chinese} {
			if !l.Has("probe.step." + name) {
				t.Errorf("no words for the step %s in %s", name, l)
			}
		}
	}
}

func TestRewindRefusals(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	repo, to := c.path("repo"), "2026-01-01 00:00"
	c.want(0, "repo", "init", "-r", repo)
	for _, tt := range []struct {
		code int
		says string
		args []string
	}{
		{2, "is no moment", []string{"--target", c.path("new")}},
		{2, "is no moment", []string{"--target", c.path("new"), "--to", "yesterday"}},
		{2, "is no moment", []string{"--target", c.path("new"), "--to", "2026-01-01"}},
		{2, "has not come", []string{"--target", c.path("new"), "--to", "2999-01-01T00:00:00Z"}},
		{2, "--target", []string{"--to", to}},
		{2, "", []string{"--to", to, "--target", repo}},
		{1, "keeps no versions", []string{"--to", to, "--target", c.path("new")}},
	} {
		if out := c.want(tt.code, append([]string{"repo", "rewind", "-r", repo}, tt.args...)...); !strings.Contains(out, tt.says) {
			t.Errorf("%v: got %q, want it to say %q", tt.args, out, tt.says)
		}
	}
}

func TestPast(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("Shanghai", 8*60*60)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"2026-11-22 03:00":          "2026-11-21T19:00:00Z",
		"2026-11-22 03:00:01":       "2026-11-21T19:00:01Z",
		"2026-11-22T03:00:00Z":      "2026-11-22T03:00:00Z",
		"2026-11-22T03:00:00+01:00": "2026-11-22T02:00:00Z",
		"2026-11-22 20:00":          "2026-11-22T12:00:00Z",
		"2026-11-22 20:01":          "",
		"2026-11-22":                "",
		"03:00":                     "",
		"":                          "",
	} {
		got, err := past(text, now, zone)
		if want == "" && !errors.Is(err, ErrUsage) || want != "" && (err != nil || got.UTC().Format(time.RFC3339) != want) {
			t.Errorf("%q: got %s, %v; want %q", text, got, err, want)
		}
	}
}

// TestRewindVerb is the day after an attack, from the console.
func TestRewindVerb(t *testing.T) {
	if testing.Short() {
		t.Skip("starts an S3 server and waits for its clock: run without -short")
	}
	t.Parallel()
	c := newConsole(t)
	settings := s3test.Start(t).Settings(t, s3test.Locking)
	c.env["AWS_ACCESS_KEY_ID"], c.env["AWS_SECRET_ACCESS_KEY"], c.env["AWS_REGION"] = settings.AccessKey, settings.SecretKey, settings.Region
	c.env["EMRVAULT_S3_LOCK"], c.env["EMRVAULT_S3_PROXY"] = "1h", "direct"
	repo := settings.Location()
	src := c.file("src/a.txt", "the ward's book")
	c.want(0, "repo", "init", "-r", repo)
	c.want(0, "repo", "backup", "-r", repo, src)
	time.Sleep(1100 * time.Millisecond)
	quiet := time.Now().UTC().Format(time.RFC3339Nano)
	time.Sleep(1100 * time.Millisecond)

	client := s3test.Client(t, settings)
	for object := range client.ListObjectsIter(t.Context(), settings.Bucket, minio.ListObjectsOptions{Recursive: true}) {
		if err := client.RemoveObject(t.Context(), settings.Bucket, object.Key, minio.RemoveObjectOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	c.want(10, "repo", "points", "-r", repo)
	c.want(10, "repo", "rewind", "-r", repo, "--to", "2026-01-01 00:00", "--target", c.path("early"))
	out := c.want(0, "repo", "rewind", "-r", repo, "--to", quiet, "--target", c.path("back"))
	if !strings.Contains(out, "is whole") || !strings.Contains(out, "1 point\n") {
		t.Errorf("got\n%s", out)
	}
	c.want(0, "repo", "check", "-r", c.path("back"), "--read-data")
	c.want(0, "repo", "restore", "-r", c.path("back"), "latest", "--target", c.path("out"))
	if got, err := os.ReadFile(filepath.Join(c.path("out"), src)); err != nil || string(got) != "the ward's book" {
		t.Errorf("restored: got %q, %v", got, err)
	}
	var again struct {
		OK      bool  `json:"ok"`
		Resumed int64 `json:"resumed"`
	}
	text := c.want(0, "repo", "rewind", "--json", "-r", repo, "--to", quiet, "--target", c.path("back"))
	if err := json.Unmarshal([]byte(text), &again); err != nil || !again.OK || again.Resumed == 0 {
		t.Errorf("a second run: got %+v, %v\n%s", again, err, text)
	}
}

func TestTroubleIsToldOnce(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	tr := &trouble{env: &Env{Err: &said, Lang: locale.English, Now: func() time.Time { return now }}}
	away := retry.Event{Err: errors.New("connection refused")}
	for range 10 {
		tr.hear(away)
		now = now.Add(4 * time.Second)
	}
	tr.hear(retry.Event{Over: true})
	tr.hear(retry.Event{Over: true})
	want := strings.Repeat("The storage does not answer for the moment; trying again: connection refused\n", 2) + "The storage answers again.\n"
	if said.String() != want {
		t.Errorf("got\n%swant\n%s", said.String(), want)
	}
}
