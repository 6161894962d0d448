# Two commands on a fresh machine: `make run` and `make test`. Both do all the set-up.

SHELL := bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test check component guests hosts foreign-hosts simulate fuzz mutants bench format lint docs layers size deny clean

CARGO := scripts/cargo
BUILT := $(or $(CARGO_TARGET_DIR),target)/debug
SCENARIO := host-test/scenarios/first-pull

# The hosts are always built with one selection of packages, the default members of the workspace: another one would mean
# other features of what they share, and wasmtime built again.
run test check: export COMPONENTIZE = $(BUILT)/componentize

help: ## says what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: hosts component ## replays recorded traffic through the component, SCENARIO=host-test/scenarios/first-pull: NDJSON on stdout
	@$(BUILT)/host-test replay $(SCENARIO)

test: hosts component guests ## runs every test, those against the built component and in foreign hosts included
	@$(CARGO) test --locked
	@scripts/foreign-hosts
	@scripts/browser

check: hosts component size format lint docs layers deny ## format, lints, documentation, layers, licences, imports and size of the component

component: ## builds the component, target/defender_source.wasm
	@scripts/component defender-source

guests: ## builds the small components that the hosts are tested against
	@scripts/component counter-source
	@scripts/component honest-source
	@scripts/component breaker-source

hosts: ## builds source-host and host-test, into target/debug
	@$(CARGO) build --locked

foreign-hosts: hosts component ## runs the component in Python, Node and the wasmtime command line
	@scripts/foreign-hosts

simulate: ## runs the simulation, SEEDS=number of worlds
	@$(CARGO) run --locked --bin simulate -- $(if $(SEEDS),--seeds $(SEEDS))

fuzz: ## runs the fuzz targets, TARGET=name of one, TIME=seconds for each
	@TIME=$(TIME) scripts/fuzz $(TARGET)

mutants: ## tries every small change of the code that decides, ONLY=text in its name: fails where no test notices one
	@$(CARGO) run --locked --bin mutants -- $(if $(ONLY),--only '$(ONLY)')

bench: component ## measures the component, ONLY=speed, start, quiet, checkpoints or tenants for one part of it
	@$(CARGO) build --locked --release --package bench --package source-host
	@$(or $(CARGO_TARGET_DIR),target)/release/bench $(if $(ONLY),--only $(ONLY))

size:
	@bytes=$$(wc -c <target/defender_source.wasm); [ $$bytes -le 500000 ] || { \
		echo "error: target/defender_source.wasm has $$bytes bytes, and 500000 are allowed" >&2; exit 1; }

format:
	@$(CARGO) fmt --all --check

lint:
	@$(CARGO) clippy --locked --all-targets -- -D warnings
	@scripts/wasm-cargo clippy -p defender-source -p counter-source -p honest-source -p breaker-source -- -D warnings

docs:
	@RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps

layers:
	@scripts/layers

deny: ## licences, sources and banned crates of everything that is linked
	@scripts/cargo-deny check bans licenses sources

clean: ## removes everything that was built
	@rm -rf target examples/node/node_modules
