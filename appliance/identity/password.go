package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"emrvault/appliance/errs"
)

// Cost says how much one password hash takes (argon2id, RFC 9106).
type Cost struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

// DefaultCost is the second recommended choice of RFC 9106, section 4: 64 MiB
// and three passes, about a tenth of a second on a small server. With two hashes
// at once a flood of sign-ins takes 128 MiB and no more.
func DefaultCost() Cost { return Cost{Memory: 64 << 10, Passes: 3, Threads: 4} }

const (
	saltLength = 16
	hashLength = 32

	// Length counts, kinds of characters do not: rules about capitals and
	// digits make people choose worse passwords and write them down.
	minPassword = 10   // characters
	maxPassword = 1024 // bytes

	hashesAtOnce   = 2
	hashesInWait   = 32
	distinctEnough = 4 // different characters
)

// hasher makes and checks password hashes, few at once.
type hasher struct {
	cost  Cost
	slots chan struct{}
	queue chan struct{}
}

func newHasher(cost Cost) *hasher {
	return &hasher{cost, make(chan struct{}, hashesAtOnce), make(chan struct{}, hashesInWait)}
}

// enter waits for its turn; behind a long queue it says so at once.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	select {
	case h.queue <- struct{}{}:
	default:
		return nil, errs.New(errs.Busy, "identity.crowded")
	}
	defer func() { <-h.queue }()
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hash gives the text form kept in the database.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	salt := make([]byte, saltLength)
	rand.Read(salt)
	return h.cost.text(salt, h.cost.sum(password, salt, hashLength)), nil
}

// matches says whether password is the one of the kept text. An empty text,
// for a name nobody has, costs the same time and matches nothing.
func (h *hasher) matches(ctx context.Context, password, text string) (bool, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	if text == "" || len(password) > maxPassword {
		h.cost.sum(password[:min(len(password), maxPassword)], make([]byte, saltLength), hashLength)
		return false, nil
	}
	cost, salt, want, err := parseHash(text)
	if err != nil {
		return false, err
	}
	got := cost.sum(password, salt, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

// stale says that a kept text was made at another cost.
func (h *hasher) stale(text string) bool {
	cost, _, _, err := parseHash(text)
	return err != nil || cost != h.cost
}

func (c Cost) sum(password string, salt []byte, length uint32) []byte {
	return argon2.IDKey([]byte(password), salt, c.Passes, c.Memory, c.Threads, length)
}

// text writes the customary form: $argon2id$v=19$m=65536,t=3,p=4$salt$hash.
func (c Cost) text(salt, sum []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Passes, c.Threads,
		b64.EncodeToString(salt), b64.EncodeToString(sum))
}

var errNoHash = errors.New("the kept password is no argon2id text")

func parseHash(text string) (c Cost, salt, sum []byte, err error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return Cost{}, nil, nil, errNoHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.Memory, &c.Passes, &c.Threads); err != nil {
		return Cost{}, nil, nil, errNoHash
	}
	salt, saltErr := base64.RawStdEncoding.DecodeString(parts[4])
	sum, sumErr := base64.RawStdEncoding.DecodeString(parts[5])
	const most = 1 << 20 // KiB: a row from elsewhere must not take all memory
	if saltErr != nil || sumErr != nil || len(salt) < 8 || len(sum) < 16 || len(sum) > 64 ||
		c.Memory == 0 || c.Memory > most || c.Passes == 0 || c.Passes > 100 || c.Threads == 0 {
		return Cost{}, nil, nil, errNoHash
	}
	return c, salt, sum, nil
}

// CheckPassword says whether a password may be chosen by the named user; the
// error tells what is wrong with it.
func CheckPassword(password, name string) error {
	switch {
	case utf8.RuneCountInString(password) < minPassword:
		return errs.New(errs.Invalid, "identity.password_short", "min", minPassword)
	case len(password) > maxPassword:
		return errs.New(errs.Invalid, "identity.password_long", "max", maxPassword)
	}
	folded := fold(password)
	bare := strings.TrimFunc(folded, func(r rune) bool { return !unicode.IsLetter(r) })
	if who := fold(name); who != "" && (folded == who || bare == strings.TrimFunc(who, func(r rune) bool { return !unicode.IsLetter(r) }) && bare != "") {
		return errs.New(errs.Invalid, "identity.password_name")
	}
	if distinct(folded) < distinctEnough || common(folded, bare) {
		return errs.New(errs.Invalid, "identity.password_common")
	}
	return nil
}

func distinct(text string) int {
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	return len(seen)
}

// common knows the passwords that are tried first: whole ones, and words that
// stay the same when digits and signs are added at their ends.
func common(folded, bare string) bool {
	for _, list := range []struct{ words, text string }{
		{"1234567890 0123456789 0987654321 9876543210 12345678910 1234567891 123123123123 1122334455 " +
			"1q2w3e4r5t 1qaz2wsx3edc 1qaz@wsx3edc qazwsxedcrfv zaq12wsx3edc q1w2e3r4t5 a1b2c3d4e5 " +
			"5201314520 1314520520 11223344556 147258369147 159753159753 qwer1234qwer abcd1234abcd", folded},
		{"password passw0rd p@ssword p@ssw0rd admin administrator root system welcome changeme letmein " +
			"qwerty qwertyuiop qwertyuiopasdf asdfghjkl asdfghjklqwe zxcvbnm qazwsx qazwsxedc abc abcd abcdefg abcdefghij abcdefghijk " +
			"iloveyou woaini woaizhongguo woaibeijing nihao mima hospital yiyuan emr emrvault dianzibingli xinxike huawei " +
			"test testtest user guest oracle postgres mysql sqlserver 医院 电子病历 信息科 密码", bare},
	} {
		for word := range strings.FieldsSeq(list.words) {
			if word == list.text {
				return true
			}
		}
	}
	return false
}

func fold(text string) string { return strings.ToLower(strings.TrimSpace(text)) }
