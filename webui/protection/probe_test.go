package protection

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/locale"
	"emrvault/backup/storage/probe"
	"emrvault/webui/render"
)

// answers are all that a place can say.
func answers() (list []probe.Step) {
	needed := []string{probe.Write, probe.Read, probe.Range, probe.List, probe.Overwrite, probe.Upload, probe.Download, probe.Delete}
	offered := []string{probe.ConditionalPut, probe.Versioning, probe.ObjectLock, probe.Checksum, probe.Clock}
	for _, name := range append(needed, offered...) {
		list = append(list, probe.Step{Name: name, State: probe.OK}, probe.Step{Name: name, State: probe.Failed})
	}
	for _, name := range offered {
		for _, key := range []string{"", "no-offer", "may-not-ask"} {
			list = append(list, probe.Step{Name: name, State: probe.Unsupported, Key: key})
		}
	}
	return list
}

// TestEveryAnswerHasAMeaning: no answer of a place leaves a person with a key
// in place of words.
func TestEveryAnswerHasAMeaning(t *testing.T) {
	for _, lang := range locale.Languages() {
		f := &render.Frame{Lang: lang}
		v := probeOf(f, probe.Report{Steps: answers()}, 0)
		for _, step := range v.Steps {
			if step.Means == "" || strings.Contains(step.Means, "repositories.") {
				t.Errorf("%s: %s that is %s means %q", lang, step.Name, step.State, step.Means)
			}
		}
	}
}

// TestSpeedOfAKeptReport: a report that was kept tells the same as a new one.
func TestSpeedOfAKeptReport(t *testing.T) {
	report := probe.Report{Location: "s3:http://host/bucket", Usable: true, Steps: []probe.Step{
		{Name: probe.Upload, State: probe.OK, Key: "rate", Args: map[string]any{"bytes": int64(100 << 20)}},
		{Name: probe.ObjectLock, State: probe.OK}, {Name: probe.Clock, State: probe.Failed},
	}}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var kept probe.Report
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	f := &render.Frame{Lang: locale.Chinese}
	for name, r := range map[string]probe.Report{"new": report, "kept": kept} {
		v := probeOf(f, r, 0)
		took := locale.Chinese.Duration((terabyte / (100 << 20)) * time.Second)
		if got := v.Steps[0].Means; !strings.Contains(got, took) {
			t.Errorf("%s: a terabyte is told as %q, want %s", name, got, took)
		}
		if got := v.Steps[0].Detail; !strings.Contains(got, "100 MB") {
			t.Errorf("%s: the rate is told as %q, want 100 MB", name, got)
		}
		if len(v.Warnings) != 2 {
			t.Errorf("%s: warned of %q, want an unused lock and the clock", name, v.Warnings)
		}
	}
}
