package console

import (
	"github.com/spf13/cobra"

	"emrvault/appliance/errs"
)

// Strict lets every verb below root answer a wrong word the same way: with what
// was wrong, how the verb is written, and an error of kind Invalid, which is
// exit code 2. Left to itself the parser shows a help text and exits 0 when
// a group of verbs does not know the word: a script would take that for done.
func Strict(root *cobra.Command) {
	root.SetFlagErrorFunc(wrongFlag)
	strict(root)
}

func strict(cmd *cobra.Command) {
	if cmd.HasSubCommands() {
		if !cmd.Runnable() {
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
		cmd.Args = noVerb
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return wrongArgs(cmd, check(cmd, args)) }
	}
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}

func noVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return errs.New(errs.Invalid, "cli.usage.verb", "verb", args[0], "group", cmd.CommandPath())
}

// wrongArgs gives words to the parser's own complaint; a verb that has told
// its complaint keeps it.
func wrongArgs(cmd *cobra.Command, err error) error {
	if err == nil || errs.KindOf(err) != errs.Internal {
		return err
	}
	return errs.New(errs.Invalid, "cli.usage.args", "usage", cmd.UseLine())
}

func wrongFlag(cmd *cobra.Command, err error) error {
	return errs.New(errs.Invalid, "cli.usage.flag", "usage", cmd.UseLine(), "error", err.Error())
}
