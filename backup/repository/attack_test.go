package repository_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"emrvault/backup"
	"emrvault/backup/repository"
	"emrvault/backup/repository/blob"
	"emrvault/backup/storage"
	"emrvault/backup/storage/retry"
	"emrvault/backup/storage/s3"
	"emrvault/backup/storage/s3/s3test"
)

// attacker has the credentials of the backup, as whoever took over the box.
type attacker struct {
	t        *testing.T
	settings s3.Settings
	client   *minio.Client
}

func newAttacker(t *testing.T, settings s3.Settings) attacker {
	return attacker{t, settings, s3test.Client(t, settings)}
}

// objects lists what lies in the bucket.
func (a attacker) objects(versions bool) (list []minio.ObjectInfo) {
	a.t.Helper()
	ctx, cancel := context.WithCancel(a.t.Context())
	defer cancel()
	for object := range a.client.ListObjectsIter(ctx, a.settings.Bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: versions}) {
		if object.Err != nil {
			a.t.Fatal(object.Err)
		}
		list = append(list, object)
	}
	return list
}

// overwrite lays rubbish over every second document that everybody sees.
func (a attacker) overwrite() (n int) {
	a.t.Helper()
	for i, object := range a.objects(false) {
		if i%2 == 1 {
			continue
		}
		rubbish := bytes.Repeat([]byte("LOCKED "), 20)
		if _, err := a.client.PutObject(a.t.Context(), a.settings.Bucket, object.Key, bytes.NewReader(rubbish), int64(len(rubbish)), minio.PutObjectOptions{}); err != nil {
			a.t.Fatal(err)
		}
		n++
	}
	return n
}

// destroy deletes every version he may, and hides everything else.
func (a attacker) destroy() (destroyed, refused int) {
	a.t.Helper()
	for _, object := range a.objects(true) {
		err := a.client.RemoveObject(a.t.Context(), a.settings.Bucket, object.Key, minio.RemoveObjectOptions{
			VersionID: object.VersionID, GovernanceBypass: true, ForceDelete: false,
		})
		if err == nil {
			destroyed++
		} else {
			refused++
		}
	}
	for _, object := range a.objects(false) {
		if err := a.client.RemoveObject(a.t.Context(), a.settings.Bucket, object.Key, minio.RemoveObjectOptions{}); err != nil {
			a.t.Fatal(err)
		}
	}
	return destroyed, refused
}

// shorten tries to end the locks.
func (a attacker) shorten() (succeeded int) {
	a.t.Helper()
	now, mode := time.Now().Add(time.Second), minio.Governance
	for _, object := range a.objects(false) {
		err := a.client.PutObjectRetention(a.t.Context(), a.settings.Bucket, object.Key, minio.PutObjectRetentionOptions{
			Mode: &mode, RetainUntilDate: &now, GovernanceBypass: true, VersionID: object.VersionID,
		})
		if err == nil {
			succeeded++
		}
	}
	return succeeded
}

// lockedBucket is a bucket with object lock, and a repository in it.
func lockedBucket(t *testing.T) (s3.Settings, storage.Storage) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts an S3 server and waits for its clock: run without -short")
	}
	settings := s3test.Start(t).Settings(t, s3test.Locking)
	settings.Lock = time.Hour
	return settings, retry.New(s3test.Open(t, settings), retry.Attended())
}

// tick lets the server's clock, which counts seconds, go on.
func tick() time.Time {
	time.Sleep(1100 * time.Millisecond)
	now := time.Now()
	time.Sleep(1100 * time.Millisecond)
	return now
}

func TestTheDayAfterAnAttack(t *testing.T) {
	settings, st := lockedBucket(t)
	r := create(t, st, repository.WithPackSize(50_000))
	files := writeSnapshot(t, r, sample(1, 60))
	quiet := tick()

	evil := newAttacker(t, settings)
	if n := evil.shorten(); n > 0 {
		t.Errorf("%d locks were shortened", n)
	}
	overwritten := evil.overwrite()
	rubbish := tick() // the attack was begun but not noticed yet
	destroyed, refused := evil.destroy()
	t.Logf("overwritten %d, destroyed %d, refused %d", overwritten, destroyed, refused)
	if refused == 0 || destroyed == 0 {
		t.Errorf("%d versions destroyed, %d refused; want some of each, or this proves nothing", destroyed, refused)
	}
	if left := evil.objects(false); len(left) != 0 {
		t.Errorf("after the attack %d objects are seen", len(left))
	}
	if _, err := repository.Open(t.Context(), st, password); !errors.Is(err, backup.ErrNoRepository) {
		t.Errorf("after the attack: got %v", err)
	}

	for _, tt := range []struct {
		name string
		to   time.Time
	}{{"before the attack", quiet}, {"while rubbish lay on top", rubbish}} {
		t.Run(tt.name, func(t *testing.T) {
			place := localRepo(t)
			report, err := repository.Rewind(t.Context(), st, password, tt.to, place, nil, cheap())
			if err != nil {
				t.Fatal(err)
			}
			if !report.Sound() || len(report.Snapshots) != 1 || len(report.Rubbish) != 0 {
				t.Errorf("got %+v", report)
			}
			wantFindings(t, open(t, place), true, nil, nil)
			stock := newRestic(t, place.Location())
			stock.run(t, "", "check", "--read-data")
			wantRestored(t, stock, files)
		})
	}
}

func TestLocksOnAServer(t *testing.T) {
	settings, st := lockedBucket(t)
	r := create(t, st, repository.WithCache(t.TempDir(), 1<<20))
	write(t, r, sample(1, 20))
	now := time.Now()
	report, err := r.Protect(t.Context(), now, nil)
	if err != nil || report.Documents < 4 || report.Asked != report.Documents || report.Extended != 0 {
		t.Errorf("at once: got %+v, %v; want everything asked and nothing extended", report, err)
	}
	report, err = r.Protect(t.Context(), now.Add(40*time.Minute), nil)
	if err != nil || report.Extended != report.Documents {
		t.Errorf("after 40 minutes of an hour: got %+v, %v; want everything extended", report, err)
	}
	retainer, _ := storage.As[storage.Retainer](st)
	for _, name := range names(t, st, storage.Pack) {
		until, known, err := retainer.Retention(t.Context(), name)
		if err != nil || !known || until.Sub(now) < 99*time.Minute {
			t.Errorf("%s is locked until %s (%v, %v), want 100 minutes from now", name, until, known, err)
		}
	}
	pruned, err := r.Prune(t.Context(), fixed{blob.NewSet()}, repository.PruneOptions{}, nil)
	if err != nil || pruned.PacksRemoved == 0 {
		t.Errorf("prune where everything is locked: got %+v, %v", pruned, err)
	}
	if left := names(t, st, storage.Pack); len(left) != 0 {
		t.Errorf("%d packs are still seen", len(left))
	}
	beneath := 0
	for _, object := range newAttacker(t, settings).objects(true) {
		if strings.HasPrefix(object.Key, "data/") && !object.IsDeleteMarker {
			beneath++
		}
	}
	if beneath == 0 {
		t.Error("the packs are gone; a delete marker was wanted")
	}
}
