package backupcmd

import (
	"slices"

	"github.com/spf13/cobra"

	"emrvault/backup/repository"
)

// writeFlags say how fresh data is stored.
type writeFlags struct {
	readBack, compression string
	packSize              int // MiB; 0: the usual
}

// add gives the flags to a verb that stores data.
func (f *writeFlags) add(cmd *cobra.Command, env *Env) {
	cmd.Flags().StringVar(&f.readBack, "read-back", "full", env.t("cli.flag.read-back"))
	cmd.Flags().StringVar(&f.compression, "compression", repository.CompressFastest.String(), env.t("cli.flag.compression"))
	cmd.Flags().IntVar(&f.packSize, "pack-size", 0, env.t("cli.flag.pack-size"))
}

// Packs of other sizes than these are refused: smaller ones are too many
// files, larger ones too much memory.
const minPack, maxPack = 4, 128 // MiB

// options opens a repository as the flags say; verbs without the flags leave
// them empty.
func (f *writeFlags) options(others []repository.Option) ([]repository.Option, error) {
	opts := slices.Clone(others)
	if f.readBack != "" {
		verify, err := repository.ParseVerify(f.readBack)
		if err != nil {
			return nil, usage("cli.usage.read-back", "value", f.readBack)
		}
		opts = append(opts, repository.WithVerify(verify))
	}
	if f.compression != "" {
		compression, err := repository.ParseCompression(f.compression)
		if err != nil {
			return nil, usage("cli.usage.compression", "value", f.compression)
		}
		opts = append(opts, repository.WithCompression(compression))
	}
	switch {
	case f.packSize == 0:
	case f.packSize < minPack || f.packSize > maxPack:
		return nil, usage("cli.usage.pack-size", "value", f.packSize, "min", minPack, "max", maxPack)
	default:
		opts = append(opts, repository.WithPackSize(f.packSize<<20))
	}
	return opts, nil
}
