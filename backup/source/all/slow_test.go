package all

import (
	"strings"
	"testing"
	"time"
)

// A file of the largest size, as nasty as we could think of, ends soon.
func TestParseEndsSoon(t *testing.T) {
	for name, part := range map[string]string{
		"brackets": "[", "braces": "{", "dashes": "- ", "questions": "? ", "keys": "a: ", "quotes": "\"", "tags": "!!a ", "pipes": "|\n", "spaces": " \n", "list": "[a],",
		"indents": "a:\n ", "comments": "#\n", "bullets": "- a\n", "pairs": "a: b\n",
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := Parse([]byte(strings.Repeat(part, maxText/len(part))))
			if took := time.Since(began); took > 10*time.Second || err == nil {
				t.Errorf("took %v, %v, want an error soon", took, err != nil)
			} else {
				t.Log(took)
			}
		})
	}
}
