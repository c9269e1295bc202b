package storage

import (
	"errors"
	"fmt"
	"time"
)

// ErrPermanent says that the same call will fail again until a person changes
// something: a wrong secret, a clock that is off, a certificate nobody vouches
// for. Whoever repeats calls does not repeat this one. Places wrap it beside
// what happened; backup.ErrNotFound, backup.ErrStorageFull, backup.ErrReadOnly
// and backup.ErrDamaged speak for themselves and need not carry it.
var ErrPermanent = errors.New("trying again does not help")

// Throttled says that the place asked for fewer requests. Meet it with
// errors.As and a *Throttled.
type Throttled struct {
	After time.Duration // what the place wants us to wait; zero: it did not say
	Err   error         // what it said
}

// Error tells what the place said.
func (t *Throttled) Error() string {
	if t.After > 0 {
		return fmt.Sprintf("the storage asks to wait %s: %v", t.After, t.Err)
	}
	return fmt.Sprintf("the storage asks to slow down: %v", t.Err)
}

// Unwrap gives what the place said.
func (t *Throttled) Unwrap() error { return t.Err }
