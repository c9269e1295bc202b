// Command emrvault keeps an electronic medical record system recoverable and
// the maintenance contract between hospital and vendor honest.
//
// A verb is one call. Engine verbs ("repo", "source") need only a repository.
// Verbs of the box are carried out by the running appliance where one owns the
// data folder, and by this process otherwise; there are never two writers.
// "serve" opens the box, the one place where the wings meet: it hands each of
// them what it needs of the other, runs until it is told to stop, and closes
// everything in reverse.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"time"
	_ "time/tzdata" // Windows and small systems bring no zones

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"emrvault/appliance/appliancecmd"
	"emrvault/appliance/certificate"
	"emrvault/appliance/config"
	"emrvault/appliance/console"
	"emrvault/appliance/control"
	"emrvault/appliance/durable"
	"emrvault/appliance/errs"
	"emrvault/appliance/identity"
	"emrvault/appliance/jobs"
	"emrvault/appliance/osservice"
	"emrvault/appliance/secret"
	"emrvault/appliance/store"
	"emrvault/backup/backupcmd"
	"emrvault/backup/drill"
	"emrvault/backup/plan"
	"emrvault/backup/run"
	"emrvault/service/servicecmd"
	"emrvault/service/ticket"
	"emrvault/webui"
	"emrvault/webui/security"
)

// Set by the build.
var (
	version = "development"
	built   = ""
)

func main() {
	// Most of the memory of a backup is packs, which cost nothing to look
	// through: looking four times as often quarters the waste and takes no time.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
	if err := store.KeepLocks(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	typed, err := console.Typed()
	if err != nil {
		os.Exit(typed.Exit(err, backupcmd.ExitCode))
	}
	os.Exit((&call{Call: typed}).carryOut(console.Interruptible()))
}

// box is the appliance: everything that one data folder holds, opened.
type box struct {
	layout   config.Layout
	lock     *config.Lock
	settings *config.Live
	log      *slog.Logger

	store     *store.Store
	secrets   *secret.Box
	people    *identity.Directory
	jobs      *jobs.Manager
	book      *plan.Book
	runner    *run.Runner
	drills    *drill.Drills
	scheduler *run.Scheduler
	desk      *ticket.Desk

	close []func() error // what Close calls, last opened first
}

// openBox takes the data folder and opens the parts in their order. Nothing
// runs yet. environ overrides settings; log may be nil for silence.
func openBox(ctx context.Context, layout config.Layout, environ []string, log *slog.Logger) (b *box, err error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	b = &box{layout: layout, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if err := b.openGround(ctx, environ); err != nil {
		return b, err
	}
	b.openWings()
	return b, nil
}

// openGround opens what every wing stands on.
func (b *box) openGround(ctx context.Context, environ []string) (err error) {
	if err := b.layout.Make(); err != nil {
		return err
	}
	if b.lock, err = b.layout.Lock(); err != nil {
		return err
	}
	b.close = append(b.close, b.lock.Unlock)
	if b.settings, err = config.Open(b.layout, environ); err != nil {
		return err
	}
	if b.store, err = store.Open(ctx, b.layout.Database(), time.Now); err != nil {
		return err
	}
	b.close = append(b.close, b.store.Close)
	b.secrets, err = secret.OpenFor(ctx, b.layout, b.store)
	return err
}

// openWings hands each wing what it needs.
func (b *box) openWings() {
	zone := b.settings.Current().Zone
	b.people = identity.New(b.store, identity.Options{})
	b.jobs = jobs.New(b.store, jobs.Options{Log: b.log})
	b.book = plan.NewBook(b.store, zone)
	b.desk = ticket.NewDesk(b.store, zone)
	b.runner = run.New(run.Parts{
		Store: b.store, Book: b.book, Box: b.secrets, Jobs: b.jobs, Layout: b.layout,
		Desk: deskOf{b}, Host: console.Host(), Version: version, Log: b.log, Now: time.Now,
	})
	b.close = append(b.close, b.runner.Close)
	b.drills = drill.New(b.runner)
	b.scheduler = run.NewScheduler(b.runner)
}

// Close closes the parts, last opened first.
func (b *box) Close() error {
	var all []error
	for _, fn := range slices.Backward(b.close) {
		all = append(all, fn())
	}
	b.close = nil
	return errors.Join(all...)
}

// work carries out jobs until ctx ends. Before the first one it clears away
// what a dead process left: its locks and the scratch of its drills.
func (b *box) work(ctx context.Context) error {
	if err := b.runner.Start(ctx); err != nil {
		return err
	}
	if n, err := b.drills.CleanScratch(ctx); err != nil {
		return err
	} else if n > 0 {
		b.log.InfoContext(ctx, "removed what interrupted drills had left", "folders", n)
	}
	return b.jobs.Run(ctx)
}

// together runs the jobs and beside them the rest, until that ends or ctx does.
func (b *box) together(ctx context.Context, beside func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return quiet(b.work(ctx)) })
	group.Go(func() error {
		defer stop()
		return beside(ctx)
	})
	return quiet(group.Wait())
}

// quiet drops the error that only says somebody asked to stop.
func quiet(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// face runs what people see of the box: schedule, control socket, page. ready
// hears the page's address and, until there is an administrator, the one-time
// setup link.
func (b *box) face(ctx context.Context, listen string, plain bool, ready func(address, setup string)) error {
	page, listener, err := b.page(ctx, listen, plain)
	if err != nil {
		return err
	}
	address := webui.Address(listener, plain)
	link := b.setupLink()
	setup, err := link.Renew(ctx, address)
	if err == nil {
		err = durable.WriteFile(b.layout.PageAddress(), []byte(address+"\n"), 0o600)
	}
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return quiet(b.scheduler.Run(ctx)) })
	group.Go(func() error { return quiet(control.Serve(ctx, b.layout.Socket(), b.answer)) })
	group.Go(func() error { return quiet(page.Serve(ctx, listener)) })
	group.Go(func() error { return identity.NewSessions(b.store).Sweep(ctx, b.log) })
	group.Go(func() error { return link.Keep(ctx, address, b.log) })
	b.log.InfoContext(ctx, "serving", "address", address, "version", version)
	ready(address, setup)
	return group.Wait()
}

// page builds the site and takes its port.
func (b *box) page(ctx context.Context, listen string, plain bool) (*webui.Server, net.Listener, error) {
	hosts, err := certificate.Hosts(append(b.settings.Current().Hosts, listen)...)
	if err != nil {
		return nil, nil, err
	}
	parts := webui.Parts{
		Version: version, Now: time.Now, Log: b.log, Site: b.site(hosts),
		Sessions: identity.NewSessions(b.store), Users: b.people, Settings: settings{b.settings, b.secrets},
		Start: security.Start{
			Link: b.setupLink(), Storage: b.runner.Repositories(), Places: b.book, Folder: b.layout.Data + "-repository",
		},
		Tickets: b.desk.Unfinished, Jobs: b.jobs, Book: b.book, Desk: b.desk,
		Runner: b.runner, Repositories: b.runner.Repositories(), Drills: b.drills,
	}
	if !plain {
		authority, err := certificate.Ensure(ctx, b.layout.Certificates(), b.secrets, hosts, time.Now)
		if err != nil {
			return nil, nil, err
		}
		parts.TLS, parts.Certificate = authority.TLSConfig(), authority
	}
	server, err := webui.New(parts)
	if err != nil {
		return nil, nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, nil, errs.Wrap(errs.Busy, err, "serve.listen", "address", listen)
	}
	return server, listener, nil
}

// site is what the administrator set, as it is now. The zone is the one the
// plans run by: a new one holds from the next start, for all alike.
func (b *box) site(hosts []string) func() webui.Site {
	return func() webui.Site {
		s := b.settings.Current()
		return webui.Site{
			Name: s.SiteName, Lang: s.Language, Zone: b.book.Site(), Hosts: hosts,
			SessionIdle: s.SessionIdle, SessionLife: s.SessionLife,
		}
	}
}

func (b *box) setupLink() *identity.Link { return identity.NewLink(b.people, b.layout.SetupLink()) }

// settings are the box's settings as the page sees them.
type settings struct {
	*config.Live
	*secret.Box
}

// deskOf lets the backup wing open tickets. A ticket of the box is written in
// the language of the house.
type deskOf struct{ box *box }

// OpenSystem opens a ticket of source 系统.
func (d deskOf) OpenSystem(ctx context.Context, dedup string, subject, text plan.Note) error {
	lang := d.box.settings.Current().Language
	_, _, err := d.box.desk.OpenSystem(ctx, ticket.Trouble{
		Dedup: dedup, Item: 2, Module: "M11", Title: subject.In(lang), Description: text.In(lang),
	})
	return err
}

// answer carries out a verb that another process sent over the control socket.
func (b *box) answer(ctx context.Context, req control.Request, stdout, stderr io.Writer) int {
	c := &call{Call: console.Sent(req, b.layout, stdout, stderr), box: b}
	return c.carryOut(ctx)
}

// call is one verb with what carries it out.
type call struct {
	*console.Call
	box *box // nil at a console: opened for verbs that need it
}

func (c *call) carryOut(ctx context.Context) int {
	return c.Exit(c.root().ExecuteContext(ctx), backupcmd.ExitCode)
}

// root gathers the three command sets and what only the front door can do.
func (c *call) root() *cobra.Command {
	root := &cobra.Command{
		Use: "emrvault", Short: c.Lang.T("main.short"), Long: c.Lang.T("main.short") + "\n\n" + c.Lang.T("main.codes"),
		SilenceErrors: true, SilenceUsage: true,
	}
	c.Flags(root)
	for _, set := range [][]*cobra.Command{c.backupVerbs(), c.serviceVerbs(), c.applianceVerbs()} {
		root.AddCommand(c.ViaBox(set, ofBox)...)
	}
	if !c.Here() {
		root.AddCommand(c.serveVerb(), c.demoVerb())
	}
	console.Strict(root)
	return root
}

// ofBox are the verbs that the running appliance carries out when there is one.
var ofBox = []string{"plan", "backup", "points", "restore", "drill", "ticket", "user"}

// opened gives the box that is open here, or opens it for one verb. With
// working set its jobs run as soon as the verb hands one in; letting go then
// waits for it and for what follows from it, as a backup's drill.
func (c *call) opened(ctx context.Context, working bool) (*box, func() error, error) {
	if c.box != nil {
		return c.box, func() error { return nil }, nil
	}
	b, err := openBox(ctx, c.Layout, c.Environ, nil)
	if err != nil || !working {
		return b, b.Close, err
	}
	finish := b.jobs.OnDemand(ctx, b.work)
	return b, func() error { return errors.Join(finish(), b.Close()) }, nil
}

func (c *call) backupEnv() *backupcmd.Env {
	return &backupcmd.Env{
		Out: c.Out, Err: c.Err, In: c.In, Lang: c.Lang, Getenv: c.Getenv, Dir: c.Dir, Terminal: c.Terminal,
		Version: version, Actor: c.Actor, Carry: c.Carry,
		Appliance: func(ctx context.Context) (*backupcmd.Appliance, func() error, error) {
			b, release, err := c.opened(ctx, true)
			if err != nil {
				return nil, nil, err
			}
			return b.forVerbs(), release, nil
		},
	}
}

func (b *box) forVerbs() *backupcmd.Appliance {
	return &backupcmd.Appliance{Book: b.book, Runner: b.runner, Drills: b.drills, Jobs: b.jobs}
}

func (c *call) backupVerbs() []*cobra.Command { return backupcmd.Commands(c.backupEnv()) }

func (c *call) serviceVerbs() []*cobra.Command {
	env := &servicecmd.Env{In: c.In, Out: c.Out, Err: c.Err, Lang: c.Lang, Actor: c.Actor, Now: time.Now}
	env.Desk = func(ctx context.Context) (*ticket.Desk, func() error, error) {
		b, release, err := c.opened(ctx, false)
		if err != nil {
			return nil, nil, err
		}
		env.Zone = b.settings.Current().Zone
		return b.desk, release, nil
	}
	return servicecmd.Commands(env)
}

func (c *call) applianceVerbs() []*cobra.Command {
	return appliancecmd.Commands(&appliancecmd.Env{
		In: c.In, Out: c.Out, Err: c.Err, Lang: c.Lang, Layout: c.Layout, Environ: c.Environ, Now: time.Now, Actor: c.Actor,
		Version: appliancecmd.Version{Version: version, Built: built}, Carry: c.Carry,
		People: func(ctx context.Context) (*identity.Directory, func() error, error) {
			b, release, err := c.opened(ctx, false)
			if err != nil {
				return nil, nil, err
			}
			return b.people, release, nil
		},
	})
}

func (c *call) serveVerb() *cobra.Command {
	cmd := &cobra.Command{Use: "serve", Short: c.Lang.T("serve.short"), Args: cobra.NoArgs}
	listen := cmd.Flags().String("listen", "", c.Lang.T("serve.flag.listen"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return osservice.Run(cmd.Context(), func(ctx context.Context) error { return c.serve(ctx, *listen) })
	}
	return cmd
}

func (c *call) serve(ctx context.Context, listen string) (err error) {
	level := new(slog.LevelVar)
	b, err := openBox(ctx, c.Layout, c.Environ, slog.New(slog.NewTextHandler(c.Err, &slog.HandlerOptions{Level: level})))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	level.Set(b.settings.Current().LogLevel)
	if listen == "" {
		listen = b.settings.Current().Listen
	}
	return b.together(ctx, func(ctx context.Context) error { return b.face(ctx, listen, false, c.ready) })
}

// ready tells the person where the page is.
func (c *call) ready(address, setup string) {
	fmt.Fprintln(c.Out, c.Lang.T("serve.ready", "address", address))
	if setup != "" {
		fmt.Fprintln(c.Out, c.Lang.T("serve.setup", "link", setup))
	}
}

// demoVerb plays the main job on a sample EMR, then shows the page.
func (c *call) demoVerb() *cobra.Command {
	story := backupcmd.Demo{Actor: c.Actor}
	return story.Command(c.backupEnv(), c.Data, func(ctx context.Context, story backupcmd.Demo, listen string) (err error) {
		b, err := openBox(ctx, config.NewLayout(story.Dir), c.Environ, nil)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.Close()) }()
		return b.together(ctx, func(ctx context.Context) error {
			if err := story.Run(ctx, c.backupEnv(), b.forVerbs()); err != nil || listen == "" {
				return err
			}
			return b.face(ctx, listen, true, c.ready)
		})
	})
}
