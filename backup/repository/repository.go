package repository

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
	"emrvault/backup/repository/cache"
	"emrvault/backup/repository/chunk"
	"emrvault/backup/repository/crypto"
	"emrvault/backup/repository/index"
	"emrvault/backup/repository/pack"
	"emrvault/backup/storage"
)

// Repository is an opened repository. All methods may be called from many
// goroutines at once.
type Repository struct {
	storage  storage.Storage
	settings settings
	codec    *codec
	config   config
	key      *crypto.Key // the master key
	table    *chunk.Table
	buffers  sync.Pool // of *loadBuffers

	cache *cache.Cache // nil: none
	trees *treeCache   // nil: trees are read where they lie

	keyMu sync.Mutex
	keyID string // the key file that opened the repository

	// landing is held for reading while an index file is written and its packs
	// become known, and for writing while the whole index is read anew, so
	// that no pack falls between the two.
	landing sync.RWMutex
	known   atomic.Pointer[index.Index]
}

// Option changes how a repository is made or opened.
type Option func(*settings)

type settings struct {
	verify   Verify
	effort   Compression
	kdf      crypto.KDF
	packSize int
	uploads  int // 0: as the storage asks

	cacheDir   string
	cacheLimit int64
}

// Verify says how many fresh blobs are opened again before they are stored.
type Verify int

const (
	// VerifyFull opens and expands every fresh blob and compares it, by a
	// checksum taken before the blob got its name, with what was to be stored.
	// So it finds whatever memory and processor do to the bytes on their way
	// into a pack. A name computed wrongly it finds for one blob in sixteen,
	// which is hashed once more.
	VerifyFull Verify = iota
	// VerifySampled opens, expands and hashes one blob in sixteen.
	VerifySampled
	// VerifyOff trusts the machine.
	VerifyOff
)

// WithVerify chooses how fresh blobs are verified; VerifyFull if not given.
func WithVerify(v Verify) Option { return func(s *settings) { s.verify = v } }

// ParseVerify reads the word a person chose: full, sampled or off.
func ParseVerify(word string) (Verify, error) {
	switch word {
	case "full":
		return VerifyFull, nil
	case "sampled":
		return VerifySampled, nil
	case "off":
		return VerifyOff, nil
	}
	return 0, fmt.Errorf("read back %q: %w", word, backup.ErrInvalid)
}

// WithCompression chooses how hard fresh blobs are compressed;
// CompressFastest if not given. What is stored already stays as it is, and format version 1 knows no
// compression at all.
func WithCompression(c Compression) Option { return func(s *settings) { s.effort = c } }

// WithUploads chooses how many packs are stored at the same time; as many as
// the storage asks for if not given, and one if it does not ask. Each takes the
// memory of a pack.
func WithUploads(n int) Option { return func(s *settings) { s.uploads = max(1, min(n, maxUploads)) } }

// WithKDF chooses the cost of passwords that are made from now on. It is for
// tests; crypto.DefaultKDF is right for people.
func WithKDF(kdf crypto.KDF) Option { return func(s *settings) { s.kdf = kdf } }

// WithPackSize chooses the length at which a pack is ended; pack.Target if not
// given. A larger pack means fewer files and more memory.
func WithPackSize(bytes int) Option {
	return func(s *settings) { s.packSize = max(1, min(bytes, 128<<20)) }
}

// WithCache keeps what was read of the repository in a folder of this machine,
// sealed, in at most so many bytes. Without it nothing is kept.
func WithCache(dir string, limit int64) Option {
	return func(s *settings) { s.cacheDir, s.cacheLimit = dir, limit }
}

func newRepository(st storage.Storage, opts []Option) (*Repository, error) {
	r := &Repository{
		storage:  st,
		settings: settings{kdf: crypto.DefaultKDF(), packSize: pack.Target, effort: CompressFastest},
	}
	r.setIndex(index.New())
	for _, opt := range opts {
		opt(&r.settings)
	}
	var err error
	r.codec, err = newCodec(r.settings.effort, runtime.GOMAXPROCS(0))
	return r, err
}

// chunkPurpose must never change, or nothing would deduplicate any more.
const chunkPurpose = "emrvault chunk table, version 1"

func (r *Repository) setKey(master *crypto.Key, id string) {
	r.key, r.keyID = master, id
	r.table = chunk.NewTable(master.Secret(chunkPurpose))
}

// ID is the random identity of the repository, 64 hex digits.
func (r *Repository) ID() string { return r.config.ID }

// Version is the format version: 2, or 1 in old repositories, which stay
// uncompressed.
func (r *Repository) Version() uint { return r.config.Version }

// Storage is the place where the repository rests.
func (r *Repository) Storage() storage.Storage { return r.storage }

// ChunkTable is the secret table that decides where files are cut.
func (r *Repository) ChunkTable() *chunk.Table { return r.table }

// Cache is what this machine remembers of the repository; nil when nothing.
func (r *Repository) Cache() *cache.Cache { return r.cache }

// Close releases the storage.
func (r *Repository) Close() error {
	if err := r.codec.close(); err != nil {
		return err
	}
	return r.storage.Close()
}

func (r *Repository) index() *index.Index { return r.known.Load() }

func (r *Repository) setIndex(x *index.Index) { r.known.Store(x) }

// Has tells whether a blob is durable in the repository: its pack and the
// index file that lists it are.
func (r *Repository) Has(h blob.Handle) bool { return r.index().Has(h) }

// BlobSize tells the length of a blob's plaintext.
func (r *Repository) BlobSize(h blob.Handle) (plain int, ok bool) {
	return r.index().PlainSize(h)
}

// Locate tells where a blob lies: its pack, place and sealed length, and the
// length of its plaintext.
func (r *Repository) Locate(h blob.Handle) (packID blob.ID, offset, length, plainLength uint32, ok bool) {
	at, ok := r.index().First(h)
	if !ok {
		return blob.ID{}, 0, 0, 0, false
	}
	return at.Pack, at.Offset, at.Length, uint32(at.PlainSize()), true
}
