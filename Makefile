# What people type. Every target makes .venv first (scripts/setup: nothing to do when it is current).
# Pass options with ARGS, such as: make test ARGS="tests/unit -x"

BIN := .venv/bin
ARGS ?=
# What also runs on Python 3.11.
CLIENT := $(addprefix -p flotilla., cli client demo show stack state sync bus schemas templates)

.DEFAULT_GOAL := help
.PHONY: help setup web demo up test simulate venues soak check format bench image clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv: Python 3.13 and the packages in uv.lock; build the dashboard
	@scripts/setup

web: setup ## build the dashboard unless it is current
	@scripts/dashboard

demo: setup ## trade real data in a real engine, and show what happened
	@$(BIN)/python -I -m flotilla demo $(ARGS)

up: setup ## run the whole stack here until Ctrl-C
	@$(BIN)/python -I -m flotilla up $(ARGS)

test: setup ## run the tests, those with Docker too when an engine is there
	@scripts/test $(ARGS)

simulate: setup ## let the control plane run in virtual time, with faults from seeds (ARGS="--seeds 100000")
	@$(BIN)/python -m tests.simulation $(ARGS)

venues: setup ## count kill points, stops and faults on exchanges of our own (ARGS="kills --each 5")
	@$(BIN)/python -m tests.venues $(ARGS)

soak: setup ## four engines on two exchanges, with faults and kills, for 60 minutes (ARGS="--minutes 5")
	@$(BIN)/python -m tests.venues soak $(ARGS)

check: setup ## format, lint, strict types, import contracts, drift of what is generated, rules for Prometheus
	@$(MAKE) --no-print-directory --jobs 2 --output-sync check-types check-the-clients-types check-the-dashboard check-the-rest

# The three at once: a type checker uses one core, and each Python version has a cache of its own.
.PHONY: check-types check-the-clients-types check-the-rest check-the-dashboard
check-types:
	$(BIN)/mypy --strict

check-the-clients-types:
	$(BIN)/mypy --strict --python-version 3.11 $(CLIENT)

check-the-dashboard:
	@scripts/dashboard --check

check-the-rest:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/ruff check --config cores.ruff.toml services/*/core services/*/*/core engine_sidecar/*/core exchanges/core exchanges/*/core
	$(BIN)/lint-imports
	$(BIN)/python -m flotilla.schemas.export --check
	@scripts/requirements --check
	@scripts/promtool

format: setup ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## measure, each figure against the raw thing in the same run
	@$(BIN)/python -m benchmarks $(ARGS)

image: setup ## build the images of engines and services, unless they are current
	@deploy/build-engine.sh $(ARGS)
	@deploy/build-engine.sh --services $(ARGS)

clean: ## remove .venv, downloaded tools and caches; .state with your engines and data stays
	rm -rf .venv .tools dashboard/node_modules dashboard/src/api services/gateway/dashboard .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
