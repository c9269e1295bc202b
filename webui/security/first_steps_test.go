package security

import (
	"strings"
	"testing"

	"emrvault/backup/plan"
)

// The sample of a plan, and with it the manual, is typed in as it stands on
// a box whose first repository was made here.
func TestFirstRepositoryIsThatOfTheSample(t *testing.T) {
	if !strings.Contains(plan.Sample(), "\nrepository: "+placeName+" ") {
		t.Errorf("the first start makes the repository %q, the sample of a plan names another", placeName)
	}
}
