package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"emrvault/backup/storage"
	"emrvault/backup/storage/probe"
)

var _ probe.Prober = (*Storage)(nil)

// Probe answers what only S3 servers can be asked.
func (s *Storage) Probe(ctx context.Context, _ func() time.Time) []probe.Step {
	return []probe.Step{
		probe.Ask(probe.ConditionalPut, func() probe.Answer { return s.tryCondition(ctx) }),
		probe.Ask(probe.Versioning, func() probe.Answer { return s.askVersions(ctx) }),
		probe.Ask(probe.ObjectLock, func() probe.Answer { return s.tryLock(ctx) }),
		probe.Ask(probe.Checksum, func() probe.Answer { return s.tryChecksum(ctx) }),
		probe.Ask(probe.Clock, s.askClock),
	}
}

// trialDocument is small and new, named by its hash.
func trialDocument() (name storage.Name, data []byte) {
	data = []byte(rand.Text())
	sum := sha256.Sum256(data)
	return storage.Name{Kind: storage.Scratch, ID: hex.EncodeToString(sum[:])}, data
}

func lacking(key, text string) probe.Answer {
	return probe.Answer{State: probe.Unsupported, Key: key, Text: text}
}

func (s *Storage) answer(ctx context.Context, what string, err error) probe.Answer {
	if err == nil {
		return probe.Told(nil)
	}
	return probe.Told(s.told(ctx, what, err))
}

// tryCondition writes twice what may be written once.
func (s *Storage) tryCondition(ctx context.Context) probe.Answer {
	name, data := trialDocument()
	options := minio.PutObjectOptions{DisableContentSha256: true}
	options.SetMatchETagExcept("*")
	var err error
	for range 2 {
		if _, err = s.core.PutObject(ctx, s.settings.Bucket, s.key(name), bytes.NewReader(data), int64(len(data)), "", name.ID, options); err != nil {
			break
		}
	}
	var res minio.ErrorResponse
	switch {
	case err == nil:
		return lacking("no-condition", "the server writes all the same; two that begin a repository at the same moment are not told apart")
	case errors.As(err, &res) && res.StatusCode == http.StatusPreconditionFailed:
		return probe.Told(nil)
	}
	return s.answer(ctx, "conditional put", err)
}

func (s *Storage) askVersions(ctx context.Context) probe.Answer {
	state, err := s.core.GetBucketVersioning(ctx, s.settings.Bucket)
	switch {
	case err == nil && state.Enabled():
		return probe.Told(nil)
	case err == nil:
		return lacking("no-versions", "the bucket keeps no versions: what an attacker overwrites or deletes cannot be brought back")
	case isDenied(err):
		return lacking("may-not-ask", "this key may not ask for it")
	}
	return s.answer(ctx, "versions of the bucket", err)
}

// A trial is locked long enough to try to delete it; on a line so slow that the
// lock may have ended before, once more and for longer.
const (
	trialLock    = 4 * time.Second
	longestTrial = 64 * time.Second
)

// tryLock locks a document for a moment and tries to delete it. There are
// servers that take a lock with thanks and do not keep it.
func (s *Storage) tryLock(ctx context.Context) probe.Answer {
	if err := s.lockable(ctx); err != nil {
		if errors.Is(err, storage.ErrPermanent) {
			return lacking("no-lock", "the bucket has no object lock: whoever has the key can delete every backup")
		}
		return probe.Told(err)
	}
	for lock := trialLock; ; lock *= 4 {
		answer, inTime := s.tryLockFor(ctx, lock)
		if inTime || lock >= longestTrial || ctx.Err() != nil {
			return answer
		}
	}
}

// tryLockFor locks a document for so long. Unless it came in time, the answer
// may only mean that the lock has ended.
func (s *Storage) tryLockFor(ctx context.Context, lock time.Duration) (a probe.Answer, inTime bool) {
	name, data := trialDocument()
	began := time.Now()
	options := minio.PutObjectOptions{
		DisableContentSha256: true, Mode: minio.Compliance, RetainUntilDate: s.serverTime().Add(lock).Truncate(time.Second),
	}
	done, err := s.core.PutObject(ctx, s.settings.Bucket, s.key(name), bytes.NewReader(data), int64(len(data)), sumForLock(options, data), name.ID, options)
	if err == nil {
		err = s.core.RemoveObject(ctx, s.settings.Bucket, s.key(name), minio.RemoveObjectOptions{VersionID: done.VersionID})
		a = s.lockAnswer(ctx, done.VersionID, err)
	} else {
		a = s.answer(ctx, "lock a document", err)
	}
	// The server's clock is known to a second, and the date has none below it.
	return a, a.State == probe.OK || time.Since(began) < lock-2*time.Second
}

// lockAnswer is what the attempt to delete a locked version shows.
func (s *Storage) lockAnswer(ctx context.Context, version string, err error) probe.Answer {
	var res minio.ErrorResponse
	switch {
	case err == nil && version != "":
		return probe.Answer{State: probe.Failed, Key: "lock-broken", Text: "the server took a lock, and deleted the locked version all the same: it protects nothing"}
	case err == nil:
		return lacking("no-lock", "the bucket has no object lock: whoever has the key can delete every backup")
	case errors.As(err, &res) && res.StatusCode >= 400 && res.StatusCode < 500:
		return probe.Told(nil)
	}
	return s.answer(ctx, "delete what is locked", err)
}

// tryChecksum sends a checksum behind the bytes. Servers that do not know this
// refuse it, or keep the wrapping as if it were part of the document.
func (s *Storage) tryChecksum(ctx context.Context) probe.Answer {
	settings := s.settings
	settings.TrailingHeaders = true
	trial, err := Open(ctx, settings)
	if err != nil {
		return probe.Told(err)
	}
	defer trial.Close()
	name, data := trialDocument()
	options := minio.PutObjectOptions{DisableContentSha256: true}
	_, err = trial.core.PutObject(ctx, s.settings.Bucket, s.key(name), bytes.NewReader(data), int64(len(data)), "", "", options)
	var res minio.ErrorResponse
	if errors.As(err, &res) && ctx.Err() == nil {
		return lacking("no-checksum", "the server refuses checksums behind the bytes; leave them off")
	}
	if err != nil {
		return s.answer(ctx, "checksum behind the bytes", err)
	}
	got, err := s.Load(ctx, name, nil, 0, -1)
	if err == nil && !bytes.Equal(got, data) {
		return lacking("no-checksum", "the server keeps the checksum as a part of the document; leave them off")
	}
	return probe.Told(err)
}

// clockTolerance is how far clocks may differ. Signatures hold for a quarter of
// an hour, but locks and the times of versions are judged by them, too.
const clockTolerance = time.Minute

func (s *Storage) askClock() probe.Answer {
	skew, known := s.Skew()
	off := skew.Abs().Round(time.Second)
	switch {
	case !known:
		return lacking("no-clock", "the server does not tell the time")
	case off > clockTolerance:
		return probe.Answer{
			State: probe.Failed, Key: "clock-off", Args: map[string]any{"off": off.String()},
			Text: fmt.Sprintf("this machine's clock and the server's differ by %s; set the clock right", off),
		}
	}
	return probe.Told(nil)
}

// Tidy removes what probes have left, every version of it. What is still
// locked for a moment is waited for, but not what this key may never remove.
// Whatever else lies in that folder is not ours: the bucket may have been
// somebody's before it is probed.
func (s *Storage) Tidy(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		stays, err := s.tidy(ctx)
		if !stays || attempt > 8 {
			return err
		}
		select {
		case <-time.After(trialLock / 4):
		case <-ctx.Done():
			return err
		}
	}
}

// tidy tells whether something could be seen but not removed.
func (s *Storage) tidy(ctx context.Context) (stays bool, err error) {
	listing, cancel := context.WithCancel(ctx)
	defer cancel()
	options := minio.ListObjectsOptions{Prefix: s.folder() + string(storage.Scratch) + "/", Recursive: true, WithVersions: true}
	for object := range s.core.ListObjectsIter(listing, s.settings.Bucket, options) {
		if object.Err != nil {
			return false, s.told(ctx, "look for what a probe left", object.Err)
		}
		if _, ours := s.parse(storage.Scratch, object.Key); !ours {
			continue
		}
		left := s.core.RemoveObject(ctx, s.settings.Bucket, object.Key, minio.RemoveObjectOptions{VersionID: object.VersionID})
		if left != nil {
			stays, err = true, s.written(ctx, "remove what a probe left", left)
		}
	}
	return stays, err
}
