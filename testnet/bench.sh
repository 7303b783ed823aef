#!/bin/sh
# Measures this machine, then a four-validator network on it, and writes docs/performance.md.
# Usage: testnet/bench.sh CUSTOS [RECORDS]   (RECORDS in the log before the restart is measured; default 100000)
set -eu
custos=$1
records=${2:-${RECORDS:-100000}}
rates=$(mktemp)
trap 'rm -f "$rates"' EXIT
cargo run --locked --quiet -p custos-state --example rates > "$rates"
cargo run --locked --quiet -p custos-testnet --bin measure -- "$custos" "$rates" docs/performance.md "$records"
