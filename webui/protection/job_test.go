package protection

import (
	"slices"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/jobs"
)

var began = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func met(names ...string) (events []jobs.Event) {
	for i, name := range names {
		events = append(events, jobs.Event{Type: jobs.StageBegan, Key: name, At: began.Add(time.Duration(i) * time.Minute)})
	}
	return events
}

func TestStages(t *testing.T) {
	cases := []struct {
		name string
		job  jobs.Job
		met  []string
		want string
	}{
		{"waiting", jobs.Job{Kind: "restore", State: jobs.Queued}, nil, "restore: verify:"},
		{"running", jobs.Job{Kind: "backup", State: jobs.Running, Stage: "read"}, []string{"check", "capture", "read"}, "check:done capture:done read:now index: record: expire: prune:"},
		{"passed over", jobs.Job{Kind: "backup", State: jobs.Running, Stage: "read"}, []string{"check", "read"}, "check:done read:now index: record: expire: prune:"},
		{"ended well", jobs.Job{Kind: "backup", State: jobs.Succeeded, Stage: "record"}, []string{"check", "read", "index", "record"}, "check:done read:done index:done record:done"},
		{"failed", jobs.Job{Kind: "backup", State: jobs.Failed, Stage: "read"}, []string{"check", "read"}, "check:done read:fail"},
		{"kind nobody told us of", jobs.Job{Kind: "polish", State: jobs.Running, Stage: "rub"}, []string{"rub", "rub"}, "rub:now"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, s := range stagesOf(c.job, met(c.met...)) {
				got = append(got, s.Name+":"+s.Class)
			}
			if want := strings.Fields(c.want); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestMeasure(t *testing.T) {
	cases := []struct {
		name  string
		job   jobs.Job
		took  time.Duration
		share int
		speed int64
		left  time.Duration
	}{
		{"nothing known", jobs.Job{State: jobs.Running}, time.Minute, -1, 0, 0},
		{"half way", jobs.Job{State: jobs.Running, Progress: jobs.Progress{Bytes: 600, TotalBytes: 1200}}, time.Minute, 50, 10, time.Minute},
		{"only files known", jobs.Job{State: jobs.Running, Progress: jobs.Progress{Files: 1, TotalFiles: 4}}, time.Minute, 25, 0, 0},
		{"just begun", jobs.Job{State: jobs.Running, Progress: jobs.Progress{Bytes: 10, TotalBytes: 100}}, 0, 10, 0, 0},
		{"done without counts", jobs.Job{State: jobs.Succeeded}, time.Minute, 100, 0, 0},
		{"failed on the way", jobs.Job{State: jobs.Failed, Progress: jobs.Progress{Bytes: 600, TotalBytes: 1200}}, time.Minute, 50, 10, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := jobPage{Job: c.job, Share: -1, Took: c.took}
			d.measure()
			if d.Share != c.share || d.Speed != c.speed || d.Left != c.left {
				t.Errorf("got %d%%, %d B/s, %s left; want %d%%, %d B/s, %s", d.Share, d.Speed, d.Left, c.share, c.speed, c.left)
			}
		})
	}
}

func TestSilence(t *testing.T) {
	for words, want := range map[string]bool{
		"": false, "run.log.point": false, "run.log.noanswer": true, "run.log.noanswer run.log.point": true, "run.log.noanswer run.log.answersagain": false,
	} {
		var d jobPage
		for _, key := range strings.Fields(words) {
			d.hear(jobs.Event{Type: jobs.Line, Key: key})
		}
		if d.Silent != want {
			t.Errorf("after %q: got silent %v, want %v", words, d.Silent, want)
		}
	}
}
