package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"time"

	"emrvault/appliance/errs"
	"emrvault/webui/render"
)

// zipper writes a folder of a point as one zip file.
type zipper interface {
	Zip(ctx context.Context, point int64, path string, w io.Writer) error
}

// patience is how long a download may stand still before the line is given
// up. A large file may take hours as long as it moves.
const patience = 2 * time.Minute

// moving lets a download live as long as it moves.
type moving struct {
	w  io.Writer
	rc *http.ResponseController
}

func newMoving(c render.Context) *moving {
	return &moving{c.Writer, http.NewResponseController(c.Writer)}
}

// Write sends a piece and grants more time. A connection without deadlines,
// as in tests, needs none.
func (m *moving) Write(b []byte) (int, error) {
	if err := m.rc.SetWriteDeadline(time.Now().Add(patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, fmt.Errorf("extend write deadline: %w", err)
	}
	return m.w.Write(b)
}

// File is GET /points/:id/file?path=: one file, proven while it is sent.
func (p *PointPages) File(c render.Context) {
	point, err := p.find(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	file, err := p.store.OpenFile(render.Ctx(c), point.ID, c.Query("path"))
	if err != nil {
		p.render.Error(c, err)
		return
	}
	attachment(c, file.Name, "application/octet-stream")
	c.Header("Content-Length", strconv.FormatInt(file.Size, 10))
	c.Status(http.StatusOK)
	if c.Request.Method == http.MethodHead {
		p.settle(c, file.Close())
		return
	}
	_, err = io.Copy(newMoving(c), file)
	p.settle(c, errors.Join(err, file.Close()))
}

// Zip is GET /points/:id/zip?path=: a folder as one file.
func (p *PointPages) Zip(c render.Context) {
	point, err := p.find(c)
	if err != nil {
		p.render.Error(c, err)
		return
	}
	folder := path.Clean("/" + c.Query("path"))
	// The path is looked up first: once the head is out, nobody can be told.
	if _, err := p.store.Folder(render.Ctx(c), point.ID, folder, onlyLook); err != nil {
		p.render.Error(c, err)
		return
	}
	name := path.Base(folder)
	if folder == "/" {
		name = point.PlanName
	}
	attachment(c, name+".zip", "application/zip")
	c.Status(http.StatusOK)
	if c.Request.Method == http.MethodHead {
		return
	}
	p.settle(c, p.store.Zip(render.Ctx(c), point.ID, folder, newMoving(c)))
}

// attachment says what is coming: something to keep, never to show.
func attachment(c render.Context, name, kind string) {
	c.Header("Content-Type", kind)
	c.Header("Content-Disposition", disposition(name))
	c.Header("Cache-Control", "no-store")
}

// settle ends a download. One that failed is cut off, because a browser that
// sees a proper end would keep a broken file. A visitor who hung up is no
// fault of ours.
func (p *PointPages) settle(c render.Context, err error) {
	if err == nil {
		return
	}
	if render.Ctx(c).Err() == nil {
		_ = c.Error(fmt.Errorf("download: %w", err)) // the request log writes it, once
	}
	if !c.Writer.Written() && errs.KindOf(err) != errs.Internal {
		c.Header("Content-Length", "")
		c.Header("Content-Disposition", "inline")
		p.render.Error(c, err)
		return
	}
	panic(http.ErrAbortHandler)
}
