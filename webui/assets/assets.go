// Package assets carries everything a browser is given: the page templates and
// the static files, all inside the program, so that no page ever asks another
// machine for anything.
//
// Static files are served under an address that contains a hash of their bytes
// (/static/1f0c9a5e/app.css). Such an address may be kept for ever; a new
// version of the file has a new address, so an upgrade is seen at once. The
// vendored files lie in static/vendor with their licences; vendor.sh fetches
// them again, and a test compares them with SHA256SUMS.
package assets

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed templates static
var files embed.FS

// Prefix is where static files are served.
const Prefix = "/static/"

// Templates are the page templates, rooted at their area folders.
func Templates() (fs.FS, error) { return fs.Sub(files, "templates") }

// Static knows every static file by name and serves it.
type Static struct {
	byName map[string]*document
	icons  map[string]bool
}

// document is one static file, ready to be sent.
type document struct {
	hash  string // first eight hex digits of the SHA-256
	kind  string // content type
	plain []byte
	small []byte // gzip form; nil when it saves too little to be worth it
}

// NewStatic reads the embedded files.
func NewStatic() (*Static, error) {
	s := &Static{byName: map[string]*document{}, icons: map[string]bool{}}
	err := fs.WalkDir(files, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return s.add(name)
	})
	if err != nil {
		return nil, fmt.Errorf("read static files: %w", err)
	}
	s.readIcons()
	return s, nil
}

func (s *Static) add(name string) error {
	plain, err := files.ReadFile(name)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(plain)
	small, err := squeeze(plain)
	if err != nil {
		return fmt.Errorf("compress %s: %w", name, err)
	}
	s.byName[strings.TrimPrefix(name, "static/")] = &document{
		hash: hex.EncodeToString(sum[:4]), kind: contentType(name), plain: plain, small: small,
	}
	return nil
}

// contentType does not ask the machine, whose tables differ and are sometimes
// wrong on Windows.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".txt", "":
		return "text/plain; charset=utf-8"
	}
	return mime.TypeByExtension(path.Ext(name))
}

// squeeze is the gzip form, or nil when it is not at least a tenth smaller.
func squeeze(plain []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if b.Len() > len(plain)*9/10 {
		return nil, nil
	}
	return b.Bytes(), nil
}

func (s *Static) readIcons() {
	sprite, ok := s.byName["vendor/icons.svg"]
	if !ok {
		return
	}
	for _, piece := range strings.Split(string(sprite.plain), `<symbol id="`)[1:] {
		name, _, _ := strings.Cut(piece, `"`)
		s.icons[name] = true
	}
}

// HasIcon says whether the sprite holds an icon of this name.
func (s *Static) HasIcon(name string) bool { return s.icons[name] }

// Text is the plain content of a file, for pages that show a licence.
func (s *Static) Text(name string) (string, error) {
	doc, ok := s.byName[name]
	if !ok {
		return "", fmt.Errorf("no static file %q", name)
	}
	return string(doc.plain), nil
}

// URL is the address of a file, its hash included. A name nobody knows is an
// error, so that a page with a wrong name fails its test.
func (s *Static) URL(name string) (string, error) {
	doc, ok := s.byName[name]
	if !ok {
		return "", fmt.Errorf("no static file %q", name)
	}
	return Prefix + doc.hash + "/" + name, nil
}

// ServeHTTP sends a file. An address with the right hash may be kept for ever;
// one with another hash, as an old page may still hold, must be asked again.
func (s *Static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hash, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, Prefix), "/")
	doc, ok := s.byName[name]
	if !ok || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		http.NotFound(w, r)
		return
	}
	doc.send(w, r, hash == doc.hash)
}

func (d *document) send(w http.ResponseWriter, r *http.Request, forever bool) {
	h := w.Header()
	h.Set("Content-Type", d.kind)
	h.Set("ETag", `"`+d.hash+`"`)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if forever {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if strings.Contains(r.Header.Get("If-None-Match"), d.hash) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := d.plain
	if d.small != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = d.small
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		// A visitor who hangs up is no fault of ours, and nothing is left to tell him.
		_, _ = w.Write(body)
	}
}
