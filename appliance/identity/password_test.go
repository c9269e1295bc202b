package identity

import (
	"context"
	"errors"
	"testing"

	"emrvault/appliance/errs"
)

// TestHashText reads a hash made by the reference implementation's tool: salt
// "somesalt", password "password", t=2, m=65536, p=1.
func TestHashText(t *testing.T) {
	const known = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	h := newHasher(Cost{Memory: 64, Passes: 1, Threads: 1})
	for password, want := range map[string]bool{"password": true, "Password": false, "": false} {
		if got, err := h.matches(t.Context(), password, known); err != nil || got != want {
			t.Errorf("matches(%q) = %v, %v; want %v", password, got, err, want)
		}
	}
	if !h.stale(known) {
		t.Error("a hash of another cost is not stale")
	}
}

func FuzzHashText(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$")
	f.Add("plain")
	f.Fuzz(func(t *testing.T, text string) {
		cost, salt, sum, err := parseHash(text)
		if err != nil {
			return
		}
		again, salt2, sum2, err := parseHash(cost.text(salt, sum))
		if err != nil || again != cost || string(salt) != string(salt2) || string(sum) != string(sum2) {
			t.Errorf("%q does not survive writing", text)
		}
	})
}

func TestLongQueueIsRefused(t *testing.T) {
	h := newHasher(Cost{Memory: 64, Passes: 1, Threads: 1})
	for range hashesInWait {
		h.queue <- struct{}{}
	}
	if _, err := h.hash(t.Context(), "x"); errs.KindOf(err) != errs.Busy {
		t.Errorf("hash behind a full queue: %v, want busy", err)
	}
	<-h.queue
	for range hashesAtOnce {
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.hash(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("hash with a gone visitor: %v, want cancelled", err)
	}
}
