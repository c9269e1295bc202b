// Package sourcetest is the suite that every source passes: capture, wreck,
// recover, compare.
//
// A source's own test describes one protected thing as a Subject, which knows
// how its users change it, how its content looks to them, and how a bad day
// destroys it, and calls Run. Captures are kept by a Keeper: the Shelf in
// memory, so that a source can be built alone, or the engine itself.
//
// A Subject may have more abilities, asked for by type: one that is written
// while it is captured (Busy), one that can be damaged so that its bytes can
// still be had (Breakable).
package sourcetest

import (
	"context"
	"testing"
	"time"

	"emrvault/backup/source"
)

// Subject is one protected thing in a world the suite can drive.
type Subject interface {
	// Source is opened once and used for every capture and recovery.
	Source() source.Source

	// Change lets a user work: State differs afterwards.
	Change(ctx context.Context) error

	// State is a fingerprint of the content as users see it, live.
	State(ctx context.Context) (string, error)

	// Wreck destroys the live thing.
	Wreck(ctx context.Context) error

	// Target is a fresh, empty place to recover to, another one every time.
	Target() source.Target

	// Occupy puts something into a target that a recovery would mix with.
	Occupy(ctx context.Context, target source.Target) error

	// Recovered is the fingerprint of what was brought back to target.
	Recovered(ctx context.Context, target source.Target) (string, error)
}

// Busy is a Subject whose users go on while it is captured.
type Busy interface {
	// Write commits until ctx ends, and only then returns.
	Write(ctx context.Context) (Writes, error)

	// Sound asks what is recovered in target for what every commit keeps
	// true: a sum that is the same in two tables.
	Sound(ctx context.Context, target source.Target) error

	// Patience is the longest a commit may take beside a capture.
	Patience() time.Duration
}

// Writes tell how users fared.
type Writes struct {
	Commits int
	Longest time.Duration
}

// Breakable is a Subject that can be damaged so that it is still captured.
type Breakable interface {
	Break(ctx context.Context) error
}

// Maker makes a fresh subject; its folders are the test's.
type Maker func(t *testing.T) Subject

// Keeper turns what a source captures into a point.
type Keeper interface {
	Keep(ctx context.Context, s source.Source) (source.Point, *source.Capture, error)
}

// Run holds a source to its contract, with captures kept on a Shelf.
func Run(t *testing.T, maker Maker) {
	RunWith(t, maker, func(t *testing.T) Keeper { return NewShelf(t) })
}

// RunWith does the same with another keeper.
func RunWith(t *testing.T, maker Maker, keeper func(t *testing.T) Keeper) {
	for name, story := range map[string]func(*testing.T, Subject, Keeper){
		"check finds nothing bad":        checkIsGood,
		"two points, wreck, bring back":  wreckAndRecover,
		"wrecked is never silently fine": wreckIsTold,
		"facts are what was returned":    factsAreKept,
		"target in use is refused":       targetInUse,
		"cancelled capture ends":         cancelled,
		"captured while written":         whileWritten,
		"damaged is kept and marked":     damagedIsMarked,
	} {
		t.Run(name, func(t *testing.T) { story(t, maker(t), keeper(t)) })
	}
}
