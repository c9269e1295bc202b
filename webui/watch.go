package webui

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"emrvault/appliance/identity"
	"emrvault/webui/render"
)

// watchEvery is how soon a stream ends after its visitor has signed out or may
// see it no longer.
const watchEvery = 5 * time.Second

// watched lets a stream of events live only as long as its visitor may open it:
// the session is looked at again and again, and with its end or that of the
// right the stream's context is done.
func (s *Server) watched(permission identity.Permission, stream gin.HandlerFunc) gin.HandlerFunc {
	return func(c *gin.Context) {
		if c.Request.Method == http.MethodHead {
			c.Header("Content-Type", "text/event-stream; charset=utf-8")
			return
		}
		ctx, cancel := context.WithCancel(render.Ctx(c))
		var watch sync.WaitGroup
		defer watch.Wait()
		defer cancel()
		person, token := render.PersonOf(c).ID, s.sessions.Token(ctx)
		watch.Go(func() {
			defer cancel()
			for s.stillMay(ctx, token, person, permission) {
				select {
				case <-ctx.Done():
					return
				case <-time.After(s.watch):
				}
			}
		})
		c.Request = c.Request.WithContext(ctx)
		stream(c)
	}
}

// stillMay says whether a session is alive and its person holds the permission.
// When the database cannot say, the stream ends: the browser comes again.
func (s *Server) stillMay(ctx context.Context, token string, person int64, permission identity.Permission) bool {
	if _, alive, err := s.parts.Sessions.Find(token); err != nil || !alive {
		return false
	}
	user, err := s.parts.Users.Get(ctx, person)
	return err == nil && user.May(permission)
}
