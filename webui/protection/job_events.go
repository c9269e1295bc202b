package protection

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"emrvault/appliance/jobs"
	"emrvault/webui/render"
)

// How often a stream speaks: a page is not helped by more, and a proxy in
// between cuts connections that are silent for long.
const (
	framesEvery = 400 * time.Millisecond
	breathEvery = 15 * time.Second
	streamTime  = 30 * time.Minute // then the browser comes again, and its rights are looked at again
)

// stream writes server-sent events.
type stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// openStream begins the answer. Streams live longer than the time a usual
// answer may take to write.
func openStream(c render.Context) (*stream, error) {
	s := &stream{c.Writer, http.NewResponseController(c.Writer)}
	if err := s.rc.SetWriteDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("lift write deadline: %w", err)
	}
	h := c.Writer.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy of the hospital should pass it on at once
	c.Writer.WriteHeader(http.StatusOK)
	s.Flush()
	return s, nil
}

// send writes one event with a block of markup as its data.
func (s *stream) send(name string, markup []byte) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\n", name)
	for line := range bytes.Lines(markup) {
		b.WriteString("data: ")
		b.Write(bytes.TrimRight(line, "\r\n"))
		b.WriteByte('\n')
	}
	if len(markup) == 0 {
		b.WriteString("data:\n")
	}
	b.WriteByte('\n')
	if _, err := s.w.Write(b.Bytes()); err != nil {
		return err
	}
	return s.rc.Flush()
}

func (s *stream) breathe() error {
	if _, err := s.w.Write([]byte(": here\n\n")); err != nil {
		return err
	}
	return s.rc.Flush()
}

// Flush sends what is there; a visitor who left is noticed by the next write.
func (s *stream) Flush() { _ = s.rc.Flush() }

// Events is GET /jobs/:id/events. Whatever happens, the visitor sees a page
// that is whole: each event carries a finished block, not a difference.
func (p *JobPages) Events(c render.Context) {
	d, ok := p.ask(c)
	if !ok {
		return
	}
	events, stop := p.jobs.Subscribe(d.ID)
	defer stop()
	s, err := openStream(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	ctx, cancel := context.WithTimeout(render.Ctx(c), streamTime)
	defer cancel()
	w := &watch{pages: p, frame: render.FrameOf(c), stream: s, id: d.ID}
	if err := w.follow(ctx, events); err != nil && ctx.Err() == nil {
		_ = c.Error(err)
	}
}

// watch follows one job for one visitor.
type watch struct {
	pages  *JobPages
	frame  *render.Frame
	stream *stream
	id     int64
	lines  int // of the log that were sent; -1 sends them again
}

func (w *watch) follow(ctx context.Context, events <-chan jobs.Event) error {
	w.lines = -1
	frames, breath := time.NewTicker(framesEvery), time.NewTicker(breathEvery)
	defer frames.Stop()
	defer breath.Stop()
	news := true // the first picture is due at once
	for {
		if news {
			ended, err := w.show(ctx)
			if err != nil || ended {
				return err
			}
			news = false
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.pages.done:
			return nil
		case <-breath.C:
			if err := w.stream.breathe(); err != nil {
				return err
			}
			continue
		case _, open := <-events:
			if !open {
				_, err := w.show(ctx)
				return err
			}
		}
		news = w.gather(ctx, events, frames)
	}
}

// gather waits for the next frame while more events come in, so that a job
// that reports a thousand files a second is drawn a few times a second.
func (w *watch) gather(ctx context.Context, events <-chan jobs.Event, frames *time.Ticker) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-w.pages.done:
			return false
		case <-frames.C:
			return true
		case _, open := <-events:
			if !open {
				return true
			}
		}
	}
}

// show sends the job as it is now; the second value says that it has ended.
func (w *watch) show(ctx context.Context) (bool, error) {
	d, err := w.pages.load(ctx, w.id, w.pages.render.Now())
	if err != nil {
		return false, err
	}
	if err := w.block("live", d); err != nil {
		return false, err
	}
	if n := len(d.Lines); n != w.lines || n == tail {
		w.lines = n
		if err := w.block("log", d); err != nil {
			return false, err
		}
	}
	if !d.State.Ended() {
		return false, nil
	}
	return true, w.stream.send("end", nil)
}

func (w *watch) block(name string, d *jobPage) error {
	text, err := w.pages.render.Text(w.frame, "protection/job", name, d)
	if err != nil {
		return err
	}
	return w.stream.send(name, text)
}
