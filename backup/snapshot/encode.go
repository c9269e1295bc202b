package snapshot

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"
	"unicode/utf8"

	"emrvault/backup/repository/blob"
)

// Builder writes a tree node by node, in the order of the raw names.
type Builder struct {
	buf      []byte
	last     string
	n        int
	expected int // nodes
}

const treeHead = `{"nodes":[`

// Add appends a node. Names must ascend strictly by their bytes: readers walk
// two trees in step and silently misjudge an unsorted one.
func (b *Builder) Add(n *Node) error {
	if err := n.CheckName(); err != nil {
		return err
	}
	if b.n > 0 && n.Name <= b.last {
		return fmt.Errorf("tree: %q does not come after %q", n.Name, b.last)
	}
	if b.n == 0 {
		b.buf = append(b.buf[:0], treeHead...)
	} else {
		b.buf = append(b.buf, ',')
	}
	b.reserve(2*len(n.Name) + nodeRoom + idRoom*len(n.Content))
	var err error
	if b.buf, err = appendNode(b.buf, n); err != nil {
		return fmt.Errorf("tree: node %q: %w", n.Name, err)
	}
	b.last, b.n = n.Name, b.n+1
	return nil
}

const (
	nodeRoom = 512 // what a usual node takes at most, beside its pieces
	idRoom   = 2*blob.IDSize + 3
	// guessFrom is how many nodes tell how long the others will be.
	guessFrom = 100
)

// Expect tells how many nodes the tree will have. The text of a large folder
// then moves to its place once, and is not copied from one place into another
// that is a little larger: the two together are more than twice the text.
func (b *Builder) Expect(nodes int) { b.expected = nodes }

// reserve makes room for so many more bytes.
func (b *Builder) reserve(length int) {
	need := len(b.buf) + length
	if need <= cap(b.buf) {
		return
	}
	size := need + max(need/4, min(need, 64<<10))
	if b.n >= guessFrom && b.n < b.expected {
		// A sixteenth more than the nodes so far say; what is not used is
		// never touched.
		whole := int64(len(b.buf)) / int64(b.n) * int64(b.expected)
		size = max(size, int(min(whole+whole/16, maxGuess)))
	}
	b.buf = append(make([]byte, 0, size), b.buf...)
}

// maxGuess bounds what is set aside on a guess; no reader takes a longer tree.
const maxGuess = 1 << 30

// Bytes ends the tree and gives its blob.
func (b *Builder) Bytes() []byte {
	if b.n == 0 {
		b.buf = append(b.buf[:0], treeHead...)
	}
	b.reserve(len("]}\n"))
	b.buf = append(b.buf, "]}\n"...)
	return b.buf
}

// appendNode writes one node with the keys, their order and the omissions of
// the format, so that equal folders give equal blobs whoever wrote them.
func appendNode(dst []byte, n *Node) ([]byte, error) {
	var err error
	dst = append(dst, `{"name":`...)
	dst = appendString(dst, escapeName(n.Name))
	dst = append(dst, `,"type":`...)
	dst = appendString(dst, string(n.Type))
	dst = appendUint(dst, `,"mode":`, uint64(n.Mode))
	if dst, err = appendTimes(dst, n); err != nil {
		return nil, err
	}
	dst = append(dst, `,"uid":`...)
	dst = strconv.AppendUint(dst, uint64(n.UID), 10)
	dst = append(dst, `,"gid":`...)
	dst = strconv.AppendUint(dst, uint64(n.GID), 10)
	dst = appendText(dst, `,"user":`, n.User)
	dst = appendText(dst, `,"group":`, n.Group)
	dst = appendUint(dst, `,"inode":`, n.Inode)
	dst = appendUint(dst, `,"device_id":`, n.DeviceID)
	dst = appendUint(dst, `,"size":`, n.Size)
	dst = appendUint(dst, `,"links":`, n.Links)
	dst = appendText(dst, `,"linktarget":`, n.LinkTarget)
	if !utf8.ValidString(n.LinkTarget) {
		dst = append(dst, `,"linktarget_raw":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, []byte(n.LinkTarget))
		dst = append(dst, '"')
	}
	if dst, err = appendAttributes(dst, n); err != nil {
		return nil, err
	}
	dst = appendUint(dst, `,"device":`, n.Device)
	dst = appendContent(dst, n)
	if n.Subtree != (blob.ID{}) {
		dst = append(dst, `,"subtree":`...)
		dst = appendID(dst, n.Subtree)
	}
	dst = appendText(dst, `,"error":`, n.Error)
	return append(dst, '}'), nil
}

func appendTimes(dst []byte, n *Node) ([]byte, error) {
	var err error
	dst = append(dst, `,"mtime":`...)
	from := len(dst)
	if dst, err = appendTime(dst, n.ModTime); err != nil {
		return nil, err
	}
	to := len(dst)
	dst = append(dst, `,"atime":`...)
	if n.AccessTime.Equal(n.ModTime) && n.AccessTime.Location() == n.ModTime.Location() {
		dst = append(dst, dst[from:to]...)
	} else if dst, err = appendTime(dst, n.AccessTime); err != nil {
		return nil, err
	}
	dst = append(dst, `,"ctime":`...)
	if n.ChangeTime.Equal(n.ModTime) && n.ChangeTime.Location() == n.ModTime.Location() {
		return append(dst, dst[from:to]...), nil
	}
	return appendTime(dst, n.ChangeTime)
}

var errYear = errors.New("year outside of 0..9999")

func appendTime(dst []byte, t time.Time) ([]byte, error) {
	if y := t.Year(); y < 0 || y > 9999 {
		return nil, errYear
	}
	// The format writes minutes of an offset and no seconds, which zones had
	// before they were given by law (Shanghai until 1901: 8:05:43). Cut off,
	// another moment would come back.
	if _, offset := t.Zone(); offset%60 != 0 {
		t = t.UTC()
	}
	dst = append(dst, '"')
	dst = t.AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"'), nil
}

func appendAttributes(dst []byte, n *Node) ([]byte, error) {
	dst, raw := appendXattrs(dst, n.Xattrs)
	generic := n.Generic
	if len(raw) > 0 {
		text, err := json.Marshal(raw)
		if err != nil {
			return nil, fmt.Errorf("extended attributes: %w", err)
		}
		generic = maps.Clone(n.Generic)
		if generic == nil {
			generic = map[string]json.RawMessage{}
		}
		generic[rawXattrs] = text
	}
	if len(generic) == 0 {
		return dst, nil
	}
	text, err := json.Marshal(generic) // sorts the keys
	if err != nil {
		return nil, fmt.Errorf("generic attributes: %w", err)
	}
	dst = append(dst, `,"generic_attributes":`...)
	return append(dst, text...), nil
}

// rawXattrs is the generic attribute that holds extended attributes whose names
// are not UTF-8. The format has no place for them in its list, for JSON cannot
// carry such a name; and readers pass over generic attributes they do not know.
const rawXattrs = "linux.xattrs_raw"

type rawXattr struct {
	Name  []byte `json:"name"`
	Value []byte `json:"value"`
}

// appendXattrs writes the list and gives back what cannot stand in it.
func appendXattrs(dst []byte, list []Xattr) ([]byte, []rawXattr) {
	var raw []rawXattr
	start := ",\"extended_attributes\":[{\"name\":"
	for _, x := range list {
		if !utf8.ValidString(x.Name) {
			raw = append(raw, rawXattr{[]byte(x.Name), x.Value})
			continue
		}
		dst = append(dst, start...)
		dst = appendString(dst, x.Name)
		dst = append(dst, `,"value":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, x.Value)
		dst = append(dst, `"}`...)
		start = `,{"name":`
	}
	if len(raw) < len(list) {
		dst = append(dst, ']')
	}
	return dst, raw
}

// takeRawXattrs moves such attributes back into the list.
func (n *Node) takeRawXattrs() error {
	text, ok := n.Generic[rawXattrs]
	if !ok {
		return nil
	}
	var raw []rawXattr
	if err := json.Unmarshal(text, &raw); err != nil {
		return fmt.Errorf("extended attributes: %w", err)
	}
	for _, x := range raw {
		n.Xattrs = append(n.Xattrs, Xattr{string(x.Name), x.Value})
	}
	if delete(n.Generic, rawXattrs); len(n.Generic) == 0 {
		n.Generic = nil
	}
	return nil
}

// appendContent writes the list of a file, "[]" for an empty one; readers take
// null on a file for a fault.
func appendContent(dst []byte, n *Node) []byte {
	if n.Type != File {
		return append(dst, `,"content":null`...)
	}
	dst = append(dst, `,"content":[`...)
	for i, id := range n.Content {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendID(dst, id)
	}
	return append(dst, ']')
}

func appendID(dst []byte, id blob.ID) []byte {
	dst = append(dst, '"')
	dst = hex.AppendEncode(dst, id[:])
	return append(dst, '"')
}

func appendUint(dst []byte, key string, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return strconv.AppendUint(append(dst, key...), v, 10)
}

func appendText(dst []byte, key, v string) []byte {
	if v == "" {
		return dst
	}
	return appendString(append(dst, key...), v)
}

// appendString writes s as Go's encoder does, which escapes <, >, & and two
// line separators beside what JSON asks for.
func appendString(dst []byte, s string) []byte {
	if !plain(s) {
		text, err := json.Marshal(s)
		if err == nil { // a string always marshals
			return append(dst, text...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// plain says whether s stands in JSON as it is. U+2028 and U+2029 begin with
// the byte e2, as do other signs; those take the slow way too, harmlessly.
func plain(s string) bool {
	ascii := true
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < 0x20, c == '"', c == '\\', c == '<', c == '>', c == '&', c == 0xe2:
			return false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return ascii || utf8.ValidString(s)
}

// escapeName writes a name like the inside of a Go string literal, which is
// how the format carries names that are not UTF-8.
func escapeName(name string) string {
	if simpleName(name) {
		return name
	}
	quoted := strconv.Quote(name)
	return quoted[1 : len(quoted)-1]
}

func simpleName(name string) bool {
	for _, r := range name {
		if r == utf8.RuneError || r == '"' || r == '\\' || !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}

var errName = errors.New("name does not unquote")

// unescapeName is the way back.
func unescapeName(text string) (string, error) {
	if simpleName(text) {
		return text, nil
	}
	name, err := strconv.Unquote(`"` + text + `"`)
	if err != nil {
		return "", fmt.Errorf("%w: %q", errName, text)
	}
	return name, nil
}
