package run

import (
	"strings"
	"testing"

	"emrvault/appliance/locale"
	"emrvault/appliance/secret"
	"emrvault/backup/plan"
)

// Settings are kept and shown in the clear, so no password may lie in them, nor
// may the refusal repeat it.
func TestProxyWithAPasswordIsRefused(t *testing.T) {
	for proxy, refused := range map[string]bool{
		"http://wang:hunter2@proxy.local:3128": true,
		"http://wang:hunter2%@proxy.local":     true,
		"wang:hunter2@proxy.local:3128":        true,
		"http://proxy.local:3128":              false,
		"direct":                               false,
		"":                                     false,
	} {
		place := plan.Repository{Location: "s3:https://s3.local/emr", Settings: plan.StorageSettings{AccessKey: "k", Proxy: proxy}}
		err := sound(place, secret.NewText("word"))
		if (err != nil) != refused {
			t.Errorf("%s: got %v, want refused %v", proxy, err, refused)
		}
		if err != nil && strings.Contains(locale.Chinese.Detail(err)+locale.English.Detail(err), "hunter2") {
			t.Errorf("%s: the refusal %q repeats the password", proxy, err)
		}
	}
}
