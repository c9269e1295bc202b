package s3

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	// connections that may wait for work; more than any verb uses at once, so
	// that parallel work never dials anew.
	idleConnections = 64
	// idleTime is how long they wait. It must be shorter than any timeout of
	// silence, which runs on idle connections too.
	idleTime = 15 * time.Second
	dialTime = 15 * time.Second
)

// newTransport makes the connections of one storage. None of them can hang
// for ever: dialling, the handshake and the answer's beginning have a limit,
// and so has every silence within a body, either way.
func newTransport(s Settings) (*http.Transport, error) {
	trust, err := s.trust()
	if err != nil {
		return nil, err
	}
	proxy, err := s.proxy()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: min(dialTime, s.Timeout), KeepAlive: 30 * time.Second}
	// Half a timeout longer than the wait for an answer, so that the clearer
	// of the two errors comes first.
	silence := s.Timeout + s.Timeout/2
	return &http.Transport{
		Proxy: proxy,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &watched{Conn: conn, silence: silence}, nil
		},
		TLSClientConfig:       trust,
		TLSHandshakeTimeout:   min(dialTime, s.Timeout),
		ResponseHeaderTimeout: s.Timeout,
		ExpectContinueTimeout: time.Second,
		MaxIdleConns:          idleConnections,
		MaxIdleConnsPerHost:   idleConnections,
		IdleConnTimeout:       min(idleTime, s.Timeout/2),
		DisableCompression:    true, // documents are compressed and sealed already
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
	}, nil
}

// proxy says through whom the server is reached.
func (s Settings) proxy() (func(*http.Request) (*url.URL, error), error) {
	switch s.Proxy {
	case "":
		return http.ProxyFromEnvironment, nil
	case "direct":
		return nil, nil
	}
	u, err := url.Parse(s.Proxy)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" {
		// The address may hold a password, so it is not repeated.
		return nil, invalid("the proxy (EMRVAULT_S3_PROXY) is named as http://[user:password@]host:port")
	}
	return http.ProxyURL(u), nil
}

// watched is a connection that breaks when nothing has moved for a while.
type watched struct {
	net.Conn
	silence time.Duration
}

// Read waits no longer than the silence allowed.
func (w *watched) Read(p []byte) (int, error) {
	if err := w.Conn.SetReadDeadline(time.Now().Add(w.silence)); err != nil {
		return 0, err
	}
	return w.Conn.Read(p)
}

// Write waits no longer than the silence allowed, and gives the reader as
// long: while we talk, the other side need not.
func (w *watched) Write(p []byte) (int, error) {
	if err := w.Conn.SetDeadline(time.Now().Add(w.silence)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// listener is a transport that notes what the library above does not hand on:
// by how much the server's clock differs, and how long it asks us to wait.
type listener struct {
	line  *http.Transport
	over  http.RoundTripper // the line, or what paces it
	now   func() time.Time
	skew  atomic.Int64 // server's clock minus ours, nanoseconds
	dated atomic.Bool  // skew is known
	after atomic.Int64 // last Retry-After, nanoseconds
}

func newListener(s Settings, line *http.Transport) *listener {
	l := &listener{line: line, over: line, now: time.Now}
	if s.Through != nil {
		l.over = s.Through(line)
	}
	return l
}

// RoundTrip sends a request and listens to the answer's head.
func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.over.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		l.skew.Store(int64(date.Sub(l.now())))
		l.dated.Store(true)
	}
	if res.StatusCode == http.StatusServiceUnavailable || res.StatusCode == http.StatusTooManyRequests {
		wait, _ := time.ParseDuration(res.Header.Get("Retry-After") + "s")
		l.after.Store(int64(max(wait, 0)))
	}
	return res, nil
}

// Skew tells by how much the server's clock is ahead of ours, to a second or
// so; known is false before the first answer.
func (s *Storage) Skew() (skew time.Duration, known bool) {
	return time.Duration(s.listener.skew.Load()), s.listener.dated.Load()
}
