package plan

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
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
			return invalid(field, "plan.invalid.count")
		}
		if a.Min == 0 && a.Max == 0 {
			return invalid(field, "plan.invalid.count.empty")
		}
		return nil
	case AssertNewest:
		if a.Within <= 0 {
			return invalid(field, "plan.invalid.within")
		}
		if a.Query != "" && !readsOnly(a.Query) {
			return invalid(field, "plan.invalid.query")
		}
		return nil
	}
	return invalid(field, "plan.invalid.assertion", "value", a.Kind)
}

func (a Assertion) checkSQL(field string) error {
	if !readsOnly(a.Query) {
		return invalid(field, "plan.invalid.query")
	}
	if !slices.Contains(comparisons, a.Compare) {
		return invalid(field, "plan.invalid.compare", "value", a.Compare)
	}
	if a.Expect == "" {
		return invalid(field, "plan.invalid.expect")
	}
	return nil
}

// readsOnly says whether a query is one statement that begins as one that
// reads. The drill opens the database read-only as well; this tells the person
// earlier, and keeps a second statement from hiding behind the first.
func readsOnly(query string) bool {
	query = strings.TrimRight(strings.TrimSpace(query), "; \n\t")
	if strings.Contains(query, ";") {
		return false
	}
	end := strings.IndexFunc(query, func(r rune) bool { return !unicode.IsLetter(r) })
	switch strings.ToLower(query[:max(0, end)]) {
	case "select", "with", "values":
		return true
	}
	return false
}
