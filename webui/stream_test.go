package webui

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"emrvault/appliance/identity"
)

// TestStream reads the live events of a job as a browser does.
func TestStream(t *testing.T) {
	h := newHouse(t)
	v := h.visitor(t).signIn("admin")
	resp, err := v.client.Do(v.request("GET", "/jobs/1/events", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream; charset=utf-8" {
		t.Fatalf("Content-Type %q", got)
	}
	events := eventsOf(resp)
	shows(t, events, "63%")
	h.jobs.read(t, 17)
	shows(t, events, "80%")
	h.jobs.finish(t)
	if got := shows(t, events, "chip-ok"); strings.Contains(got, "hx-trigger") {
		t.Errorf("the picture of an ended job asks for more: %s", got)
	}
	next(t, events, "end")
	if a := v.get("/jobs/1/live"); a.header.Get("HX-Refresh") != "true" {
		t.Error("the way without streams does not ask for the whole page at the end")
	}
}

// eventsOf parses a stream into "name\ndata" texts.
func eventsOf(resp *http.Response) <-chan string {
	out := make(chan string, 100)
	go func() {
		defer close(out)
		var one []string
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if line := lines.Text(); line != "" {
				one = append(one, strings.TrimPrefix(strings.TrimPrefix(line, "event: "), "data: "))
				continue
			}
			out <- strings.Join(one, "\n")
			one = nil
		}
	}()
	return out
}

// next waits for an event of a name, passing others over.
func next(t *testing.T, events <-chan string, name string) string {
	t.Helper()
	late := time.After(5 * time.Second)
	for {
		select {
		case e, open := <-events:
			if !open {
				t.Fatalf("the stream ended before an event %q", name)
			}
			if strings.HasPrefix(e, name+"\n") || e == name {
				return e
			}
		case <-late:
			t.Fatalf("no event %q within five seconds", name)
		}
	}
}

// shows waits until the live part of the page contains a word.
func shows(t *testing.T, events <-chan string, word string) string {
	t.Helper()
	for {
		if got := next(t, events, "live"); strings.Contains(got, word) {
			return got
		}
	}
}

// TestStop stops the server while a stream is open.
func TestStop(t *testing.T) {
	h := newHouse(t)
	v := h.visitor(t).signIn("admin")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(ctx, l) }()
	req := v.request("GET", "/jobs/1/events", nil)
	cookie := v.cookies("emrvault")
	req.URL.Host = l.Addr().String()
	req.AddCookie(&http.Cookie{Name: "emrvault", Value: cookie})
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	next(t, eventsOf(resp), "live")
	began := time.Now()
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Serve ended with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("an open stream holds up the stop")
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the stop took %s", took)
	}
}

// TestStreamEndsWithItsSession: who has signed out, lost the right or been shut
// out sees nothing more, also on a page that stands open.
func TestStreamEndsWithItsSession(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(h *house, v *visitor)
	}{
		{"signed out", func(_ *house, v *visitor) { v.post("/sign-out") }},
		{"shut out", func(h *house, _ *visitor) {
			disabled := true
			if _, err := h.people.Change(t.Context(), 2, identity.Change{Disabled: &disabled}); err != nil {
				t.Error(err)
			}
		}},
		{"another password", func(h *house, _ *visitor) {
			if err := h.people.SetPassword(t.Context(), 2, goodPassword+"!"); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			h.watch = 20 * time.Millisecond
			v := h.visitor(t).signIn("guest")
			resp, err := v.client.Do(v.request("GET", "/jobs/1/events", nil))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			events := eventsOf(resp)
			shows(t, events, "63%")
			time.Sleep(100 * time.Millisecond) // some looks at the session, which holds
			h.jobs.read(t, 17)
			shows(t, events, "80%")
			c.end(h, v)
			late := time.After(5 * time.Second)
			for open := true; open; {
				select {
				case _, open = <-events:
				case <-late:
					t.Fatal("the stream goes on")
				}
			}
		})
	}
}
