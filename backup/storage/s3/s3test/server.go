// Package s3test gives tests a real S3 server, and a proxy before it that does
// to requests what bad networks and bad servers do.
//
// The server is versitygw, kept by `./build.sh test --install`; a test that
// does not find it on PATH is skipped and says so. One server serves a whole
// test package:
//
//	func TestMain(m *testing.M) { os.Exit(s3test.Main(m)) }
//
//	settings := s3test.Shared(t).Settings(t)            // a bucket of its own
//	settings := s3test.Shared(t).Settings(t, s3test.Locking)
//	proxy := s3test.NewProxy(t, settings.Endpoint)      // then settings.Endpoint = proxy.URL()
//
// Other servers are named by EMRVAULT_S3_ENDPOINT, EMRVAULT_S3_BUCKET,
// EMRVAULT_S3_ACCESS_KEY, EMRVAULT_S3_SECRET_KEY and, where wanted,
// EMRVAULT_S3_REGION, EMRVAULT_S3_CA and EMRVAULT_S3_STYLE; see Other.
package s3test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"emrvault/backup/storage/s3"
)

// What every server of these tests is opened with.
const (
	AccessKey = "emrvault-test"
	SecretKey = "not-a-secret-of-anybody"
	Region    = "us-east-1"
)

// Server is an S3 server on this machine.
type Server struct {
	Endpoint string // "http://127.0.0.1:port"
	dir      string
	stop     func() error
}

// Option changes how a server is started or a bucket is made.
type Option int

const (
	// Locking makes buckets with versions and object lock.
	Locking Option = iota
	// Versions makes buckets that keep versions.
	Versions
)

// shared is the one server of a test package.
type shared struct {
	sync.Mutex
	main   bool // Main runs, so somebody will stop it
	server *Server
	err    error
}

var common shared

// Main runs the tests of a package and stops their server.
func Main(m *testing.M) int {
	common.main = true
	code := m.Run()
	if common.server != nil {
		if err := common.server.close(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the S3 server:", err)
			code = max(code, 1)
		}
	}
	return code
}

// Shared gives the package's server; the first call starts it. Without
// versitygw the test is skipped.
func Shared(t testing.TB) *Server {
	t.Helper()
	program := find(t)
	common.Lock()
	defer common.Unlock()
	if !common.main {
		t.Fatal("TestMain must call s3test.Main, so that the server is stopped")
	}
	if common.server == nil && common.err == nil {
		common.server, common.err = start(program)
	}
	if common.err != nil {
		t.Fatalf("start the S3 server: %v", common.err)
	}
	return common.server
}

// Start gives a server of the test's own, stopped when it ends. More words are
// handed to versitygw before its storage, like "--cert", file.
func Start(t testing.TB, more ...string) *Server {
	t.Helper()
	s, err := start(find(t), more...)
	if err != nil {
		t.Fatalf("start the S3 server: %v", err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Errorf("stop the S3 server: %v", err)
		}
	})
	return s
}

func find(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("versitygw")
	if err != nil {
		t.Skip("needs the S3 server versitygw: ./build.sh test --install brings it")
	}
	return program
}

// start begins a server and waits until it answers. Its port is free when it
// is chosen; should another program take it first, the next try has another.
func start(program string, more ...string) (*Server, error) {
	var err error
	for range 3 {
		var s *Server
		if s, err = startOnce(program, more); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func startOnce(program string, more []string) (*Server, error) {
	dir, err := os.MkdirTemp("", "s3test")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	for _, folder := range []string{"data", "versions"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			return nil, err
		}
	}
	address, err := freePort()
	if err != nil {
		return nil, err
	}
	args := append([]string{"--port", address, "--access", AccessKey, "--secret", SecretKey, "--region", Region, "--quiet", "--keep-alive"}, more...)
	args = append(args, "posix", "--versioning-dir", filepath.Join(dir, "versions"), filepath.Join(dir, "data"))
	s.Endpoint = "http://" + address
	if err := s.run(program, args, address); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// run starts the program and waits until its port opens. It dies with us, even
// if we are killed.
func (s *Server) run(program string, args []string, address string) error {
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = s.dir
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	dieWithUs(cmd)
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		// Where a child dies with its parent, it is the parent's thread that counts.
		runtime.LockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // It is killed in the end, which is an error, too.
		}
	}()
	s.stop = func() error {
		cancel()
		<-ended
		return os.RemoveAll(s.dir)
	}
	if err := <-started; err != nil {
		cancel()
		return err
	}
	if err := wait(address, ended); err != nil {
		cancel()
		<-ended
		return fmt.Errorf("%w: %s", err, said.String())
	}
	return nil
}

// wait returns when something listens at the address.
func wait(address string, ended <-chan struct{}) error {
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if conn, err := net.Dial("tcp", address); err == nil {
			return conn.Close()
		}
		select {
		case <-ended:
			return errors.New("versitygw ended at once")
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("versitygw does not listen")
}

func (s *Server) close() error { return s.stop() }

// Settings make a new bucket and say how it is opened.
func (s *Server) Settings(t testing.TB, options ...Option) s3.Settings {
	t.Helper()
	settings := s3.Settings{
		Endpoint: s.Endpoint, Bucket: "b-" + strings.ToLower(rand.Text()), Region: Region,
		AccessKey: AccessKey, SecretKey: SecretKey, Proxy: "direct",
	}
	MakeBucket(t, settings, options...)
	return settings
}

// AddKey makes another user, who may do nothing yet. The server must have been
// started with "--iam-dir", folder.
func (s *Server) AddKey(t testing.TB, access, secret string) {
	t.Helper()
	out, err := exec.Command(find(t), "admin", "--access", AccessKey, "--secret", SecretKey, "--endpoint-url", s.Endpoint,
		"create-user", "--access", access, "--secret", secret, "--role", "user").CombinedOutput()
	if err != nil {
		t.Fatalf("make a user of the S3 server: %v: %s", err, out)
	}
}

// Client speaks to a server without our storage in between: for attackers, and
// for what only an administrator does. Its server must not want a private
// authority.
func Client(t testing.TB, settings s3.Settings) *minio.Client {
	t.Helper()
	scheme, host, _ := strings.Cut(settings.Endpoint, "://")
	client, err := minio.New(host, &minio.Options{
		Creds:  credentials.NewStaticV4(settings.AccessKey, settings.SecretKey, settings.SessionToken),
		Region: settings.Region, Secure: scheme == "https", MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// MakeBucket makes the bucket that settings name.
func MakeBucket(t testing.TB, settings s3.Settings, options ...Option) {
	t.Helper()
	client, locking, versions := Client(t, settings), false, false
	for _, o := range options {
		locking, versions = locking || o == Locking, versions || o == Versions
	}
	err := client.MakeBucket(context.Background(), settings.Bucket, minio.MakeBucketOptions{Region: settings.Region, ObjectLocking: locking})
	if err == nil && versions && !locking {
		err = client.EnableVersioning(context.Background(), settings.Bucket)
	}
	if err != nil {
		t.Fatalf("make bucket %s: %v", settings.Bucket, err)
	}
}

// Open opens a bucket and closes it when the test ends.
func Open(t testing.TB, settings s3.Settings) *s3.Storage {
	t.Helper()
	st, err := s3.Open(context.Background(), settings)
	if err != nil {
		t.Fatalf("open %s: %v", settings, err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("close %s: %v", settings, err)
		}
	})
	return st
}

// Other is another server named by the environment, with a folder of the
// test's own in its bucket; without one the test is skipped. What the test
// leaves there is for the bucket's owner to remove.
func Other(t testing.TB) s3.Settings {
	t.Helper()
	settings := s3.Settings{
		Endpoint: os.Getenv("EMRVAULT_S3_ENDPOINT"), Bucket: os.Getenv("EMRVAULT_S3_BUCKET"), Region: os.Getenv("EMRVAULT_S3_REGION"),
		AccessKey: os.Getenv("EMRVAULT_S3_ACCESS_KEY"), SecretKey: os.Getenv("EMRVAULT_S3_SECRET_KEY"),
		CAFile: os.Getenv("EMRVAULT_S3_CA"), Style: s3.Style(os.Getenv("EMRVAULT_S3_STYLE")), Prefix: "emrvault-test/" + rand.Text(),
	}
	if settings.Endpoint == "" || settings.Bucket == "" {
		t.Skip("no other S3 server: EMRVAULT_S3_ENDPOINT, EMRVAULT_S3_BUCKET, EMRVAULT_S3_ACCESS_KEY and EMRVAULT_S3_SECRET_KEY would name one")
	}
	return settings
}
