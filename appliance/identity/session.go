package identity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/alexedwards/scs/v2"

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

// Sessions keeps sessions in the database for scs. Tokens are hashed before
// they reach a row, so a stolen copy of the database opens no session.
type Sessions struct{ store *store.Store }

var _ scs.CtxStore = (*Sessions)(nil)

// NewSessions makes the session store. Use it as
//
//	m := scs.New()
//	m.Store, m.IdleTimeout, m.Lifetime = identity.NewSessions(st), identity.IdleTime, identity.AbsoluteTime
func NewSessions(st *store.Store) *Sessions { return &Sessions{store: st} }

// FindCtx reads the data of a session that is alive.
func (s *Sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	err = s.store.Read(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(`SELECT data FROM sessions WHERE hash = ? AND expires > ? AND ended IS NULL`,
			hashToken(token), store.Stamp(tx.Now)).Scan(&data)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		found = err == nil
		return err
	})
	return data, found, err
}

// CommitCtx writes a session. One that was ended stays ended, whatever
// a request still under way would write.
func (s *Sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	user, err := userOf(data)
	if err != nil {
		return err
	}
	return s.store.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO sessions (hash, user, data, expires) VALUES (?, ?, ?, ?)
			ON CONFLICT (hash) DO UPDATE SET user = excluded.user, data = excluded.data, expires = excluded.expires
			WHERE ended IS NULL`, hashToken(token), user, data, store.Stamp(expiry))
		return err
	})
}

// userOf reads whose session it is; nil before sign-in.
func userOf(data []byte) (any, error) {
	_, values, err := scs.GobCodec{}.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	if id, ok := values[SessionUser].(int64); ok {
		return id, nil
	}
	return nil, nil
}

// DeleteCtx ends a session.
func (s *Sessions) DeleteCtx(ctx context.Context, token string) error {
	return s.store.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE sessions SET ended = ?, data = x'' WHERE hash = ? AND ended IS NULL`,
			store.Stamp(tx.Now), hashToken(token))
		return err
	})
}

// Find is FindCtx without a context; scs wants both.
func (s *Sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s *Sessions) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

// Delete is DeleteCtx without a context.
func (s *Sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// Sweep forgets sessions that have ended, now and every hour until ctx is done.
func (s *Sessions) Sweep(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := s.Clean(ctx); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "old sessions could not be cleared", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Clean deletes sessions that have expired; signing in does so too.
func (s *Sessions) Clean(ctx context.Context) error { return s.store.Write(ctx, clean) }
