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
	"os/user"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // Windows and small systems bring no zones

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"emrvault/appliance/appliancecmd"
	"emrvault/appliance/certificate"
	"emrvault/appliance/config"
	"emrvault/appliance/control"
	"emrvault/appliance/durable"
	"emrvault/appliance/errs"
	"emrvault/appliance/identity"
	"emrvault/appliance/jobs"
	"emrvault/appliance/locale"
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

func main() { os.Exit(console().carryOut(context.Background())) }

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
	b.secrets, err = secret.Open(b.layout)
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
		Desk: deskOf{b}, Host: hostname(), Version: version, Log: b.log, Now: time.Now,
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
	address := addressOf(listener, plain)
	setup, err := b.setupLink(ctx, address)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return quiet(b.scheduler.Run(ctx)) })
	group.Go(func() error { return quiet(control.Serve(ctx, b.layout.Socket(), b.answer)) })
	group.Go(func() error { return quiet(page.Serve(ctx, listener)) })
	group.Go(func() error { return sweep(ctx, identity.NewSessions(b.store), b.log) })
	b.log.InfoContext(ctx, "serving", "address", address, "version", version)
	ready(address, setup)
	return group.Wait()
}

// page builds the site and takes its port.
func (b *box) page(ctx context.Context, listen string, plain bool) (*webui.Server, net.Listener, error) {
	hosts, err := b.hosts(listen)
	if err != nil {
		return nil, nil, err
	}
	parts := webui.Parts{
		Version: version, Now: time.Now, Log: b.log, Site: b.site(hosts),
		Sessions: identity.NewSessions(b.store), Users: b.people, Settings: settings{b.settings, b.secrets},
		Start: security.Start{
			Link: b.people, Storage: b.runner.Repositories(), Places: b.book, Folder: b.layout.Data + "-repository",
		},
		Tickets: b.openTickets, Jobs: b.jobs, Book: b.book, Desk: b.desk,
	}
	if !plain {
		authority, err := certificate.Ensure(ctx, b.layout.Secret(), b.secrets, hosts, time.Now)
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

// hosts are the names and addresses under which the page may be called.
func (b *box) hosts(listen string) ([]string, error) {
	hosts, err := certificate.Hosts()
	if err != nil {
		return nil, err
	}
	if host, _, err := net.SplitHostPort(listen); err == nil && host != "" {
		hosts = append(hosts, host)
	}
	return append(hosts, b.settings.Current().Hosts...), nil
}

// site is what the administrator set, as it is now.
func (b *box) site(hosts []string) func() webui.Site {
	return func() webui.Site {
		s := b.settings.Current()
		return webui.Site{
			Name: s.SiteName, Lang: s.Language, Zone: s.Zone, Hosts: hosts,
			SessionIdle: s.SessionIdle, SessionLife: s.SessionLife,
		}
	}
}

// setupLink makes the one-time link while there is no administrator, and keeps
// it where only the owner of the data folder can read it.
func (b *box) setupLink(ctx context.Context, address string) (string, error) {
	open, err := b.people.SetupOpen(ctx)
	if err != nil {
		return "", err
	}
	if !open {
		if err := os.Remove(b.layout.SetupLink()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("remove the old setup link: %w", err)
		}
		return "", nil
	}
	token, _, err := b.people.SetupToken(ctx)
	if err != nil {
		return "", err
	}
	link := address + "/setup/" + token
	return link, durable.WriteFile(b.layout.SetupLink(), []byte(link+"\n"), 0o600)
}

func (b *box) openTickets(ctx context.Context) (int, error) {
	stats, err := b.desk.Stats(ctx, time.Time{})
	return stats.Open, err
}

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

// sweep forgets sessions that have ended, now and every hour.
func sweep(ctx context.Context, sessions *identity.Sessions, log *slog.Logger) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := sessions.Clean(ctx); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "old sessions could not be cleared", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// addressOf is the page's address as a person types it. A listener on all
// addresses is named by the host.
func addressOf(l net.Listener, plain bool) string {
	scheme := "https"
	if plain {
		scheme = "http"
	}
	host, port, err := net.SplitHostPort(l.Addr().String())
	if ip := net.ParseIP(host); err != nil || ip == nil || ip.IsUnspecified() {
		host = hostname()
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

func hostname() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}

// call is one verb, wherever it was typed and wherever it is carried out.
type call struct {
	args     []string
	in       io.Reader
	out, err io.Writer
	lang     locale.Lang
	dir      string // folder that relative paths start from
	actor    string // "console:<OS user>"
	environ  []string
	terminal bool
	data     string // the flag
	box      *box   // nil at a console: the box is asked, or opened when nobody has it
}

// console is a call as it was typed here.
func console() *call {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	lang, _ := locale.Parse(os.Getenv("EMRVAULT_LANG"))
	return &call{
		args: os.Args[1:], in: os.Stdin, out: os.Stdout, err: os.Stderr, lang: lang,
		actor: "console:" + name, environ: os.Environ(), terminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
}

// answer carries out a verb that another process sent over the control socket.
func (b *box) answer(ctx context.Context, req control.Request, stdout, stderr io.Writer) int {
	lang, _ := locale.Parse(req.Lang)
	c := &call{args: req.Args, in: req.Stdin, out: stdout, err: stderr, lang: lang, dir: req.Dir, actor: req.User, box: b}
	return c.carryOut(ctx)
}

// carryOut runs the verb and gives the exit code.
func (c *call) carryOut(ctx context.Context) int {
	if word := flagWord(c.args, "--lang"); word != "" {
		c.lang, _ = locale.Parse(word)
	}
	layout, err := c.layout()
	if err != nil {
		return c.exit(err)
	}
	root := c.root(layout)
	root.SetArgs(c.args)
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	return c.exit(root.ExecuteContext(ctx))
}

func (c *call) layout() (config.Layout, error) {
	if c.box != nil {
		return c.box.layout, nil
	}
	dir, err := config.DataDir(flagWord(c.args, "--data"))
	return config.NewLayout(dir), err
}

// flagWord finds the value of a flag before the command is built: texts want
// the language, and verbs the data folder, earlier than the parser comes.
func flagWord(args []string, name string) string {
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, name+"="); ok {
			return value
		}
		if arg == name && i+1 < len(args) {
			return args[i+1]
		}
		if arg == "--" {
			break
		}
	}
	return ""
}

// exit tells an error to the person and gives its code.
func (c *call) exit(err error) int {
	var elsewhere exitCode
	if errors.As(err, &elsewhere) {
		return int(elsewhere)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(c.err, c.lang.T("main.error", "text", c.lang.Error(err)))
	if detail := c.lang.Detail(err); detail != "" {
		fmt.Fprintln(c.err, c.lang.T("main.detail", "text", detail))
	}
	return backupcmd.ExitCode(err)
}

// exitCode is that of a verb which another process has carried out and told.
type exitCode int

// Error gives the code.
func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// root gathers the three command sets and what only the front door can do.
func (c *call) root(layout config.Layout) *cobra.Command {
	root := &cobra.Command{
		Use: "emrvault", Short: c.lang.T("main.short"), Long: c.lang.T("main.short") + "\n\n" + c.lang.T("main.codes"),
		SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs,
	}
	root.PersistentFlags().StringVar(&c.data, "data", "", c.lang.T("main.flag.data"))
	root.PersistentFlags().String("lang", "", c.lang.T("main.flag.lang"))
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", backupcmd.ErrUsage, err) })
	for _, set := range [][]*cobra.Command{c.backupVerbs(layout), c.serviceVerbs(layout), c.applianceVerbs(layout)} {
		root.AddCommand(set...)
	}
	if c.box == nil {
		root.AddCommand(c.serveVerb(layout), c.demoVerb())
	}
	return root
}

// ofBox are the verbs that the running appliance carries out when there is one.
var ofBox = []string{"plan", "backup", "points", "restore", "drill", "ticket", "user"}

// viaBox lets verbs of the box be carried out where the box is open.
func (c *call) viaBox(layout config.Layout, verbs []*cobra.Command) []*cobra.Command {
	for _, verb := range verbs {
		if !verb.HasParent() && !slices.Contains(ofBox, verb.Name()) {
			continue
		}
		c.viaBox(layout, verb.Commands())
		if here := verb.RunE; here != nil && c.box == nil {
			verb.RunE = func(cmd *cobra.Command, args []string) error {
				code, err := c.elsewhere(cmd.Context(), layout)
				if errors.Is(err, control.ErrNotRunning) {
					return here(cmd, args)
				}
				return errors.Join(err, code)
			}
		}
	}
	return verbs
}

func (c *call) elsewhere(ctx context.Context, layout config.Layout) (code exitCode, err error) {
	dir, err := os.Getwd()
	if err != nil {
		return 1, err
	}
	n, err := control.Call(ctx, layout.Socket(), control.Request{Args: c.args, Lang: string(c.lang), Dir: dir}, c.in, c.out, c.err)
	return exitCode(n), err
}

// opened gives the box that is running here, or opens it for one verb. With
// working set its jobs run meanwhile.
func (c *call) opened(ctx context.Context, layout config.Layout, working bool) (*box, func() error, error) {
	if c.box != nil {
		return c.box, func() error { return nil }, nil
	}
	b, err := openBox(ctx, layout, c.environ, nil)
	if err != nil || !working {
		return b, b.Close, err
	}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- quiet(b.work(ctx)) }()
	return b, func() error {
		stop()
		return errors.Join(<-done, b.Close())
	}, nil
}

func (c *call) backupEnv(layout config.Layout) *backupcmd.Env {
	return &backupcmd.Env{
		Out: c.out, Err: c.err, In: c.in, Lang: c.lang, Getenv: c.getenv, Dir: c.dir, Terminal: c.terminal, Version: version,
		Actor: c.actor,
		Appliance: func(ctx context.Context) (*backupcmd.Appliance, func() error, error) {
			b, release, err := c.opened(ctx, layout, true)
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

func (c *call) backupVerbs(layout config.Layout) []*cobra.Command {
	return c.viaBox(layout, backupcmd.Commands(c.backupEnv(layout)))
}

func (c *call) serviceVerbs(layout config.Layout) []*cobra.Command {
	env := &servicecmd.Env{In: c.in, Out: c.out, Err: c.err, Lang: c.lang, Actor: c.actor, Now: time.Now}
	env.Desk = func(ctx context.Context) (*ticket.Desk, func() error, error) {
		b, release, err := c.opened(ctx, layout, false)
		if err != nil {
			return nil, nil, err
		}
		env.Zone = b.settings.Current().Zone
		return b.desk, release, nil
	}
	return c.viaBox(layout, servicecmd.Commands(env))
}

func (c *call) applianceVerbs(layout config.Layout) []*cobra.Command {
	env := &appliancecmd.Env{
		In: c.in, Out: c.out, Err: c.err, Lang: c.lang, Layout: layout, Environ: c.environ, Now: time.Now, Actor: c.actor,
		Version: appliancecmd.Version{Version: version, Built: built},
	}
	env.People = func(ctx context.Context) (*identity.Directory, func() error, error) {
		b, release, err := c.opened(ctx, layout, false)
		if err != nil {
			return nil, nil, err
		}
		return b.people, release, nil
	}
	return c.viaBox(layout, appliancecmd.Commands(env))
}

func (c *call) getenv(name string) string {
	for _, entry := range slices.Backward(c.environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

func (c *call) serveVerb(layout config.Layout) *cobra.Command {
	cmd := &cobra.Command{Use: "serve", Short: c.lang.T("serve.short"), Args: cobra.NoArgs}
	listen := cmd.Flags().String("listen", "", c.lang.T("serve.flag.listen"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return osservice.Run(cmd.Context(), func(ctx context.Context) error { return c.serve(ctx, layout, *listen) })
	}
	return cmd
}

func (c *call) serve(ctx context.Context, layout config.Layout, listen string) (err error) {
	level := new(slog.LevelVar)
	b, err := openBox(ctx, layout, c.environ, slog.New(slog.NewTextHandler(c.err, &slog.HandlerOptions{Level: level})))
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
	fmt.Fprintln(c.out, c.lang.T("serve.ready", "address", address))
	if setup != "" {
		fmt.Fprintln(c.out, c.lang.T("serve.setup", "link", setup))
	}
}

// demoOptions are the flags of demo.
type demoOptions struct {
	size, listen string
	once         bool
}

func (c *call) demoVerb() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{Use: "demo", Short: c.lang.T("demo.short"), Args: cobra.NoArgs}
	cmd.Flags().StringVar(&o.size, "size", "300M", c.lang.T("demo.flag.size"))
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:8080", c.lang.T("demo.flag.listen"))
	cmd.Flags().BoolVar(&o.once, "once", false, c.lang.T("demo.flag.once"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return osservice.Run(cmd.Context(), func(ctx context.Context) error { return c.demo(ctx, o) })
	}
	return cmd
}

// demo plays the main job on a sample EMR, then shows the page. It keeps away
// from the place where the real box has its data.
func (c *call) demo(ctx context.Context, o demoOptions) (err error) {
	size, err := humanize.ParseBytes(o.size)
	if err != nil || size == 0 {
		return errs.Wrap(errs.Invalid, backupcmd.ErrUsage, "demo.size", "value", o.size)
	}
	if host, _, err := net.SplitHostPort(o.listen); err != nil || host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return errs.Wrap(errs.Invalid, backupcmd.ErrUsage, "demo.loopback", "address", o.listen)
	}
	dir := c.data
	if dir == "" {
		dir = c.getenv("EMRVAULT_DATA")
	}
	if dir == "" {
		dir = "emrvault-demo"
	}
	if dir, err = config.DataDir(dir); err != nil {
		return err
	}
	layout := config.NewLayout(dir)
	b, err := openBox(ctx, layout, c.environ, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return b.together(ctx, func(ctx context.Context) error {
		story := backupcmd.Demo{Dir: dir, Size: int64(size), Actor: c.actor}
		if err := story.Run(ctx, c.backupEnv(layout), b.forVerbs()); err != nil || o.once {
			return err
		}
		return b.face(ctx, o.listen, true, func(address, setup string) {
			c.ready(address, setup)
			fmt.Fprintln(c.out, c.lang.T("serve.stop"))
		})
	})
}
