package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"emrvault/backup"
	"emrvault/backup/storage"
	"emrvault/backup/storage/mem"
	"emrvault/backup/storage/retry"
	"emrvault/backup/storage/storagetest"
)

// vault has every ability, and fails at each first call.
type vault struct {
	storage.Storage
	calls map[string]int
}

func (v vault) first(call string) error {
	if v.calls[call]++; v.calls[call] == 1 {
		return errAway
	}
	return nil
}

func (v vault) Writable(context.Context) error { return v.first("writable") }

func (v vault) At(context.Context, time.Time) (storage.Storage, error) {
	return vault{&storagetest.Scripted{Storage: v.Storage, Script: fails(1, errAway)}, v.calls}, v.first("at")
}

func (v vault) Older(_ context.Context, _ storage.Name, fn func(time.Time, []byte) bool) error {
	v.calls["older"]++
	for _, content := range []string{"new", "old", "oldest"} {
		if !fn(time.Time{}, []byte(content)) {
			return nil
		}
		if content == "old" && v.calls["older"] == 1 {
			return errAway
		}
	}
	return nil
}

func (v vault) Period() time.Duration { return time.Hour }

func (v vault) Retention(context.Context, storage.Name) (time.Time, bool, error) {
	return time.Unix(7, 0), true, v.first("retention")
}

func (v vault) Retain(context.Context, storage.Name, time.Time) error { return v.first("retain") }

func TestAbilitiesAreAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := mem.New()
		inner.Put(document("x"), []byte("x"))
		v := vault{inner, map[string]int{}}
		st, ctx := retry.New(v, policy()), t.Context()
		if err := st.Writable(ctx); err != nil {
			t.Error(err)
		}
		if until, known, err := st.Retention(ctx, document("x")); err != nil || !known || until != time.Unix(7, 0) {
			t.Errorf("retention: got %s, %v, %v", until, known, err)
		}
		if err := st.Retain(ctx, document("x"), time.Now()); err != nil || st.Period() != time.Hour {
			t.Errorf("retain: %v", err)
		}
		view, err := st.At(ctx, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := view.Stat(ctx, document("x")); err != nil {
			t.Errorf("the view is not asked again: %v", err)
		}
		wantHistory(t, view)
		for call, n := range v.calls {
			if n != 2 {
				t.Errorf("%s was asked %d times, want 2", call, n)
			}
		}
	})
}

func wantHistory(t *testing.T, view storage.Storage) {
	t.Helper()
	history, ok := storage.As[storage.History](view)
	if !ok {
		t.Fatal("the view has no history")
	}
	var got string
	err := history.Older(t.Context(), document("x"), func(_ time.Time, data []byte) bool {
		got += string(data) + " "
		return true
	})
	if err != nil || got != "new old oldest " {
		t.Errorf("older: got %q, %v", got, err)
	}
}

func TestAPlaceWithoutAbilities(t *testing.T) {
	st, ctx := retry.New(mem.New(), policy()), t.Context()
	if err := st.Writable(ctx); err != nil {
		t.Error(err)
	}
	if st.Period() != 0 {
		t.Errorf("got a period of %s", st.Period())
	}
	if _, err := st.At(ctx, time.Now()); !errors.Is(err, backup.ErrUnsupported) {
		t.Errorf("at: got %v", err)
	}
	if _, _, err := st.Retention(ctx, document("x")); !errors.Is(err, backup.ErrUnsupported) {
		t.Errorf("retention: got %v", err)
	}
	if err := st.Retain(ctx, document("x"), time.Now()); !errors.Is(err, backup.ErrUnsupported) {
		t.Errorf("retain: got %v", err)
	}
	if err := st.Older(ctx, document("x"), nil); err != nil {
		t.Errorf("older: got %v", err)
	}
}
