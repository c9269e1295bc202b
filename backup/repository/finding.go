package repository

// Level orders findings.
type Level string

const (
	// Hint is worth knowing, nothing is lost.
	Hint Level = "hint"
	// Error means that something cannot be restored as it was.
	Error Level = "error"
)

// Finding is one thing a check noticed.
type Finding struct {
	Level Level          `json:"level"`
	Kind  string         `json:"kind"`           // one word a program can act on, such as "pack-missing"
	Name  string         `json:"name"`           // the document or blob
	Key   string         `json:"key"`            // texts: "check.<kind>", with underscores
	Args  map[string]any `json:"args,omitempty"` // arguments of the text
	Text  string         `json:"text"`           // in English
}
