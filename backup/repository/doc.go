// Package repository keeps blobs in a restic repository, format version 2.
//
// Three words explain it. A blob is a piece of a file or the list of a folder;
// its name is the SHA-256 of its plaintext, so the same bytes are kept once. A
// pack is a file of some 16 MiB with many sealed blobs. The index is a list of
// which blob lies where in which pack.
//
//	config          one document: version and identity of the repository
//	keys/<id>       the master key, sealed with a password each
//	data/ab/<id>    packs
//	index/<id>      what lies in them
//	snapshots/<id>  entry points: one backup each
//	locks/<id>      who is at work
//
// Everything but the keys is sealed with the master key; every file is named
// by the SHA-256 of its bytes, written once, and never changed.
//
// Writing: Write gives a Writer; its Save hashes, passes over what is known,
// and sends the rest through compressing, sealing, verifying and packing on all
// cores. Packs become durable first, then the index files that list them, then,
// written by others, the snapshot that needs them. Removing goes the other way
// round. So a crash leaves at worst packs that nobody lists, and Prune collects
// those. A pack is never listed before it is durable, nor a blob counted as
// present before an index file says so.
//
// Reading: LoadIndex, then LoadBlob or LoadPack. What comes out has been
// proven: the seal, the length, the hash. When one copy of a blob is damaged
// the others are tried.
//
// Locking: as in restic, by files that are refreshed every five minutes. Lock
// hands out a context; when the lock is lost, it ends, and with it the work.
// On read-only media no lock can be written and none is needed.
//
// Foreign bytes are not trusted: lengths are bounded before memory is spent on
// them, frames cannot expand beyond what was announced, and every damage is an
// error that wraps backup.ErrDamaged and names the document.
package repository
