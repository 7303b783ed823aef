# Custos: everything a newcomer types. Needs a Rust toolchain; `setup` brings the rest or says how.

CARGO      ?= cargo
TARGET     := $(or $(CARGO_TARGET_DIR),target)
CUSTOS     := bin/custos
PROFILE    := debug

# Always the whole workspace: a smaller selection changes the features of shared build dependencies,
# and RocksDB would be compiled once more for each selection.

.DEFAULT_GOAL := help
.PHONY: help setup build demo test lint fmt bench clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Check for a C++ compiler and libclang (RocksDB's binding needs both); install them when root
	@testnet/setup.sh

build: setup ## Build the custos command into bin/custos
	$(CARGO) build --locked --workspace
	@mkdir -p bin && install -m 755 $(TARGET)/$(PROFILE)/custos $(CUSTOS)

demo: build ## Start four validators, run real IHE consents and access events through them, verify the results
	testnet/demo.sh $(CUSTOS)

test: lint build ## Run every test, the demo among them, on real nodes where a test needs a network
	$(CARGO) test --locked --workspace
	@if command -v python3 >/dev/null 2>&1; then \
	  echo "second verifier (Python) against the vectors"; \
	  python3 docs/spec/verify.py --vectors docs/spec/vectors; \
	else \
	  echo "python3 is not here: the second verifier was not run against the vectors"; \
	fi

lint: setup ## Formatting and clippy without a warning
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

fmt: ## Format the code
	$(CARGO) fmt --all

bench: build ## Measure this machine and a four-validator network; write docs/performance.md
	testnet/bench.sh $(CUSTOS)

clean: ## Remove what was built
	$(CARGO) clean
	rm -rf bin
