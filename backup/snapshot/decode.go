package snapshot

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"time"

	"emrvault/backup"
	"emrvault/backup/repository/blob"
)

// Decoder reads a tree node by node, so that a folder of a million files
// needs no more memory than its blob and one node.
type Decoder struct {
	s     scanner
	state decoderState
	wants func(key []byte) bool // members that are read; nil: all
	at    int                   // where the last node began

	// The last time read, as text and as a value: most nodes say the same
	// moment two or three times.
	timeText []byte
	time     time.Time
}

type decoderState int

const (
	atStart decoderState = iota
	inNodes
	atEnd
)

// NewDecoder reads the tree in data, which must not change meanwhile.
func NewDecoder(data []byte) *Decoder { return &Decoder{s: scanner{data: data}} }

// Lean makes the decoder pass over everything but name, type, size, content
// and subtree; that is all which Used and Check need.
func (d *Decoder) Lean() *Decoder {
	d.wants = leanKey
	return d
}

// Next reads the next node into n and reports io.EOF after the last one. Every
// error but io.EOF wraps backup.ErrDamaged.
func (d *Decoder) Next(n *Node) error {
	err := d.next(n)
	if err != nil && !errors.Is(err, io.EOF) {
		d.state = atEnd
		return fmt.Errorf("tree: %w: %w", backup.ErrDamaged, err)
	}
	return err
}

func (d *Decoder) next(n *Node) error {
	first := false
	if d.state == atStart {
		first = true
		if err := d.open(); err != nil {
			return err
		}
	}
	if d.state == atEnd {
		return io.EOF
	}
	more, err := d.s.next(']', first)
	if err != nil {
		return err
	}
	if !more {
		return d.close()
	}
	d.at = d.s.pos
	return d.node(n)
}

// open moves to the first node, past members it does not know.
func (d *Decoder) open() error {
	if err := d.s.expect('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := d.s.next('}', first)
		if err != nil {
			return err
		}
		if !more {
			return d.s.fail("tree without nodes")
		}
		key, err := d.key()
		if err != nil {
			return err
		}
		if key == "nodes" {
			break
		}
		if _, err := d.s.raw(); err != nil {
			return err
		}
	}
	if d.s.null() {
		d.state = atEnd
		return d.rest()
	}
	d.state = inNodes
	return d.s.expect('[')
}

func (d *Decoder) close() error {
	d.state = atEnd
	if err := d.rest(); err != nil {
		return err
	}
	return io.EOF
}

// rest reads what stands behind the nodes.
func (d *Decoder) rest() error {
	for {
		more, err := d.s.next('}', false)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if _, err := d.key(); err != nil {
			return err
		}
		if _, err := d.s.raw(); err != nil {
			return err
		}
	}
	if d.s.peek() != 0 || d.s.pos < len(d.s.data) {
		return d.s.fail("bytes behind the tree")
	}
	return nil
}

func (d *Decoder) key() (string, error) {
	key, err := d.s.text()
	if err != nil {
		return "", err
	}
	return key, d.s.expect(':')
}

// node reads one object. n's old content list is not reused: callers keep it.
func (d *Decoder) node(n *Node) error {
	*n = Node{}
	if err := d.s.expect('{'); err != nil {
		return err
	}
	var target []byte
	for first := true; ; first = false {
		more, err := d.s.next('}', first)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		key, plain, err := d.s.rawString()
		if err != nil {
			return err
		}
		if err := d.s.expect(':'); err != nil {
			return err
		}
		if !plain || d.wants != nil && !d.wants(key) {
			if _, err := d.s.raw(); err != nil {
				return err
			}
			continue
		}
		if err := d.member(n, string(key), &target); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	if target != nil {
		n.LinkTarget = string(target)
	}
	return n.takeRawXattrs()
}

// Find reads on until the node of that name, and tells whether there is one.
// Of the others nothing but the name is looked at.
func (d *Decoder) Find(name string, n *Node) (bool, error) {
	wants := d.wants
	defer func() { d.wants = wants }()
	for {
		d.wants = func(key []byte) bool { return string(key) == "name" }
		err := d.Next(n)
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if n.Name == name {
			d.s.pos, d.wants = d.at, wants
			if err := d.node(n); err != nil {
				return false, fmt.Errorf("tree: %w: %w", backup.ErrDamaged, err)
			}
			return true, nil
		}
	}
}

func leanKey(key []byte) bool {
	switch string(key) {
	case "name", "type", "size", "content", "subtree":
		return true
	}
	return false
}

func (d *Decoder) member(n *Node, key string, target *[]byte) (err error) {
	s := &d.s
	switch key {
	case "name":
		var text string
		if text, err = s.text(); err == nil {
			n.Name, err = unescapeName(text)
		}
	case "type":
		var text string
		text, err = s.optionalText()
		n.Type = knownType(text)
	case "mode":
		var v uint64
		v, err = s.uint(math.MaxUint32)
		n.Mode = fs.FileMode(v)
	case "mtime":
		n.ModTime, err = d.when()
	case "atime":
		n.AccessTime, err = d.when()
	case "ctime":
		n.ChangeTime, err = d.when()
	case "uid":
		n.UID, err = d.uint32()
	case "gid":
		n.GID, err = d.uint32()
	case "user":
		n.User, err = s.optionalText()
	case "group":
		n.Group, err = s.optionalText()
	case "inode":
		n.Inode, err = s.uint(math.MaxUint64)
	case "device_id":
		n.DeviceID, err = s.uint(math.MaxUint64)
	case "size":
		n.Size, err = s.uint(math.MaxUint64)
	case "links":
		n.Links, err = s.uint(math.MaxUint64)
	default:
		err = d.rareMember(n, key, target)
	}
	return err
}

func (d *Decoder) rareMember(n *Node, key string, target *[]byte) (err error) {
	s := &d.s
	switch key {
	case "linktarget":
		n.LinkTarget, err = s.optionalText()
	case "linktarget_raw":
		var text string
		if text, err = s.optionalText(); err == nil && text != "" {
			*target, err = base64.StdEncoding.DecodeString(text)
		}
	case "device":
		n.Device, err = s.uint(math.MaxUint64)
	case "content":
		n.Content, err = d.content()
	case "subtree":
		if !s.null() {
			n.Subtree, err = s.id()
		}
	case "error":
		n.Error, err = s.optionalText()
	case "extended_attributes":
		err = d.object(&n.Xattrs)
	case "generic_attributes":
		err = d.object(&n.Generic)
	default:
		_, err = s.raw()
	}
	return err
}

// object leaves a rare, small value to Go's decoder.
func (d *Decoder) object(into any) error {
	raw, err := d.s.raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(bytes.Clone(raw), into)
}

func (d *Decoder) uint32() (uint32, error) {
	v, err := d.s.uint(math.MaxUint32)
	return uint32(v), err
}

func (d *Decoder) when() (time.Time, error) {
	if d.s.null() {
		return time.Time{}, nil
	}
	raw, _, err := d.s.rawString()
	if err != nil {
		return time.Time{}, err
	}
	if d.timeText != nil && bytes.Equal(raw, d.timeText) {
		return d.time, nil
	}
	t, err := time.Parse(time.RFC3339, string(raw))
	if err != nil {
		return t, d.s.fail("time")
	}
	d.timeText, d.time = raw, t
	return t, nil
}

// content reads the list of a file. An empty list is not nil: the two are
// told apart because null on a file is a fault.
func (d *Decoder) content() ([]blob.ID, error) {
	if d.s.null() {
		return nil, nil
	}
	if err := d.s.expect('['); err != nil {
		return nil, err
	}
	list := []blob.ID{}
	for first := true; ; first = false {
		more, err := d.s.next(']', first)
		if err != nil {
			return nil, err
		}
		if !more {
			return list, nil
		}
		id, err := d.s.id()
		if err != nil {
			return nil, err
		}
		list = append(list, id)
	}
}

// knownType spares a string for each node.
func knownType(text string) NodeType {
	for _, t := range [...]NodeType{File, Dir, Symlink, Device, CharDevice, Fifo, Socket} {
		if text == string(t) {
			return t
		}
	}
	return NodeType(text)
}
