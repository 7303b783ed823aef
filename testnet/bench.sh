#!/bin/sh
# Measures this machine, then a four-validator network on it, and writes docs/performance.md.
# Usage: testnet/bench.sh CUSTOS   (RECORDS=n,n... in the environment: how full the log is when a restart is measured;
# default 100000,1000000). Expects the workspace to be built, as `make bench` does.
set -eu
custos=$1
records=${RECORDS:-100000,1000000}
built=${CARGO_TARGET_DIR:-target}/debug
rates=$(mktemp)
decisions=$(mktemp)
trap 'rm -f "$rates" "$decisions"' EXIT
cargo build --locked --quiet --workspace --example rates --example decision_rates
"$built/examples/rates" > "$rates"
"$built/examples/decision_rates" --json > "$decisions"
"$built/measure" "$custos" "$rates" docs/performance.md "$records" "$decisions"
