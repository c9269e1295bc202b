package appliancecmd

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func versionCommand(env *Env) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "version", Short: env.t("box.verb.version"), Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return showVersion(env, asJSON) },
	}
	jsonFlag(env, cmd, &asJSON)
	return cmd
}

func showVersion(env *Env, asJSON bool) error {
	if asJSON {
		return env.json(struct {
			Version
			Go       string `json:"go"`
			Platform string `json:"platform"`
		}{env.Version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH})
	}
	_, err := fmt.Fprintf(env.Out, "emrvault %s %s/%s %s\n", env.Version.Version, runtime.GOOS, runtime.GOARCH, env.Version.Commit)
	return err
}
