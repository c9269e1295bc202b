package servicecmd

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"emrvault/appliance/errs"
	"emrvault/service/contract"
	"emrvault/service/ticket"
)

// ticketCommand gathers the verbs on tickets.
func ticketCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "ticket", Short: env.t("ticket.short")}
	cmd.AddCommand(newCommand(env), listCommand(env), showCommand(env), reportCommand(env),
		respondCommand(env), noteCommand(env), closeCommand(env))
	return cmd
}

// jsonFlag gives a verb its --json.
func jsonFlag(env *Env, cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, env.t("ticket.flag.json"))
}

// newOptions are the fields of the form, as typed.
type newOptions struct {
	draft    ticket.Draft
	channel  string
	reported string
}

func newCommand(env *Env) *cobra.Command {
	var o newOptions
	cmd := &cobra.Command{Use: "new", Short: env.t("ticket.new.short"), Args: cobra.NoArgs}
	f := cmd.Flags()
	f.IntVar(&o.draft.Item, "item", 0, env.t("ticket.flag.item"))
	f.StringVar(&o.draft.Module, "module", "", env.t("ticket.flag.module"))
	f.StringVar(&o.draft.Title, "title", "", env.t("ticket.flag.title"))
	f.StringVar(&o.draft.Description, "description", "", env.t("ticket.flag.description"))
	f.StringVar(&o.draft.Reporter, "reporter", "", env.t("ticket.flag.reporter"))
	f.StringVar(&o.draft.Department, "department", "", env.t("ticket.flag.department"))
	f.StringVar(&o.draft.Phone, "phone", "", env.t("ticket.flag.phone"))
	f.StringVar(&o.channel, "channel", string(contract.Phone), env.t("ticket.flag.channel"))
	f.StringVar(&o.reported, "reported", "", env.t("ticket.flag.reported"))
	f.StringVar(&o.draft.Reason, "reason", "", env.t("ticket.flag.reason"))
	asJSON := jsonFlag(env, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return env.newTicket(cmd.Context(), o, *asJSON)
	}
	return cmd
}

func (e *Env) newTicket(ctx context.Context, o newOptions, asJSON bool) (err error) {
	o.draft.Channel = contract.Channel(o.channel)
	if o.draft.Reported, err = e.moment(o.reported); err != nil {
		return err
	}
	return e.with(ctx, func(desk *ticket.Desk) error {
		t, err := desk.New(ctx, e.Actor, o.draft)
		if err != nil {
			return err
		}
		return e.printStarted(t, asJSON, "ticket.made")
	})
}

func reportCommand(env *Env) *cobra.Command {
	var report ticket.Report
	var channel string
	cmd := &cobra.Command{Use: "report NUMBER", Short: env.t("ticket.report.short"), Args: cobra.ExactArgs(1)}
	f := cmd.Flags()
	f.StringVar(&report.Reporter, "reporter", "", env.t("ticket.flag.reporter"))
	f.StringVar(&report.Department, "department", "", env.t("ticket.flag.department"))
	f.StringVar(&report.Phone, "phone", "", env.t("ticket.flag.phone"))
	f.StringVar(&channel, "channel", string(contract.Phone), env.t("ticket.flag.channel"))
	asJSON := jsonFlag(env, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		report.Channel = contract.Channel(channel)
		return env.with(cmd.Context(), func(desk *ticket.Desk) error {
			t, err := desk.ReportToVendor(cmd.Context(), env.Actor, args[0], report)
			if err != nil {
				return err
			}
			return env.printStarted(t, *asJSON, "ticket.reported")
		})
	}
	return cmd
}

func respondCommand(env *Env) *cobra.Command {
	var answer ticket.Answer
	var channel, at string
	cmd := &cobra.Command{Use: "respond NUMBER", Short: env.t("ticket.respond.short"), Args: cobra.ExactArgs(1)}
	f := cmd.Flags()
	f.StringVar(&answer.Engineer, "engineer", "", env.t("ticket.flag.engineer"))
	f.StringVar(&channel, "channel", string(contract.Phone), env.t("ticket.flag.channel"))
	f.StringVar(&answer.Proof, "proof", "", env.t("ticket.flag.proof"))
	f.StringVar(&at, "at", "", env.t("ticket.flag.at"))
	asJSON := jsonFlag(env, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		answer.Channel = contract.Channel(channel)
		if answer.At, err = env.moment(at); err != nil {
			return err
		}
		return env.respond(cmd.Context(), args[0], answer, *asJSON)
	}
	return cmd
}

func (e *Env) respond(ctx context.Context, number string, answer ticket.Answer, asJSON bool) error {
	return e.with(ctx, func(desk *ticket.Desk) error {
		t, err := desk.Respond(ctx, e.Actor, number, answer)
		if err != nil || asJSON {
			return e.jsonOr(err, t)
		}
		if t.Response.OffContract {
			if err := e.say("ticket.off_contract", "channel", t.Response.Channel.Title(e.Lang)); err != nil {
				return err
			}
		}
		return e.say("ticket.responded", "number", t.Number, "took", t.Response.At.Sub(t.Reported).Round(time.Second))
	})
}

func noteCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "note NUMBER", Short: env.t("ticket.note.short"), Args: cobra.ExactArgs(1)}
	text := cmd.Flags().String("text", "", env.t("ticket.flag.text"))
	asJSON := jsonFlag(env, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return env.with(cmd.Context(), func(desk *ticket.Desk) error {
			t, err := desk.Note(cmd.Context(), env.Actor, args[0], *text)
			if err != nil || *asJSON {
				return env.jsonOr(err, t)
			}
			return env.say("ticket.noted", "number", t.Number)
		})
	}
	return cmd
}

func closeCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "close NUMBER", Short: env.t("ticket.close.short"), Args: cobra.ExactArgs(1)}
	result := cmd.Flags().String("result", "", env.t("ticket.flag.result"))
	asJSON := jsonFlag(env, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return env.with(cmd.Context(), func(desk *ticket.Desk) error {
			t, err := desk.Close(cmd.Context(), env.Actor, args[0], *result)
			if err != nil || *asJSON {
				return env.jsonOr(err, t)
			}
			return env.say("ticket.ended", "number", t.Number)
		})
	}
	return cmd
}

func (e *Env) jsonOr(err error, t ticket.Ticket) error {
	if err != nil {
		return err
	}
	return e.json(e.shown(t))
}

// listOptions are the filter, as typed.
type listOptions struct {
	filter        ticket.Filter
	state, source string
}

func listCommand(env *Env) *cobra.Command {
	var o listOptions
	cmd := &cobra.Command{Use: "list", Short: env.t("ticket.list.short"), Args: cobra.NoArgs}
	f := cmd.Flags()
	f.StringVar(&o.state, "state", "", env.t("ticket.flag.state"))
	f.StringVar(&o.source, "source", "", env.t("ticket.flag.source"))
	f.BoolVar(&o.filter.Open, "open", false, env.t("ticket.flag.open"))
	f.BoolVar(&o.filter.Overdue, "overdue", false, env.t("ticket.flag.overdue"))
	f.IntVar(&o.filter.Item, "item", 0, env.t("ticket.flag.item"))
	f.StringVar(&o.filter.Module, "module", "", env.t("ticket.flag.module"))
	f.StringVar(&o.filter.Text, "search", "", env.t("ticket.flag.search"))
	f.IntVar(&o.filter.Limit, "limit", 0, env.t("ticket.flag.limit"))
	asJSON := jsonFlag(env, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return env.list(cmd.Context(), o, *asJSON)
	}
	return cmd
}

func (o *listOptions) read() error {
	if o.state != "" {
		if !slices.Contains(ticket.States(), ticket.State(o.state)) {
			return errs.New(errs.Invalid, "ticket.state_wrong", "state", o.state)
		}
		o.filter.States = []ticket.State{ticket.State(o.state)}
	}
	o.filter.Source = ticket.Source(o.source)
	if s := o.filter.Source; s != "" && s != ticket.Person && s != ticket.System {
		return errs.New(errs.Invalid, "ticket.source_wrong", "source", o.source)
	}
	return nil
}

func (e *Env) list(ctx context.Context, o listOptions, asJSON bool) error {
	if err := o.read(); err != nil {
		return err
	}
	return e.with(ctx, func(desk *ticket.Desk) error {
		list, total, err := desk.List(ctx, o.filter)
		if err != nil {
			return err
		}
		return e.printList(list, total, asJSON)
	})
}

func showCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{Use: "show NUMBER", Short: env.t("ticket.show.short"), Args: cobra.ExactArgs(1)}
	asJSON := jsonFlag(env, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return env.with(cmd.Context(), func(desk *ticket.Desk) error {
			t, err := desk.Get(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			lines, err := desk.Timeline(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return env.printTicket(t, lines, *asJSON)
		})
	}
	return cmd
}
