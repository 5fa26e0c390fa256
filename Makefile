# Everything starts here: `make up` and `make test` are each enough on a fresh Debian or Ubuntu.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help up test chaos oncall bench memory migration sync-proof cost api-docs lint format types sql definitions unit setup lock audit clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: setup  ## set everything up, then run the whole platform (ARGS="--simulate 50")
	@gcc-platform up $(ARGS)

test: setup lint types sql definitions unit  ## set everything up, then lint, types, SQL, definitions and the test suite

lint: setup
	ruff check .
	ruff format --check .
	bandit --quiet --configfile pyproject.toml --recursive ingest_service gcc_platform

types: setup
	mypy

sql: setup
	sqlfluff lint --disable-progress-bar dbt_project

# With a DAGSTER_HOME of its own: without one, dg reports usage to Dagster and writes to the user's home directory.
definitions: export DAGSTER_HOME := $(CURDIR)/$(VENV)/dagster_home
definitions: export VIRTUAL_ENV := $(CURDIR)/$(VENV)
definitions: setup
	@mkdir -p $(DAGSTER_HOME) && cp dagster.yaml $(DAGSTER_HOME)
	dg check defs
	dg list defs --json > $(VENV)/definitions.json

unit: setup $(VENV)/.test_programs  ## the test suite alone (PYTEST_ARGS="-k buffer -n 0")
	pytest --numprocesses 2 --dist loadfile $(PYTEST_ARGS)

chaos: setup  ## an hour of random faults, an hour without ClickHouse, a fuzz of 100,000 messages (GCC_CHAOS_SECONDS, ...)
	GCC_CHAOS_SECONDS=$${GCC_CHAOS_SECONDS:-3600} GCC_OUTAGE_SECONDS=$${GCC_OUTAGE_SECONDS:-3600} GCC_FUZZ_BODIES=$${GCC_FUZZ_BODIES:-100000} \
	    pytest -s tests/chaos tests/ingest_service/test_fuzz.py $(PYTEST_ARGS)

oncall: setup $(VENV)/.test_programs  ## an hour of faults, each until its alert arrives and ends, with a row of figures for each
	GCC_ONCALL=1 pytest -s tests/oncall $(PYTEST_ARGS)

bench: setup  ## an hour of benchmarks into docs/benchmarks.md (ARGS="drain --rounds 5")
	@python -m tests.benchmarks $(ARGS)

memory: setup  ## how much memory large messages take (ARGS="--bodies 500 --letters 20")
	@python -m tests.benchmarks.memory $(ARGS)

migration: setup  ## an old database of 20 million rows moved over and killed again and again, into docs/benchmarks.md
	@python -m tests.benchmarks.migration $(ARGS)

sync-proof: setup  ## the sync to PostgreSQL under random histories, kills, readers and changes by hand (ARGS="--steps kills")
	@python -m tests.sync_proof $(ARGS)

cost: setup  ## what a refresh of the warehouse costs, into docs/warehouse.md (ARGS="--events 1000000")
	@python -m tests.benchmarks.warehouse $(ARGS)

api-docs: setup  ## the generated part of docs/api.md, from the dbt projects and docs/benchmarks.md
	@python -m tests.benchmarks.api.page

format: setup  ## format Python and SQL
	ruff check --fix .
	ruff format .
	sqlfluff fix dbt_project

setup: $(VENV)/.installed $(VENV)/.servers  ## virtual environment, locked packages, RabbitMQ, Alertmanager

$(VENV)/.uv: gcc_platform/local_stack/create_venv.sh gcc_platform/local_stack/uv.txt
	@PYTHON=$(PYTHON) sh $< $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.uv requirements.lock pyproject.toml
	@echo "installing the locked packages"
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.servers: gcc_platform/local_stack/install_debian_packages.sh | $(VENV)/.uv
	@sh $< servers
	@touch $@

# For tests only: `make up` does without. After the servers, because apt-get runs once at a time.
$(VENV)/.test_programs: gcc_platform/local_stack/install_debian_packages.sh | $(VENV)/.servers
	@sh $< tests
	@touch $@

lock: $(VENV)/.uv  ## resolve pyproject.toml into requirements.lock again
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --extra sentry --extra platform --extra local --extra dev pyproject.toml --output-file requirements.lock

# --strict: where the advisories of a package cannot be had, that is an error and not a clean bill of health.
audit: $(VENV)/.uv  ## ask PyPI for known vulnerabilities of the locked packages (takes its advisory service)
	@$(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit --strict --disable-pip --require-hashes \
	    --progress-spinner off --requirement requirements.lock --requirement gcc_platform/local_stack/uv.txt

clean:  ## remove the virtual environment and the local stack's data
	rm -rf $(VENV) .local .dagster
