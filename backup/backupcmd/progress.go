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

const lineWidth = 78

func (b *bar) print() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stage == "" {
		return
	}
	l := b.env.Lang
	line := fmt.Sprintf("%s  %s / %s  %s / %s", l.T("stage."+b.stage), l.Number(b.files), l.Number(max(b.all, b.files)),
		l.Bytes(b.bytes), l.Bytes(max(b.sum, b.bytes)))
	if b.sum > 0 && b.bytes <= b.sum {
		line += fmt.Sprintf("  %d%%", 100*b.bytes/b.sum)
	}
	if b.env.Terminal {
		b.wipe()
	}
	b.width = min(2*len([]rune(line)), 2*lineWidth)
	fmt.Fprint(b.env.Err, line+b.end)
}

// Stage begins a stage.
func (b *bar) Stage(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stage != name {
		b.stage, b.files, b.bytes, b.all, b.sum = name, 0, 0, 0, 0
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
