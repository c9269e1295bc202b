#!/usr/bin/env bash
# emrvault: everything a newcomer needs, in one script. `./build.sh help` lists it.
set -euo pipefail
cd "$(dirname "$0")"

# One flag set for build, vet and test: another one would compile SQLite again.
export CGO_ENABLED=0
export GOFLAGS="-trimpath -tags=nomsgpack"
export GOTOOLCHAIN="${GOTOOLCHAIN:-local}"

tools="$PWD/.cache/tools"
export PATH="$tools:$PATH"
lint_version=v2.15.0
s3_version=v1.8.0
packages="restic chromium fonts-noto-cjk systemd-container strace"

version() { git describe --tags --always --dirty 2>/dev/null || echo unknown; }
stamp()   { git log -1 --format=%cI 2>/dev/null || echo unknown; }
ldflags() { echo "-s -w -X main.version=$(version) -X main.built=$(stamp)"; }
say()     { printf '== %s\n' "$*"; }
die()     { printf 'build.sh: %s\n' "$*" >&2; exit 1; }

# build makes dist/emrvault for this machine, or FILE for GOOS/GOARCH.
build() {
  mkdir -p dist
  local out="${1:-dist/emrvault$(go env GOEXE)}"
  go build -ldflags "$(ldflags)" -o "$out" .
  say "built $out ($(version))"
}

# run ends at a page with a proven backup of a sample EMR.
run() {
  build
  exec "dist/emrvault$(go env GOEXE)" demo --data "${EMRVAULT_DATA:-dist/demo}" "$@"
}

# as_root runs a command with the rights an installation wants.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# install_missing brings test servers and tools; nothing is started as a service.
install_missing() {
  local missing=""
  for p in $packages; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
  done
  if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || die "no apt-get here; install by hand:$missing"
    say "installing$missing"
    as_root apt-get -q update >/dev/null || say "package lists could not be renewed; trying the old ones"
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q -o DPkg::Lock::Timeout=300 \
      install -y --no-install-recommends $missing >/dev/null || die "could not install:$missing"
  fi
  install_lint
  install_s3
}

install_lint() {
  [ -x "$tools/golangci-lint" ] && return 0
  say "building golangci-lint $lint_version (once)"
  mkdir -p "$tools"
  GOBIN="$tools" GOFLAGS=-trimpath go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$lint_version" ||
    die "golangci-lint $lint_version could not be built"
}

# install_s3 builds the S3 server that the storage tests run against.
install_s3() {
  case "$("$tools/versitygw" --version 2>/dev/null)" in *"${s3_version#v}"*) return 0 ;; esac
  say "building versitygw $s3_version (once)"
  mkdir -p "$tools"
  GOBIN="$tools" GOFLAGS=-trimpath go install -ldflags "-s -w -X main.Version=${s3_version#v}" "github.com/versity/versitygw/cmd/versitygw@$s3_version" ||
    die "versitygw $s3_version could not be built"
}

lint() {
  say "lint"
  local bad
  bad="$(gofmt -l main.go ./*_test.go appliance backup service webui)"
  [ -z "$bad" ] || die "not gofmt-ed: $bad"
  go vet ./...
  if command -v golangci-lint >/dev/null; then
    golangci-lint config verify
    golangci-lint run ./...
  else
    echo "SKIPPED golangci-lint: not installed; ./build.sh test --install brings it"
  fi
  say "the other systems"
  GOOS=windows go vet ./...
}

# tests runs every test, prints a line a package, then each skip with its reason.
tests() {
  mkdir -p dist
  local log=dist/test.log status=0
  say "tests"
  go test -v -timeout 15m "${@:-./...}" >"$log" 2>&1 || status=$?
  grep -aE '^(ok|FAIL|---|panic:|\?)' "$log" | grep -avE '^--- (PASS|SKIP)|no test files' || true
  if [ "$status" != 0 ]; then
    say "what failed (the whole log is $log)"
    awk '/^=== (RUN|CONT|PAUSE|NAME)/{next} {b[NR%80]=$0} /--- FAIL|^panic:|^FAIL/{for(i=NR-79;i<=NR;i++)if(i>0&&(i%80 in b))print b[i%80]; split("",b)}' "$log" | grep -av -- '--- PASS' || true
  fi
  say "skipped: $(grep -acE -- '--- SKIP' "$log" || true)"
  awk '/^=== (RUN|NAME|CONT)/{test=$3; next} /--- SKIP/{sub(/ *--- SKIP: /,""); print "  " $1 ": " why[$1]; next}
    /^ +[^ ]+\.go:[0-9]+: /{sub(/^ */,""); why[test]=$0}' "$log"
  say "passed: $(grep -acE -- '--- PASS' "$log" || true)"
  return "$status"
}

test_all() {
  if [ "${1:-}" = "--install" ]; then shift; install_missing; fi
  lint
  build
  tests "$@"
}

# bench prints Go's benchmarks of the engine; with EMRVAULT_BENCH (a folder with bench.py) also the race of whole
# programs and the table of speed targets. It works in memory where there is room: a disk that others use tells more
# about them than about us.
bench() {
  build
  work="$(mktemp -d -p "${BENCH_DIR:-$(roomy)}" emrvault-bench.XXXXXX)"
  trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
  if [ "${BENCHTIME:-}" != none ]; then
    say "benchmarks (in $(dirname "$work"))"
    GOTMPDIR="$work" go test -run '^$' -bench . -benchtime "${BENCHTIME:-0.2s}" -benchmem ./backup/... |
      grep -E '^(Benchmark|pkg:|---|FAIL|panic)'
  fi
  race "$work"
}

# roomy names a folder in memory with 6 GiB to spare where programs may run, or else the usual temporary one.
roomy() {
  local free probe=/dev/shm/emrvault-probe.$$
  free="$(df -Pk /dev/shm 2>/dev/null | awk 'NR==2{print $4}')"
  if [ "${free:-0}" -gt $((6 << 20)) ] && cp "$(type -P true)" "$probe" 2>/dev/null && "$probe" 2>/dev/null; then
    echo /dev/shm
  else
    echo "${TMPDIR:-/tmp}"
  fi
  rm -f "$probe"
}

# race runs us and our peers in turns over each profile and prints our share of what they take. restic is what the
# targets are about; the others run when they are there.
race() {
  export EMRVAULT_BIN="$PWD/dist/emrvault" EMRGEN="$PWD/dist/emrgen"
  export RESTIC_BIN="${RESTIC_BIN:-$(command -v restic)}" KOPIA_BIN="${KOPIA_BIN:-$(command -v kopia)}" BORG_BIN="${BORG_BIN:-$(command -v borg)}"
  [ -x "${EMRVAULT_BENCH:-}/bench.py" ] || { echo "SKIPPED the race: EMRVAULT_BENCH names no folder with bench.py"; return 0; }
  [ -x "$RESTIC_BIN" ] || { echo "SKIPPED the race: no restic; ./build.sh test --install brings one, or RESTIC_BIN names one"; return 0; }
  [ -x "$KOPIA_BIN" ] || echo "SKIPPED kopia: not here; KOPIA_BIN may name one (https://kopia.io/docs/installation)"
  [ -x "$BORG_BIN" ] || echo "SKIPPED borg: not here; apt-get install borgbackup, or BORG_BIN names one"
  local peer; peer="$("$RESTIC_BIN" version | cut -d' ' -f2)"
  (cd "$EMRVAULT_BENCH/emrgen" && go build -o "$EMRGEN" .)
  say "race: emrvault $(version) against restic $peer; ${PROFILES:-small files}"
  go run ./testdata/bench -harness "$EMRVAULT_BENCH" -work "$1" -out dist/bench -restic "$peer" -reps "${REPS:-3}" \
    -docs "${DOCS:-100000}" ${PROFILES:-small files}
}

# campaign is the long proof that a merge does not wait for; figures go to docs/reliability.md. Words choose parts:
# kills cuts disks flips calls malice s3 model fuzz. Each part has a variable that says how much of it.
campaign() {
  build
  mkdir -p dist/campaign
  local part failed=""
  for part in ${*:-kills cuts disks flips calls malice s3 model fuzz}; do
    say "$part, $(date '+%F %T')"
    case "$part" in
      kills) proof kills . '^TestKill(Prune|Copy|Restore)?$' EMRVAULT_KILL_ROUNDS="${EMRVAULT_KILL_ROUNDS:-250}" ;;
      cuts)  proof cuts . '^TestPowerCut$' EMRVAULT_CUTS="${EMRVAULT_CUTS:-100}" ;;
      disks) proof disks ./backup/trial '^TestFull' EMRVAULT_FULL_DISKS="${EMRVAULT_FULL_DISKS:-100}" ;;
      flips) proof flips ./backup/trial '^TestFlips$' EMRVAULT_FLIPS="${EMRVAULT_FLIPS:-10000}" ;;
      calls) proof calls ./backup/trial '^TestErrorAtEveryCall' ;;
      malice) proof malice ./backup/trial '^Test(Malicious|Deep)Repository$' EMRVAULT_DEEP="${EMRVAULT_DEEP:-1000000}" ;;
      s3)    proof s3 ./backup/trial '^TestRunsOverABadLine$' EMRVAULT_S3_RUNS="${EMRVAULT_S3_RUNS:-2000}" ;;
      model) proof model ./backup/trial '^TestLives$' EMRVAULT_MODEL_TIME="${EMRVAULT_MODEL_TIME:-1h}" ;;
      fuzz)  fuzz "${EMRVAULT_FUZZ_TIME:-10m}" ;;
      *)     die "no part \"$part\" of the campaign" ;;
    esac || failed="$failed $part"
  done
  [ -z "$failed" ] || die "failed:$failed (see dist/campaign)"
}

# proof runs one test of a package with variables set, and prints its figures, or what went wrong.
proof() {
  local log="dist/campaign/$1.log" package="$2" pattern="$3" status=0
  shift 3
  env "$@" go test -v -count=1 -timeout 48h -run "$pattern" "$package" >"$log" 2>&1 || status=$?
  grep -a -oE 'figures: .*' "$log" | cut -d' ' -f2- || true
  grep -a -E -B1 -- '--- SKIP' "$log" || true
  [ "$status" = 0 ] || tail -n 40 "$log"
  return "$status"
}

# fuzz gives every fuzz target of the house so much time. What it finds stays in testdata/fuzz.
fuzz() {
  local package target status=0
  for package in $(go list ./...); do
    for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
      if go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" "$package" >dist/campaign/fuzz.log 2>&1; then
        echo "${package#emrvault/} $target: $(grep -oE 'execs: [0-9]+' dist/campaign/fuzz.log | tail -n 1)"
      else
        echo "${package#emrvault/} $target FAILED"
        tail -n 20 dist/campaign/fuzz.log
        status=1
      fi
    done
  done
  return "$status"
}

release() {
  local targets="linux/amd64 linux/arm64 linux/loong64 windows/amd64" t ext
  rm -rf dist/release && mkdir -p dist/release
  for t in $targets; do
    ext=""; [ "${t%/*}" = windows ] && ext=.exe
    GOOS="${t%/*}" GOARCH="${t#*/}" build "dist/release/emrvault-${t%/*}-${t#*/}$ext"
  done
  (cd dist/release && sha256sum emrvault-* >SHA256SUMS && cat SHA256SUMS)
}

help() {
  cat <<'EOF'
./build.sh build              static binary in dist/, version from git
./build.sh run [ARG...]       build, sample EMR, first backup, drill, admin page
./build.sh test [--install]   lint and all tests; --install brings missing test servers and tools
./build.sh lint               formatting, vet, golangci-lint, the other systems
./build.sh bench              benchmarks; EMRVAULT_BENCH adds the race against restic, kopia, borg (PROFILES, REPS, DOCS)
./build.sh campaign [PART...] the long proof, some hours: kills cuts disks flips calls malice s3 model fuzz (as root, for disks and cuts)
./build.sh release            all targets and their SHA-256 list in dist/release/
EOF
}

verb="${1:-help}"; [ $# -gt 0 ] && shift
case "$verb" in
  build|run|lint|bench|campaign|release|help) "$verb" "$@" ;;
  test) test_all "$@" ;;
  *) help >&2; die "no verb \"$verb\"" ;;
esac
