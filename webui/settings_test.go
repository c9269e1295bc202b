package webui

import (
	"strings"
	"testing"
)

// TestZoneWaitsForRestart: schedules and numbers of tickets keep the zone the
// box was started in, so the page must not promise a new one at once.
func TestZoneWaitsForRestart(t *testing.T) {
	v := newHouse(t).visitor(t).signIn("admin")
	_, field, found := strings.Cut(v.get("/settings").body, `id="site.time_zone"`)
	field, _, _ = strings.Cut(field, "</div>")
	if !found || !strings.Contains(field, v.lang.T("web.settings.restart")) {
		t.Errorf("the time zone does not say that it wants a restart: %s", field)
	}
}
