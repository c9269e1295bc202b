// Package backup holds the words of the backup wing: the errors a person can
// act on, the stages of work, how progress is told, and how far a recovery
// point has been proven. It imports nothing of the house, so every room above
// and below may use the same words.
package backup

import (
	"errors"
	"time"
)

// Errors that a caller acts on. They are wrapped with what was being done and
// to what; meet them with errors.Is. The command line maps them to its exit
// codes.
var (
	// ErrNoRepository says that nothing at the place looks like a repository.
	ErrNoRepository = errors.New("no repository there")
	// ErrRepositoryExists says that a new repository would overwrite one.
	ErrRepositoryExists = errors.New("a repository is there already")
	// ErrLocked says that another process holds a lock in the way.
	ErrLocked = errors.New("repository is locked")
	// ErrLockLost says that our own lock could not be refreshed in time, so
	// the work it guarded had to stop.
	ErrLockLost = errors.New("repository lock was lost")
	// ErrWrongPassword says that no key of the repository opens with the word.
	ErrWrongPassword = errors.New("wrong password or no key found")
	// ErrDamaged says that stored bytes are not what they must be.
	ErrDamaged = errors.New("damaged")
	// ErrNotFound says that the named thing does not exist.
	ErrNotFound = errors.New("not found")
	// ErrIncomplete says that the work was done, but some sources could not
	// be read; the recovery point exists and says so.
	ErrIncomplete = errors.New("some sources could not be read")
	// ErrStorageFull says that there is no room left where packs rest.
	ErrStorageFull = errors.New("storage is full")
	// ErrReadOnly says that the storage cannot be written.
	ErrReadOnly = errors.New("storage is read-only")
	// ErrTargetNotEmpty says that a restore would mix with what lies there.
	ErrTargetNotEmpty = errors.New("target is not empty")
	// ErrUnsafe says that a foreign repository names a place outside the target.
	ErrUnsafe = errors.New("unsafe name")
	// ErrUnsupported says honestly that this version cannot do it.
	ErrUnsupported = errors.New("not supported")
	// ErrInvalid says that what was asked is wrong in itself.
	ErrInvalid = errors.New("invalid")
)

// Stages of work, in the order they are met. They are keys of the texts
// ("stage.read"), so pages and terminals name them alike.
const (
	StageCheck   = "check"   // environment, rights, free space
	StageCapture = "capture" // the source makes a consistent copy
	StageRead    = "read"    // source is read, cut, packed and stored
	StageIndex   = "index"   // index and snapshot become durable
	StageRecord  = "record"  // the recovery point is read back and written down
	StageExpire  = "expire"  // retention
	StagePrune   = "prune"   // packs nobody needs any more
	StageProtect = "protect" // documents are locked against deletion for longer
	StageRestore = "restore" // snapshot to target
	StageVerify  = "verify"  // target or repository against the snapshot
	StageAssert  = "assert"  // a drill's own questions
	StageClean   = "clean"   // scratch is deleted
)

// Progress hears how far a piece of work has come. The engine knows neither
// terminal nor page. All methods may be called from many goroutines and must
// return quickly.
type Progress interface {
	// Stage says that the named stage begins.
	Stage(name string)
	// Total tells how much there is to do; a later call replaces an earlier
	// one, because a walk learns while it works.
	Total(files, bytes int64)
	// Add tells how much has been done since the last call.
	Add(files, bytes int64)
	// Current names the file or object at work.
	Current(name string)
	// Problem reports something that could not be read or checked; the work
	// goes on.
	Problem(name string, err error)
}

// Silent is a Progress that hears nothing.
type Silent struct{}

// Stage does nothing.
func (Silent) Stage(string) {}

// Total does nothing.
func (Silent) Total(int64, int64) {}

// Add does nothing.
func (Silent) Add(int64, int64) {}

// Current does nothing.
func (Silent) Current(string) {}

// Problem does nothing.
func (Silent) Problem(string, error) {}

// Proof tells how far a recovery point has been shown to restore.
type Proof string

const (
	// Unproven 未验证: nothing of the point has been restored yet.
	Unproven Proof = "unproven"
	// PartlyProven 部分验证: a stated share was restored and checked.
	PartlyProven Proof = "partial"
	// Proven 已验证: all of it was restored and checked.
	Proven Proof = "proven"
)

// RecoveryPoint 恢复点 names one moment to which a source can be brought back.
type RecoveryPoint struct {
	Snapshot string    // id in the repository, 64 hex digits
	Source   string    // name of the source, a tag of the snapshot
	AsOf     time.Time // the moment as of which the point is complete, UTC
	Proof    Proof
	Percent  int // share restored and checked, 0..100
}
