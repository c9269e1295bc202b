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
  [ -x "$tools/versitygw" ] && return 0
  say "building versitygw $s3_version (once)"
  mkdir -p "$tools"
  GOBIN="$tools" GOFLAGS=-trimpath go install "github.com/versity/versitygw/cmd/versitygw@$s3_version" ||
    die "versitygw $s3_version could not be built"
}

lint() {
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
  grep -E '^(ok|FAIL|---|panic:|\?)' "$log" | grep -vE '^--- (PASS|SKIP)|no test files' || true
  if [ "$status" != 0 ]; then
    say "what failed (the whole log is $log)"
    awk '/^=== (RUN|CONT|PAUSE|NAME)/{next} {b[NR%80]=$0} /--- FAIL|^panic:|^FAIL/{for(i=NR-79;i<=NR;i++)if(i>0&&(i%80 in b))print b[i%80]; split("",b)}' "$log" | grep -v -- '--- PASS' || true
  fi
  say "skipped: $(grep -cE -- '--- SKIP' "$log" || true)"
  awk '/^=== (RUN|NAME|CONT)/{test=$3; next} /--- SKIP/{sub(/ *--- SKIP: /,""); print "  " $1 ": " why[$1]; next}
    /^ +[^ ]+\.go:[0-9]+: /{sub(/^ */,""); why[test]=$0}' "$log"
  say "passed: $(grep -cE -- '--- PASS' "$log" || true)"
  return "$status"
}

test_all() {
  if [ "${1:-}" = "--install" ]; then shift; install_missing; fi
  lint
  build
  tests "$@"
}

# bench prints Go's benchmarks of the engine; with EMRVAULT_BENCH (a folder with bench.py) also the race of whole
# programs. It works in memory where there is room: a disk that others use tells more about them than about us.
bench() {
  build
  work="$(mktemp -d -p "${BENCH_DIR:-$(roomy)}" emrvault-bench.XXXXXX)"
  trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
  say "benchmarks (in $(dirname "$work"))"
  GOTMPDIR="$work" go test -run '^$' -bench . -benchtime "${BENCHTIME:-0.5s}" -benchmem ./backup/... |
    grep -E '^(Benchmark|pkg:|---|FAIL|panic)'
  if [ -z "${EMRVAULT_BENCH:-}" ] || [ ! -x "$EMRVAULT_BENCH/bench.py" ]; then
    echo "SKIPPED the race against peers: EMRVAULT_BENCH names no folder with bench.py"
  elif [ ! -x "${RESTIC_BIN:=$(command -v restic || true)}" ]; then
    echo "SKIPPED the race against peers: no restic here; RESTIC_BIN may name one"
  else
    race "$work"
  fi
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

# race runs restic and us in turns over each profile and prints medians and ratios.
race() {
  export RESTIC_BIN EMRVAULT_BIN="$PWD/dist/emrvault" EMRGEN="$PWD/dist/emrgen"
  local p
  (cd "$EMRVAULT_BENCH/emrgen" && go build -o "$EMRGEN" .)
  for p in ${PROFILES:-small files}; do
    say "race: $p, $("$RESTIC_BIN" version | cut -d' ' -f1,2) against emrvault $(version)"
    mkdir -p "$1/$p" dist/bench
    rm -f "dist/bench/$p.jsonl"
    BENCH_WORK="$1/$p" python3 "$EMRVAULT_BENCH/bench.py" --profile "$p" --gen "$([ "$p" != files ] || echo "-docs ${DOCS:-30000}")" \
      --reps "${REPS:-3}" --days 2 --only restic,emrvault --out "dist/bench/$p.jsonl"
    rm -rf "${1:?}/$p"
    python3 "$EMRVAULT_BENCH/table.py" "dist/bench/$p.jsonl"
  done
}

# campaign is the long proof that a merge does not wait for; figures go to docs/reliability.md.
campaign() {
  build
  EMRVAULT_KILL_ROUNDS="${EMRVAULT_KILL_ROUNDS:-1000}" go test -v -count=1 -timeout 6h -run 'Kill' .
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
./build.sh bench              benchmarks; EMRVAULT_BENCH adds the race against restic (PROFILES, REPS, DOCS)
./build.sh campaign           1,000 rounds of kill -9 (EMRVAULT_KILL_ROUNDS sets another number)
./build.sh release            all targets and their SHA-256 list in dist/release/
EOF
}

verb="${1:-help}"; [ $# -gt 0 ] && shift
case "$verb" in
  build|run|lint|bench|campaign|release|help) "$verb" "$@" ;;
  test) test_all "$@" ;;
  *) help >&2; die "no verb \"$verb\"" ;;
esac
