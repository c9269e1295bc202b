package snapshot

import "slices"

// CheckpointTag marks the document that a backup under way leaves every few
// minutes: a snapshot of what it has finished so far. It keeps that data from
// being pruned and tells the next backup what need not be read again. It is no
// recovery point: List leaves it out unless it is asked for.
const CheckpointTag = "emrvault:checkpoint"

// IsCheckpoint says whether s is what an unfinished backup has left.
func (s *Snapshot) IsCheckpoint() bool { return slices.Contains(s.Tags, CheckpointTag) }
