package s3test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy stands before a server and hands on what it gets, byte for byte and
// with the same Host, so that signatures stay valid; unless a fault comes
// between. It ends each connection after its answer: then a cut is seen by
// whom it is meant for, and not repaired by a client that had kept it open.
type Proxy struct {
	Delay time.Duration // how late a slow answer is; set it before the first request
	After time.Duration // what a 503 asks to wait

	target *url.URL
	server *httptest.Server
	client *http.Transport
	plan   plan

	mu       sync.Mutex
	listings map[string]answer // last answer to each listing
	rotten   map[string]int    // objects of which this byte is stored wrong
}

// answer is a whole answer of the server.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// NewProxy begins a proxy before the server at endpoint; it ends with the test.
func NewProxy(t testing.TB, endpoint string) *Proxy {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		Delay: 50 * time.Millisecond, After: time.Second, target: target,
		client:   &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
		plan:     plan{requests: map[string]int{}, met: map[Fault]int{}},
		listings: map[string]answer{}, rotten: map[string]int{},
	}
	p.server = httptest.NewUnstartedServer(p)
	p.server.Config.SetKeepAlivesEnabled(false)
	p.server.Start()
	t.Cleanup(p.client.CloseIdleConnections)
	t.Cleanup(p.server.Close)
	return p
}

// URL is the endpoint to give to clients.
func (p *Proxy) URL() string { return p.server.URL }

// ServeHTTP answers one request; the proxy may also stand behind another
// server of the test.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		cut() // The client went away.
	}
	fault := p.plan.next(r)
	if !concerns(fault, r, body) {
		fault = None
	}
	p.plan.note(fault)
	switch fault {
	case SlowDown:
		p.slowDown(w)
		return
	case Cut:
		cut()
	case Torn:
		p.tear(r, body)
		cut()
	case Slow:
		rest(r.Context(), p.Delay)
	case Stale:
		if old, known := p.before(r); known {
			old.write(w, len(old.body))
			return
		}
	case Twice:
		if _, err := p.ask(r, body); err != nil {
			cut()
		}
	}
	res, err := p.ask(r, body)
	if err != nil || fault == Lost {
		cut()
	}
	p.remember(r, res, fault)
	res.body = p.turned(r, res, fault)
	if fault == CutBody {
		res.write(w, len(res.body)/2)
		cut()
	}
	res.write(w, len(res.body))
}

// cut ends the connection to the client at once.
func cut() { panic(http.ErrAbortHandler) }

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// concerns tells whether a fault can mean anything to a request.
func concerns(f Fault, r *http.Request, body []byte) bool {
	switch f {
	case Torn:
		return len(body) > 1
	case WrongStore:
		return r.Method == http.MethodPut && r.URL.RawQuery == "" && len(body) > 0
	case WrongBack, CutBody:
		return r.Method == http.MethodGet
	case Stale:
		return isListing(r)
	}
	return true
}

func isListing(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Has("list-type")
}

// isObject tells reading one object from all the other things one may GET.
func isObject(r *http.Request) bool {
	query := r.URL.Query()
	query.Del("versionId")
	return len(query) == 0 && strings.Count(strings.Trim(r.URL.Path, "/"), "/") > 0
}

func (p *Proxy) slowDown(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(int(p.After/time.Second)))
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`)
}

// ask hands a request on and waits for the whole answer.
func (p *Proxy) ask(r *http.Request, body []byte) (answer, error) {
	res, err := p.client.RoundTrip(p.handedOn(r, bytes.NewReader(body), int64(len(body))))
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{status: res.StatusCode, header: res.Header, body: data}, nil
}

func (p *Proxy) handedOn(r *http.Request, body io.Reader, length int64) *http.Request {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = p.target.Scheme, p.target.Host
	out.Host = r.Host // it is signed
	out.Body, out.ContentLength, out.TransferEncoding = io.NopCloser(body), length, nil
	if length == 0 {
		out.Body = http.NoBody
	}
	return out
}

// tear sends half of an upload and breaks off.
func (p *Proxy) tear(r *http.Request, body []byte) {
	half := io.MultiReader(bytes.NewReader(body[:len(body)/2]), broken{})
	res, err := p.client.RoundTrip(p.handedOn(r, half, int64(len(body))))
	if err == nil {
		_ = res.Body.Close()
	}
}

// broken is the end of an upload that is torn.
type broken struct{}

// Read fails.
func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// write answers with the first bytes of the body; the head announces all.
func (a answer) write(w http.ResponseWriter, n int) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body[:n])
	if flusher, ok := w.(http.Flusher); ok && n < len(a.body) {
		flusher.Flush()
	}
}

// before gives the answer to a listing as it was the last time.
func (p *Proxy) before(r *http.Request) (answer, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old, known := p.listings[r.URL.RequestURI()]
	return old, known
}

// remember keeps listings, and which objects rot.
func (p *Proxy) remember(r *http.Request, res answer, fault Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := res.status < 300
	switch {
	case isListing(r) && done:
		p.listings[r.URL.RequestURI()] = res
	case r.Method == http.MethodDelete && isObject(r) && done:
		delete(p.rotten, r.URL.Path)
	case r.Method == http.MethodPut && isObject(r) && done:
		delete(p.rotten, r.URL.Path)
		if fault == WrongStore {
			p.rotten[r.URL.Path] = int(r.ContentLength / 3)
		}
	}
}

// turned is the body with the bit turned that a fault wants turned.
func (p *Proxy) turned(r *http.Request, res answer, fault Fault) []byte {
	if r.Method != http.MethodGet || !isObject(r) || res.status >= 300 || len(res.body) == 0 {
		return res.body
	}
	at := -1
	if fault == WrongBack {
		at = len(res.body) / 2
	}
	p.mu.Lock()
	rotten, rots := p.rotten[r.URL.Path]
	p.mu.Unlock()
	if rots {
		at = rotten - first(res.header)
	}
	if at < 0 || at >= len(res.body) {
		return res.body
	}
	body := bytes.Clone(res.body)
	body[at] ^= 0x10
	return body
}

// first is where in the object an answer begins.
func first(header http.Header) int {
	span, _, _ := strings.Cut(strings.TrimPrefix(header.Get("Content-Range"), "bytes "), "-")
	n, _ := strconv.Atoi(span)
	return n
}
