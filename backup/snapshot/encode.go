package snapshot

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"emrvault/backup/repository/blob"
)

// Builder writes a tree node by node, in the order of the raw names.
type Builder struct {
	buf  []byte
	last string
	n    int
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
	var err error
	if b.buf, err = appendNode(b.buf, n); err != nil {
		return fmt.Errorf("tree: node %q: %w", n.Name, err)
	}
	b.last, b.n = n.Name, b.n+1
	return nil
}

// Bytes ends the tree and gives its blob.
func (b *Builder) Bytes() []byte {
	if b.n == 0 {
		b.buf = append(b.buf[:0], treeHead...)
	}
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
	dst = append(dst, '"')
	dst = t.AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"'), nil
}

func appendAttributes(dst []byte, n *Node) ([]byte, error) {
	if len(n.Xattrs) > 0 {
		dst = append(dst, `,"extended_attributes":[`...)
		for i, x := range n.Xattrs {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"name":`...)
			dst = appendString(dst, x.Name)
			dst = append(dst, `,"value":"`...)
			dst = base64.StdEncoding.AppendEncode(dst, x.Value)
			dst = append(dst, `"}`...)
		}
		dst = append(dst, ']')
	}
	if len(n.Generic) == 0 {
		return dst, nil
	}
	text, err := json.Marshal(n.Generic) // sorts the keys
	if err != nil {
		return nil, fmt.Errorf("generic attributes: %w", err)
	}
	dst = append(dst, `,"generic_attributes":`...)
	return append(dst, text...), nil
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
