package backupcmd

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"emrvault/backup"
)

// bar shows on Err how far the work is: on a terminal one line that is written
// over, elsewhere a line every few seconds. Problems are always told.
type bar struct {
	env   *Env
	show  bool
	every time.Duration
	end   string // of a line

	mu         sync.Mutex
	stage      string
	current    string
	files, all int64
	bytes, sum int64
	pace       pace
	width      int
	stop       chan struct{}
	stopped    sync.WaitGroup
}

// progress starts a bar; call done when the work has ended.
func (e *Env) progress(asked bool) *bar {
	b := &bar{env: e, show: e.Terminal || asked, every: 200 * time.Millisecond, end: "\r", stop: make(chan struct{})}
	if !e.Terminal {
		b.every, b.end = 5*time.Second, "\n"
	}
	if b.show {
		b.stopped.Go(b.run)
	}
	return b
}

func (b *bar) run() {
	tick := time.NewTicker(b.every)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
			b.print()
		}
	}
}

// done ends the bar and wipes its line.
func (b *bar) done() {
	close(b.stop)
	b.stopped.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wipe()
}

func (b *bar) wipe() {
	if b.show && b.env.Terminal && b.width > 0 {
		fmt.Fprint(b.env.Err, "\r"+strings.Repeat(" ", b.width)+"\r")
		b.width = 0
	}
}

// pace is how fast the work has gone lately. Old measurements fade out within
// about ten, so that one slow file does not change all of the forecast.
type pace struct {
	at           time.Time
	files, bytes int64   // then
	fast         float64 // bytes a second
	count        float64 // files a second
}

const fading = 0.2

func (p *pace) measure(now time.Time, files, bytes int64) {
	if p.at.IsZero() {
		*p = pace{at: now, files: files, bytes: bytes}
		return
	}
	seconds := now.Sub(p.at).Seconds()
	if seconds < 0.05 {
		return
	}
	fast, count := float64(bytes-p.bytes)/seconds, float64(files-p.files)/seconds
	if p.fast == 0 && p.count == 0 {
		p.fast, p.count = fast, count
	}
	p.fast += fading * (fast - p.fast)
	p.count += fading * (count - p.count)
	p.at, p.files, p.bytes = now, files, bytes
}

// left is how long the rest will take: as long as the slower of bytes and files.
// Nothing is said as long as nobody knows how much there is.
func (p *pace) left(files, bytes int64) (time.Duration, bool) {
	var seconds float64
	if bytes > 0 && p.fast > 0 {
		seconds = float64(bytes) / p.fast
	}
	if files > 0 && p.count > 0 {
		seconds = max(seconds, float64(files)/p.count)
	}
	const forever = 100 * 24 * 3600
	return time.Duration(seconds * float64(time.Second)).Round(time.Second), seconds >= 1 && seconds < forever
}

const lineWidth = 78

func (b *bar) print() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stage == "" {
		return
	}
	b.pace.measure(time.Now(), b.files, b.bytes)
	line := b.line()
	if b.env.Terminal {
		b.wipe()
		line = fitted(line, b.current)
	}
	b.width = min(2*len([]rune(line)), 2*lineWidth)
	fmt.Fprint(b.env.Err, line+b.end)
}

func (b *bar) line() string {
	l := b.env.Lang
	line := fmt.Sprintf("%s  %s", l.T("stage."+b.stage), l.Number(b.files))
	if b.all > b.files {
		line += " / " + l.Number(b.all)
	}
	line += "  " + l.Bytes(b.bytes)
	if b.sum > b.bytes {
		line += " / " + l.Bytes(b.sum)
	}
	if b.sum > 0 && b.bytes <= b.sum {
		line += fmt.Sprintf("  %d%%", 100*b.bytes/b.sum)
	}
	if b.pace.fast >= 1 {
		line += "  " + l.T("cli.progress.rate", "rate", l.Bytes(int64(b.pace.fast)))
	}
	if b.sum > 0 || b.all > b.files {
		if left, known := b.pace.left(b.all-b.files, b.sum-b.bytes); known {
			line += "  " + l.T("cli.progress.left", "time", l.Duration(left))
		}
	}
	return line
}

// fitted adds the end of the current name, as far as there is room for it.
func fitted(line, current string) string {
	room := lineWidth - 2*len([]rune(line)) // wide signs take two places
	if len(line) == len([]rune(line)) {
		room = lineWidth - len(line)
	}
	name := []rune(printable(current))
	if room < 16 || len(name) == 0 {
		return line
	}
	if most := (room - 3) / 2; len(name) > most {
		name = append([]rune("…"), name[len(name)-most+1:]...)
	}
	return line + "  " + string(name)
}

// Stage begins a stage.
func (b *bar) Stage(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stage != name {
		b.stage, b.files, b.bytes, b.all, b.sum, b.pace, b.current = name, 0, 0, 0, 0, pace{}, ""
	}
}

// Total tells how much there is.
func (b *bar) Total(files, bytes int64) {
	b.mu.Lock()
	b.all, b.sum = files, bytes
	b.mu.Unlock()
}

// Add tells what has been done.
func (b *bar) Add(files, bytes int64) {
	b.mu.Lock()
	b.files, b.bytes = b.files+files, b.bytes+bytes
	b.mu.Unlock()
}

// Current names what is at work.
func (b *bar) Current(name string) {
	b.mu.Lock()
	b.current = name
	b.mu.Unlock()
}

// Problem is told at once, whether or not progress is shown.
func (b *bar) Problem(name string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wipe()
	fmt.Fprintln(b.env.Err, b.env.t("cli.problem", "name", printable(name), "error", err.Error()))
}

// printable shows a name on one line whatever bytes it has.
func printable(name string) string {
	for _, r := range name {
		if r < 0x20 || r == 0x7f || r == '\ufffd' {
			return fmt.Sprintf("%q", name)
		}
	}
	return name
}

var _ backup.Progress = (*bar)(nil)
