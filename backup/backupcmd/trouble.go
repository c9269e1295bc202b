package backupcmd

import (
	"context"
	"fmt"
	"sync"
	"time"

	"emrvault/backup/storage/retry"
)

// troubleEvery is how often a person is told of trouble that lasts.
const troubleEvery = 30 * time.Second

// listening is a context whose work tells a person when a place does not
// answer, and when it does again. Otherwise a verb would look as if it hung.
func (e *Env) listening(ctx context.Context) context.Context {
	t := &trouble{env: e}
	return retry.Listen(ctx, t.hear)
}

// trouble hears of every failed attempt and tells of few.
type trouble struct {
	env *Env

	mu   sync.Mutex
	told time.Time // when it was told last; zero: all is well
}

func (t *trouble) hear(event retry.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.env.now()
	switch {
	case event.Over && !t.told.IsZero():
		t.told = time.Time{}
		t.say("cli.retry.over")
	case !event.Over && now.Sub(t.told) >= troubleEvery:
		t.told = now
		t.say("cli.retry.trouble", "error", printable(event.Err.Error()))
	}
}

// say writes on a line of its own, over what a progress bar has left there.
func (t *trouble) say(key string, args ...any) {
	begin := ""
	if t.env.Terminal {
		begin = "\r"
	}
	fmt.Fprintln(t.env.Err, begin+t.env.t(key, args...))
}
