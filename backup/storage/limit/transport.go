package limit

import (
	"context"
	"io"
	"net/http"

	"emrvault/backup/storage/retry"
)

// Transport paces the bodies of requests whose context comes from a Storage of
// this package, byte by byte as they cross the line, and tells the attempt of
// package retry that they do. A place whose HTTP client goes through it is
// paced evenly.
func Transport(base http.RoundTripper) http.RoundTripper { return transport{base} }

type transport struct{ base http.RoundTripper }

// RoundTrip puts itself between the bodies and the line.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	m, _ := ctx.Value(meterKey{}).(*meter)
	if r.Body != nil && r.Body != http.NoBody {
		paced := *r // a request must not be changed by its transport
		paced.Body = &body{ReadCloser: r.Body, ctx: ctx, meter: m, direction: up}
		r = &paced
	}
	resp, err := t.base.RoundTrip(r)
	if err == nil && resp.Body != nil {
		retry.Alive(ctx)
		resp.Body = &body{ReadCloser: resp.Body, ctx: ctx, meter: m, direction: down}
	}
	return resp, err
}

// CloseIdleConnections lets an http.Client tidy up.
func (t transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// body is one that is read at the pace of the line.
type body struct {
	io.ReadCloser
	ctx       context.Context //nolint:containedctx // A reader has no other way to hear that its request has ended.
	meter     *meter
	direction direction
}

// Read gives as much as may pass.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:b.meter.share(len(p))])
	retry.Alive(b.ctx)
	if n > 0 {
		if late := b.meter.pass(b.ctx, b.direction, n); late != nil && err == nil {
			err = late
		}
	}
	return n, err
}
