// Package snapshot knows what a recovery point looks like inside: snapshots,
// the trees below them and the nodes in the trees.
//
// A snapshot is a small document: when, by whom, of which paths, and the id of
// its root tree. A tree is the list of one folder; its nodes name files (with
// the ids of their pieces), folders (with the id of the next tree), links and
// the rest. Trees are blobs, named by the hash of their bytes, so an unchanged
// folder is stored once for all time, and no tree can contain itself.
//
// The bytes are exactly those of the restic format: order of keys, what is
// omitted, how names are escaped. Trees come from repositories that anybody may
// have written; a Decoder therefore gives nodes as they are, and whoever writes
// to a disk asks CheckName first, as Walker does.
package snapshot
