package appliancecmd

import (
	"strings"

	"github.com/spf13/cobra"

	"emrvault/appliance/config"
	"emrvault/appliance/errs"
	"emrvault/appliance/table"
)

func configCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: env.t("box.verb.config")}
	cmd.AddCommand(configShowCommand(env), configSetCommand(env))
	return cmd
}

// settingLine is one setting as `config show` prints it.
type settingLine struct {
	Key      string        `json:"key"`
	Value    string        `json:"value"`
	Origin   config.Origin `json:"origin"`
	Variable string        `json:"variable"` // of the environment, overrides the file
	Comment  string        `json:"comment"`
}

func configShowCommand(env *Env) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "show [KEY]", Short: env.t("box.verb.config.show"), Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return showConfig(env, args, asJSON) },
	}
	jsonFlag(env, cmd, &asJSON)
	return cmd
}

func showConfig(env *Env, only []string, asJSON bool) error {
	settings, err := config.Load(env.Layout.Settings(), env.Environ)
	if err != nil {
		return err
	}
	keys := config.Keys()
	if len(only) > 0 {
		if _, ok := settings.Get(only[0]); !ok {
			return errs.New(errs.Invalid, "config.unknown", "key", only[0], "known", strings.Join(keys, ", "))
		}
		keys = only
	}
	var rows [][]string
	for _, key := range keys {
		value, _ := settings.Get(key)
		line := settingLine{key, value, settings.Origin(key), config.Variable(key), config.Comment(env.Lang, key)}
		if asJSON {
			err = env.json(line)
		} else {
			rows = append(rows, []string{line.Key, dash(line.Value), env.t("config.origin." + string(line.Origin)), line.Comment})
		}
		if err != nil {
			return err
		}
	}
	return table.Write(env.Out, rows)
}

func dash(text string) string {
	if text == "" {
		return "—"
	}
	return text
}

func configSetCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use: "set KEY VALUE", Short: env.t("box.verb.config.set"), Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error { return setConfig(env, args[0], args[1]) },
	}
}

// setConfig changes the file alone; what the environment says stays out of it.
func setConfig(env *Env, key, value string) error {
	settings, err := config.LoadFile(env.Layout.Settings())
	if err != nil {
		return err
	}
	if err := settings.Set(key, value); err != nil {
		return err
	}
	if err := env.Layout.Make(); err != nil {
		return err
	}
	if err := settings.Save(env.Layout.Settings()); err != nil {
		return errs.Wrap(errs.Denied, err, "config.write", "path", env.Layout.Settings())
	}
	shown, _ := settings.Get(key)
	if err := env.say("config.changed", "key", key, "value", dash(shown)); err != nil {
		return err
	}
	for _, entry := range env.Environ {
		if strings.HasPrefix(entry, config.Variable(key)+"=") {
			return env.say("config.overridden", "variable", config.Variable(key))
		}
	}
	return nil
}
