package jobs

import "sync"

// room is how many events a subscriber may be behind before the oldest is
// dropped.
const room = 64

// hub hands events to subscribers and never waits for one.
type hub struct {
	mu   sync.Mutex
	subs map[int64]map[chan Event]struct{} // by job; 0: all jobs
}

func newHub() *hub { return &hub{subs: map[int64]map[chan Event]struct{}{}} }

func (h *hub) join(id int64) (<-chan Event, func()) {
	ch := make(chan Event, room)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subs[id] == nil {
		h.subs[id] = map[chan Event]struct{}{}
	}
	h.subs[id][ch] = struct{}{}
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.drop(id, ch)
	}
}

// drop closes a channel once.
func (h *hub) drop(id int64, ch chan Event) {
	if _, in := h.subs[id][ch]; !in {
		return
	}
	delete(h.subs[id], ch)
	if len(h.subs[id]) == 0 {
		delete(h.subs, id)
	}
	close(ch)
}

// publish sends an event; the last one of a job closes its channels.
func (h *hub) publish(e Event, last bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.subs[0] {
		send(ch, e)
	}
	for ch := range h.subs[e.Job] {
		send(ch, e)
		if last {
			h.drop(e.Job, ch)
		}
	}
}

// send makes room by dropping the oldest event. The caller holds the hub, so
// nobody else sends meanwhile and the loop ends.
func send(ch chan Event, e Event) {
	for {
		select {
		case ch <- e:
			return
		default:
		}
		select {
		case <-ch:
		default:
		}
	}
}
