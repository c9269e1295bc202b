package identity

import (
	"context"
	"time"

	"emrvault/appliance/store"
)

// SessionUser is the session value that carries the user's id, an int64. The
// session store reads it to know whose session a row is.
const SessionUser = "user"

// Default lengths of a session: without a request, and in all.
const (
	IdleTime     = 30 * time.Minute
	AbsoluteTime = 12 * time.Hour
)

// Sessions keeps sessions in the database for scs (it is an scs.CtxStore).
// Tokens are hashed before they reach a row.
type Sessions struct{ store *store.Store }

// NewSessions makes the session store. Use it as
//
//	m := scs.New()
//	m.Store, m.IdleTimeout, m.Lifetime = identity.NewSessions(st), identity.IdleTime, identity.AbsoluteTime
func NewSessions(st *store.Store) *Sessions { return &Sessions{store: st} }

// Clean deletes sessions that have expired.
func (s *Sessions) Clean(ctx context.Context) error { return errSoon }
