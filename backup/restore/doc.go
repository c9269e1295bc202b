// Package restore brings a snapshot back: into a folder, as one file, as a tar
// or zip stream, or as the Point a source recovers from.
//
// A restore into a folder goes in this order. The trees are walked, those of
// the next folders read ahead; folders are made, open to nobody else; files are
// gathered in batches. For each batch every pack is fetched once, several at a
// time, and each proven piece is written to all places that want it, through
// one descriptor a file, which also sets the file's owner, mode, attributes and
// time. A file of one piece is opened, written and closed in one go; where the
// target adds nothing of its own it is born with its owner and mode. Then come
// hard links, symbolic links and the rest of the batch, and the metadata of the
// folders that the walk has left, the deepest first.
//
// A restore is not done before the disk has it. On Linux one syncfs at the end
// stands for an fsync of every file; elsewhere each file is synced before it is
// closed. Only a temporary target, as that of a drill, does without.
//
// A restore that was broken off, by a person, a fault or a power cut, goes on
// when it is run again. A mark in the target, durable before anything else and
// removed after everything else, says which restore is under way. What stands
// there with the size and time of the snapshot is right, as the time is set
// last; of a large file that is not, only the wrong pieces are written. After a
// new start of the machine, or a new mount, sizes and times prove nothing, because the disk may
// have got them without the content: then the hashes of the pieces decide.
//
// A repository may have been made by anybody. Whatever its trees say, nothing
// is written outside the target: every folder is opened by one name from the
// one above it and never through a link (or by os.Root, where a call needs a
// path), names that no file system hands out are refused, and a file that has
// another name is replaced and not written into.
//
// The memory of a restore is bounded, whatever the snapshot: two batches of at
// most 32,768 entries and 131,072 pieces with their metadata (some 30 MiB each),
// 32 MiB of trees read ahead, for each pack in flight 4 MiB sealed and its
// longest blob in plain, the entries of the folders from the top down to where
// the walk is, and one entry for each file with several names. Packs in flight
// are two more than processors, or twelve where the storage is far away; those
// with blobs of more than 64 MiB, which nobody makes, are read one at a time.
//
// A target may hold less than the snapshot has: FAT knows no owners, modes,
// links and second names, a share takes README and readme for the same, ext4
// has 4 KiB for attributes. The content is restored all the same, under names
// that stay apart, and what was left out is told.
package restore
