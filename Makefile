# Custos: everything a newcomer types. Needs a Rust toolchain; `setup` brings the rest or says how.

CARGO      ?= cargo
TARGET     := $(or $(CARGO_TARGET_DIR),target)
CUSTOS     := bin/custos
PROFILE    := debug

# Always the whole workspace: a smaller selection changes the features of shared build dependencies,
# and RocksDB would be compiled once more for each selection.

.DEFAULT_GOAL := help
.PHONY: help setup build demo test scenarios cddl fhir-validate fuzz lint fmt bench sim clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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
	@$(MAKE) --no-print-directory cddl
	@$(MAKE) --no-print-directory fhir-validate

# Stories of faults on real processes; the short ones are in `make test`. ONLY=name, SEED=n; ARGS='--json'.
scenarios: build ## Attack real nodes in real processes: kills, partitions, full disks, wrong clocks, lost logs
	$(TARGET)/$(PROFILE)/scenarios $(foreach name,$(ONLY),--only $(name)) $(if $(SEED),--seed $(SEED)) $(ARGS)

# The grammar against what the vectors hold, by a package that we did not write. Without Python or the package
# this says so and is no failure.
CDDL_VENV := $(abspath $(TARGET))/cddl-venv
CDDL_PINS := docs/spec/cddl-requirements.txt

cddl: ## Hold every good vector to docs/spec/custos.cddl with PyPI's cddl-verifier
	@if ! python3 -m venv --help >/dev/null 2>&1; then \
	  echo "SKIPPED: python3 with venv is not here: the vectors were not held to custos.cddl"; \
	elif ! { cmp -s $(CDDL_PINS) $(CDDL_VENV)/pins || { rm -rf $(CDDL_VENV) && python3 -m venv $(CDDL_VENV) \
	    && $(CDDL_VENV)/bin/pip install --quiet --disable-pip-version-check -r $(CDDL_PINS) \
	    && cp $(CDDL_PINS) $(CDDL_VENV)/pins; }; }; then \
	  echo "SKIPPED: cddl-verifier could not be had: the vectors were not held to custos.cddl"; \
	else \
	  echo "the vectors against custos.cddl"; \
	  $(CDDL_VENV)/bin/python docs/spec/check_cddl.py; \
	fi

# What the endpoint and the export gave in their tests, held against FHIR's base definitions by a package
# that we did not write. Without Python or the package this says so and is no failure.
FHIR_OUT  := $(abspath $(TARGET))/fhir-out
FHIR_VENV := $(abspath $(TARGET))/fhir-venv
FHIR_PINS := node/custodian/tests/fhir-requirements.txt

fhir-validate: ## Validate what goes out as FHIR with PyPI's fhir.resources
	@if ! python3 -m venv --help >/dev/null 2>&1; then \
	  echo "SKIPPED: python3 with venv is not here: what goes out as FHIR was not validated by a foreign validator"; \
	elif ! { cmp -s $(FHIR_PINS) $(FHIR_VENV)/pins || { rm -rf $(FHIR_VENV) && python3 -m venv $(FHIR_VENV) \
	    && $(FHIR_VENV)/bin/pip install --quiet --disable-pip-version-check -r $(FHIR_PINS) \
	    && cp $(FHIR_PINS) $(FHIR_VENV)/pins; }; }; then \
	  echo "SKIPPED: fhir.resources could not be had: what goes out as FHIR was not validated by a foreign validator"; \
	else \
	  rm -rf $(FHIR_OUT) \
	  && CUSTOS_FHIR_OUT=$(FHIR_OUT) $(CARGO) test --locked --workspace --quiet --test round_trip --test fhir \
	  && $(FHIR_VENV)/bin/python node/custodian/tests/fhir_validate.py $(FHIR_OUT); \
	fi

# Every decoder of foreign bytes, each in a process of its own; nothing but the stable toolchain is needed.
# What is found is kept in testnet/fuzz/crashes. docs/testing.md says how to put libFuzzer in front.
SECONDS    ?= 10

fuzz: setup ## Hostile bytes into every decoder: [TARGET=name] [SECONDS=10 for each] [SEED=n]
	$(CARGO) build --locked --workspace --bin custos-fuzz
	$(or $(CARGO_TARGET_DIR),target)/$(PROFILE)/custos-fuzz run --seconds $(SECONDS) \
	  $(if $(filter command,$(firstword $(origin TARGET))),--target $(TARGET)) $(if $(SEED),--seed $(SEED))

lint: setup ## Formatting, clippy without a warning, and the verifier without the standard library
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) check --locked --manifest-path ledger/proof/no-std/Cargo.toml

fmt: ## Format the code
	$(CARGO) fmt --all

bench: build ## Measure this machine and networks on it; write docs/performance.md with drawings (QUICK=1, RECORDS=n,n)
	testnet/bench.sh $(CUSTOS)

SEEDS   ?= 200
FROM    ?= 1
HEIGHTS ?= 50

sim: setup ## Simulate validators under faults: SEEDS=200 FROM=1 HEIGHTS=50; prints a failing seed and its replay
	$(CARGO) build --locked --workspace --bin sim
	$(TARGET)/$(PROFILE)/sim --seeds $(SEEDS) --from $(FROM) --heights $(HEIGHTS)

clean: ## Remove what was built
	$(CARGO) clean
	rm -rf bin
