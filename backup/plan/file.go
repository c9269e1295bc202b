package plan

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"

	"emrvault/appliance/errs"
	"emrvault/backup/source"
)

// File is a plan as people write it down, for `plan add -f` and for plans kept
// beside other configuration. What is left out has the value of a new plan.
type File struct {
	Name       string      `yaml:"name"`
	Title      string      `yaml:"title,omitempty"`
	Repository string      `yaml:"repository"`
	Location   string      `yaml:"location,omitempty"` // where to make the repository when there is none of that name
	Second     string      `yaml:"second,omitempty"`   // name of a repository that exists; every point is copied there
	Source     source.Spec `yaml:"source"`
	Schedule   string      `yaml:"schedule,omitempty"`
	Zone       string      `yaml:"zone,omitempty"`
	Keep       Keep        `yaml:"keep"`
	Drill      DrillRule   `yaml:"drill"`
	RTO        Duration    `yaml:"rto,omitempty"`
	RPO        Duration    `yaml:"rpo,omitempty"`
	Enabled    bool        `yaml:"enabled"`
}

// maxFile bounds a plan file; a real one has two dozen lines.
const maxFile = 1 << 20

//go:embed sample.yaml
var sample string

// Sample is a plan file that explains itself.
func Sample() string { return sample }

// ParseFile reads a plan file strictly: one document, no unknown key. A new
// plan is enabled, keeps a sensible number of points, and is proven after each
// backup, unless the file says otherwise.
func ParseFile(text []byte) (File, error) {
	f := File{
		Keep:    Keep{Last: 3, Daily: 14, Weekly: 8, Monthly: 12, Yearly: 30},
		Drill:   DrillRule{AfterBackup: true},
		Enabled: true,
	}
	if len(text) > maxFile {
		return f, unreadable(fmt.Sprintf("more than %d bytes", maxFile))
	}
	// A policy that is written replaces the usual one as a whole.
	var written struct {
		Keep *Keep `yaml:"keep"`
	}
	if err := yaml.Unmarshal(text, &written); err != nil {
		return f, unreadable(yaml.FormatError(err, false, false))
	}
	if written.Keep != nil {
		f.Keep = Keep{}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict())
	if err := decoder.Decode(&f); errors.Is(err, io.EOF) {
		return f, unreadable("it is empty")
	} else if err != nil {
		return f, unreadable(yaml.FormatError(err, false, false))
	}
	if err := decoder.Decode(&File{}); !errors.Is(err, io.EOF) {
		return f, unreadable("it holds more than one document")
	}
	return f, nil
}

func unreadable(detail string) error {
	return errs.New(errs.Invalid, "plan.invalid.file", "detail", detail)
}

// Plan is the plan a file describes.
func (f File) Plan() Plan {
	return Plan{
		Name: f.Name, Title: f.Title, Source: f.Source, Repository: f.Repository, Second: f.Second, Schedule: f.Schedule,
		Zone: f.Zone, Keep: f.Keep, Drill: f.Drill, RTO: f.RTO, RPO: f.RPO, Enabled: f.Enabled,
	}
}

// File is the plan as its file; `plan show --file` prints it.
func (p Plan) File() File {
	return File{
		Name: p.Name, Title: p.Title, Repository: p.Repository, Second: p.Second, Source: p.Source, Schedule: p.Schedule,
		Zone: p.Zone, Keep: p.Keep, Drill: p.Drill, RTO: p.RTO, RPO: p.RPO, Enabled: p.Enabled,
	}
}

// Text writes the file.
func (f File) Text() ([]byte, error) {
	text, err := yaml.MarshalWithOptions(f, yaml.Indent(2))
	if err != nil {
		return nil, fmt.Errorf("write plan file: %w", err)
	}
	return text, nil
}
