// Package archive turns a source into a snapshot.
//
// A source hands its view to a Sink: files of this machine where they lie,
// and virtual files it streams. Local folders are walked on all cores. What
// the parent snapshot knows already, by type, size, times and inode, is taken
// over without reading; the rest is read, cut into pieces and given to the
// repository's Writer, which hashes, compresses, seals, packs and stores it.
// A folder's tree is stored as soon as the last node in it is known, so only
// the folders at work are in memory.
//
// A folder in which nothing has changed costs less still. Room recall keeps a
// book of the last snapshot on this machine; where a look at a folder shows what
// the book says, its tree stays as it is. docs/design/archive.md tells why that
// may be believed.
//
// What becomes durable becomes so in this order: packs, index, snapshot. The
// snapshot is read back by its id before Run calls it done. Whatever ends the
// work earlier leaves packs that nobody names, and the next prune collects
// them; nothing half done ever looks like a recovery point. Every few minutes a
// checkpoint keeps what is finished, so that the next run goes on from there.
package archive
