package run

import (
	"context"
	"errors"
	"testing"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
)

// answers is a copy that gives the same answer to every question.
type answers struct {
	err   error
	asked int
}

func (a *answers) LoadBlob(context.Context, blob.Handle, []byte) ([]byte, error) {
	a.asked++
	return []byte("x"), a.err
}

// A second copy that falls silent while a repository is healed is asked once:
// every question holds up the backups that wait for the lock.
func TestSilentCopyIsAskedOnce(t *testing.T) {
	silent, lacking, own := &answers{err: errors.New("no route")}, &answers{err: backup.ErrNotFound}, &answers{}
	told := 0
	s := &sources{
		others: []repository.Source{silent, lacking}, own: own,
		silent: map[int]bool{}, tell: func(string, error) { told++ },
	}
	for range 3 {
		if _, err := s.LoadBlob(t.Context(), blob.Handle{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if silent.asked != 1 || lacking.asked != 3 || own.asked != 3 || told != 1 {
		t.Errorf("asked %d, %d and %d times, told %d times; want 1, 3, 3 and 1", silent.asked, lacking.asked, own.asked, told)
	}
}
