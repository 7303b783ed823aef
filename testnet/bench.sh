#!/bin/sh
# Measures this machine, networks of validators on it and PostgreSQL beside them, and writes docs/performance.md with
# its drawings. Usage: testnet/bench.sh CUSTOS. Expects the workspace to be built, as `make bench` does.
#
#   RECORDS=n,n...   how full the log is when rates, proofs and restarts are measured (default 10000,100000,1000000)
#   QUICK=1          shorter runs, each once, for a first look
set -eu
custos=$1
extent=whole
records=10000,100000,1000000
stored=100000
if [ -n "${QUICK:-}" ]; then
    extent=quick
    records=10000,50000
    stored=20000
fi
records=${RECORDS:-$records}
built=${CARGO_TARGET_DIR:-target}/debug

# PostgreSQL and perf are measured with when they are here; they are installed when that takes no question.
install() {
    command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ] || return 0
    apt-get install -y -q --no-install-recommends "$1" >&2 || echo "bench: $1 could not be installed" >&2
}
ls /usr/lib/postgresql/*/bin/pgbench >/dev/null 2>&1 || install postgresql
command -v perf >/dev/null 2>&1 || install linux-perf

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build --locked --quiet --workspace --bins --examples
"$built/examples/rates" > "$work/rates"
"$built/examples/measure" "$stored" 1 500 > "$work/store" || echo '{"missed":"the store example failed"}' > "$work/store"
"$built/examples/decision_rates" --json > "$work/decisions" || echo '{}' > "$work/decisions"
"$built/measure" "$custos" "$work/rates" "$work/store" "$work/decisions" docs/performance.md "$records" "$extent"
