# The one door. Everything that is missing is set up on the way, or named with the command that installs it.
.PHONY: help quickstart release test lint fmt test-long bench bench-full bench-hot-path bench-instructions setup setup-lint setup-bench setup-test

# Where rustup and Go's tarball put things, for shells that do not know yet.
export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/local/go/bin
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
# Another gateway than the one that is built here.
RELEASED := $(or $(CLUSTER_GATEWAY_BIN),$(TARGET)/release/cluster-gateway)
MEASURED := $(or $(CLUSTER_GATEWAY_BIN),$(TARGET)/trained/cluster-gateway)
TESTED := $(or $(CLUSTER_GATEWAY_BIN),$(TARGET)/debug/cluster-gateway)

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | awk -F'|' '{printf "make %-18s %s\n", $$1, $$2}'

quickstart: setup ## A hub, two clusters and the gateway here; kubectl through it. ONCE=1 ends after the show
	@echo "The gateway, as it is released (a few minutes the first time) ..."
	cargo build --locked --release -p cluster-gateway
	cargo build --locked -p e2e --bin quickstart
	@CLUSTER_GATEWAY_BIN='$(RELEASED)' '$(TARGET)/debug/quickstart' $(if $(filter-out 0,$(ONCE)),--once)

test: lint setup-test ## Formatting, clippy, unit tests, and the tests on real control planes
	cargo build --locked --workspace --bins
	@'$(TARGET)/debug/lab' binaries
	CLUSTER_GATEWAY_BIN='$(TESTED)' cargo test --locked --workspace

# Minutes each: before a release, and after a change to how connections, streams or reloads are handled.
test-long: setup-test ## The tests that take minutes each: before a release, after changes to connections or streams
	cargo build --locked --workspace --bins
	@'$(TARGET)/debug/lab' binaries
	CLUSTER_GATEWAY_BIN='$(TESTED)' cargo test --locked -p e2e --test e2e -- --ignored --nocapture

# A quarter of an hour the first time. A fifth less processor time per request than `cargo build --release` has.
release: setup-bench ## The gateway as it is released, tuned by a profile: target/trained/cluster-gateway
	@bench/release.sh '$(TARGET)'

# Alone on the machine: what else runs is measured too. BENCH='--section bulk --compare old.json' and the like.
# CLUSTER_GATEWAY_BIN=target/release/cluster-gateway measures what cargo builds, without the wait for a profile.
bench: $(if $(CLUSTER_GATEWAY_BIN),setup-bench,release) ## The released gateway beside other proxies, five minutes once it is built; BENCH='--help'
	@CLUSTER_GATEWAY_BIN='$(MEASURED)' '$(TARGET)/release/bench' $(BENCH)

# More than an hour: before a release, and after a change to the data path that a quick run cannot tell from noise.
bench-full: $(if $(CLUSTER_GATEWAY_BIN),setup-bench,release) ## The same with long rounds and everything in it
	@CLUSTER_GATEWAY_BIN='$(MEASURED)' '$(TARGET)/release/bench' --full $(BENCH)

# As it is released with TRAINED=1, which takes a quarter of an hour the first time.
bench-hot-path: $(if $(filter-out 0,$(TRAINED)),setup-bench) ## What our own code takes for a proxied request, step by step and altogether
	$(if $(filter-out 0,$(TRAINED)),@bench/release.sh '$(TARGET)' hot_path,cargo bench --locked --workspace --bench hot_path)

# valgrind counts the same on a busy machine. Compares with benches/instructions.txt; SAVE=1 writes it.
bench-instructions: ## How many instructions that is, against what is committed (valgrind)
	cargo bench --locked --workspace --bench instructions

lint: setup-lint ## Formatting and clippy
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

fmt: setup-lint ## Format everything
	cargo fmt --all

setup:
	@e2e/setup.sh

setup-lint:
	@e2e/setup.sh lint

setup-test:
	@e2e/setup.sh test

setup-bench:
	@e2e/setup.sh bench
	cargo build --locked --release -p bench -p e2e --bins
	@'$(TARGET)/release/lab' binaries
