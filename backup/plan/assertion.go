package plan

import (
	"fmt"
	"slices"
	"strings"
)

// comparisons are the signs an SQL assertion may use; "" is "=".
var comparisons = []string{"", "=", "!=", "<", "<=", ">", ">="}

// Check says what is wrong with an assertion; number is its place in the plan,
// from 1.
func (a Assertion) Check(number int) error {
	field := fmt.Sprintf("drill.assertions[%d]", number)
	switch a.Kind {
	case AssertSQL:
		return a.checkSQL(field)
	case AssertCount:
		if a.Min < 0 || a.Max < 0 || (a.Max > 0 && a.Max < a.Min) {
			return invalid(field, "plan.invalid.count", "number", number)
		}
		if a.Min == 0 && a.Max == 0 {
			return invalid(field, "plan.invalid.count.empty", "number", number)
		}
		return nil
	case AssertNewest:
		if a.Within <= 0 {
			return invalid(field, "plan.invalid.within", "number", number)
		}
		if a.Query != "" && !readsOnly(a.Query) {
			return invalid(field, "plan.invalid.query", "number", number)
		}
		return nil
	}
	return invalid(field, "plan.invalid.assertion", "number", number, "value", a.Kind)
}

func (a Assertion) checkSQL(field string) error {
	if !readsOnly(a.Query) {
		return invalid(field, "plan.invalid.query", "number", field)
	}
	if !slices.Contains(comparisons, a.Compare) {
		return invalid(field, "plan.invalid.compare", "value", a.Compare)
	}
	if a.Expect == "" {
		return invalid(field, "plan.invalid.expect", "number", field)
	}
	return nil
}

// readsOnly says whether a statement begins as one that reads. The drill opens
// the database read-only as well; this only tells the person earlier.
func readsOnly(query string) bool {
	word, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(query)), " ")
	word = strings.TrimSpace(strings.SplitN(word, "\n", 2)[0])
	return word == "select" || word == "with" || word == "values" || strings.HasPrefix(word, "select(") || word == "pragma"
}
