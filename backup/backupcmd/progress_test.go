package backupcmd

import (
	"strings"
	"testing"
	"time"

	"emrvault/appliance/locale"
	"emrvault/backup"
)

func TestPace(t *testing.T) {
	t.Parallel()
	at := time.Unix(1e9, 0)
	var p pace
	for i := range int64(20) {
		p.measure(at.Add(time.Duration(i)*time.Second), 10*i, 1000*i)
	}
	for _, tt := range []struct {
		name         string
		files, bytes int64
		want         time.Duration
		known        bool
	}{
		{"bytes decide", 10, 60_000, time.Minute, true},
		{"files decide", 1200, 1000, 2 * time.Minute, true},
		{"nothing left", 0, 0, 0, false},
		{"nobody lives so long", 0, 1 << 60, 0, false},
	} {
		got, known := p.left(tt.files, tt.bytes)
		if known != tt.known || known && got != tt.want {
			t.Errorf("%s: got %v, %v, want %v, %v", tt.name, got, known, tt.want, tt.known)
		}
	}
	var still pace
	still.measure(at, 0, 0)
	still.measure(at.Add(time.Second), 0, 0)
	if _, known := still.left(5, 5); known {
		t.Error("nothing has been done yet: got a forecast, want none")
	}
}

func TestLineOfTheBar(t *testing.T) {
	t.Parallel()
	b := &bar{env: &Env{Lang: locale.English, Terminal: true}, stage: backup.StageRead}
	b.files, b.bytes, b.pace = 3, 5<<20, pace{fast: 1 << 20, count: 1}
	for _, tt := range []struct {
		name      string
		all, sum  int64
		want, not []string
	}{
		{"first backup", 0, 0, []string{"3", "/s"}, []string{"%", "left"}},
		{"the parent tells", 9, 20 << 20, []string{"3 / 9", "25%", "15 s left"}, nil},
		{"more than the parent had", 2, 1 << 20, nil, []string{"%", "left"}},
	} {
		b.all, b.sum = tt.all, tt.sum
		line := b.line()
		for _, want := range tt.want {
			if !strings.Contains(line, want) {
				t.Errorf("%s: got %q, want %q in it", tt.name, line, want)
			}
		}
		for _, not := range tt.not {
			if strings.Contains(line, not) {
				t.Errorf("%s: got %q, want no %q in it", tt.name, line, not)
			}
		}
	}
	long := fitted("read  3", "/srv/emr/"+strings.Repeat("病", 100)+"/last.xml")
	if !strings.HasSuffix(long, "/last.xml") || len([]rune(long)) > lineWidth {
		t.Errorf("got %q, want the end of the name, on one line", long)
	}
}
