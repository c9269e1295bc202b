package backupcmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"emrvault/appliance/secret"
	"emrvault/backup/plan"
	"emrvault/backup/storage/s3"
)

// bucketWords are what the environment says of a bucket. The box does not see
// the environment of the person who types, so they travel to it as standard
// input, as passwords do.
type bucketWords struct {
	Settings plan.StorageSettings `json:"settings"`
	Secret   string               `json:"secret"`
}

// maxWords bounds what is read of them; a private authority is the longest.
const maxWords = 1 << 20

// askBucket has the words of a bucket read before the verb runs: here, where the
// environment is, also when a running appliance carries the verb out.
func askBucket(env *Env, cmd *cobra.Command, file *string, into *bucketWords) {
	const flag = "bucket-stdin"
	sent := false
	cmd.Flags().BoolVar(&sent, flag, false, "")
	if err := cmd.Flags().MarkHidden(flag); err != nil {
		panic(err) // the flag was declared in the line before
	}
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if sent {
			return env.readWords(into)
		}
		if *file == "" || *file == "-" {
			return nil // one standard input cannot bring both
		}
		f, err := env.planFile(*file)
		if err != nil || !isRemote(f.Location) {
			return err
		}
		if *into, err = env.bucket(f.Location); err != nil || env.Carry == nil {
			return err
		}
		text, err := json.Marshal(into) //nolint:gosec // it travels over the socket of the box, as passwords do
		if err != nil {
			return fmt.Errorf("carry the key of %s: %w", f.Location, err)
		}
		env.Carry(bytes.NewReader(text), "--"+flag)
		return nil
	}
}

func (e *Env) readWords(into *bucketWords) error {
	text, err := io.ReadAll(io.LimitReader(e.In, maxWords))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("read the key of a bucket: %w", err)
	}
	return nil
}

// bucket reads the words of the environment.
func (e *Env) bucket(location string) (words bucketWords, err error) {
	s, err := s3.FromEnvironment(location, e.getenv)
	if err != nil {
		return words, err
	}
	authority := ""
	if s.CAFile != "" {
		text, err := os.ReadFile(e.path(s.CAFile))
		if err != nil {
			return words, fmt.Errorf("read the authority of %s: %w", location, err)
		}
		authority = string(text)
	}
	return bucketWords{Secret: s.SecretKey, Settings: plan.StorageSettings{
		Region: s.Region, Style: string(s.Style), AccessKey: s.AccessKey, CA: authority, Proxy: s.Proxy,
		LockDays: int(s.Lock / (24 * time.Hour)),
	}}, nil
}

// place is where the repository of a plan file is to be made.
func (w bucketWords) place(f plan.File) plan.Place {
	p := plan.Place{Name: f.Repository, Location: f.Location}
	if isRemote(f.Location) {
		p.Settings, p.Secret = w.Settings, secret.NewText(w.Secret)
	}
	return p
}
