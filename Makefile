# Two commands from a fresh clone: `make night` and `make test`. Python 3.11+ and make are enough.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
# Half of a test's time is a vendor's: more of them than cores.
TESTS_AT_ONCE ?= 4
AIRFLOWS_AT_ONCE ?= 3
BIN := $(VENV)/bin
export PYTHONPATH := $(CURDIR)/plugins$(if $(PYTHONPATH),:$(PYTHONPATH))
export OVERNIGHT_VENV := $(VENV)
# Some containers set it. Without bytecode every process compiles thousands of modules anew: a night takes three times as long.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: compatibility docs test-distributed chaos long pictures help install install-dev night down test lint format lock bench faults people clean

help: ## What can be done here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## The virtual environment with what a night needs

install-dev: $(VENV)/.installed-dev ## ... and what the tests need

$(VENV)/.installed: requirements.txt
	@./bin/bootstrap "$(PYTHON)" "$(VENV)" requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@./bin/bootstrap "$(PYTHON)" "$(VENV)" requirements.txt requirements-dev.txt
	@touch $@

night: install ## A whole night on this machine: sandbox, a real Airflow, two workflows, a morning review (WORKFLOWS=all for all ten; REVIEWS=path.csv for your own reviews; SURFACE=sheets, notion, airtable or xlsx)
	@./bin/overnight night $(if $(REVIEWS),--reviews "$(REVIEWS)") $(if $(SURFACE),--surface "$(SURFACE)") $(if $(WORKFLOWS),--workflows "$(WORKFLOWS)") $(NIGHT_ARGS)

down: ## Stop all that `make night` started and remove what it left
	@if [ -x "$(BIN)/python" ]; then ./bin/overnight down; else echo "nothing to stop: no virtual environment at $(VENV)"; fi

test: install-dev lint ## Lint, types and the tests, but for `long` and `test-distributed` (STRICT=1 turns a skip for a missing system part into a failure)
	@$(BIN)/python -m pytest -n $(TESTS_AT_ONCE) --dist worksteal -m "not airflow and not distributed" $(if $(STRICT),--strict-system) $(TEST_ARGS)
	@$(BIN)/python -m pytest -n $(AIRFLOWS_AT_ONCE) --dist loadscope -m "airflow and not distributed" $(if $(STRICT),--strict-system) $(TEST_ARGS)

long: install-dev ## Tests that take too long for every change, into docs/results/long.txt
	@mkdir -p docs/results && set -o pipefail && $(BIN)/python -m pytest --long --durations=0 2>&1 | grep -E "^[0-9.]+s call|passed|failed|FAILED" | tee docs/results/long.txt

compatibility: install-dev ## The Dags parsed on other interpreters, into docs/results/compatibility.txt (PYTHONS="python3.12 python3.13")
	@mkdir -p .compat docs/results && set -e; found=; for python in $(PYTHONS); do venv=.compat/$$(basename $$python); \
		./bin/bootstrap "$$python" "$$venv" requirements.txt; found=$$found:$(CURDIR)/$$venv/bin/python; done; set -o pipefail; \
		OVERNIGHT_PYTHONS=$$found $(BIN)/python -m pytest tests/test_compatibility.py -vv -p no:cacheprovider 2>&1 | grep -E "PASSED|SKIPPED|FAILED|passed" | sort | tee docs/results/compatibility.txt

lint: install-dev ## ruff, ruff format and mypy --strict
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: install-dev ## Rewrite the code to the house format
	@$(BIN)/ruff check --fix-only . && $(BIN)/ruff format .

$(VENV)/.installed-bench: requirements-bench.txt $(VENV)/.installed-dev
	@./bin/bootstrap "$(PYTHON)" "$(VENV)" requirements.txt requirements-dev.txt requirements-bench.txt
	@touch $@

bench: $(VENV)/.installed-bench ## Measure ourselves beside our peers, into benchmarks/results.json, the README and plots (QUICK=1 in four minutes; BENCH="waiting submit" for some)
	@QUICK=$(QUICK) PYTHONPATH=$(PYTHONPATH):$(CURDIR) $(BIN)/python -m benchmarks $(BENCH)

docs: install-dev ## The documentation as a site in site/, its links checked
	@PYTHONPATH=$(PYTHONPATH):$(CURDIR) $(BIN)/python -m sphinx -b html -W --keep-going -q docs site && echo "site/index.html"

test-distributed: install-dev ## Nights on a cluster (PostgreSQL, Redis, two workers, two triggerers) whose parts are killed
	@$(BIN)/python -m pytest -m distributed -s $(if $(STRICT),--strict-system) $(TEST_ARGS)

chaos: install-dev ## The same for eight seeds, into benchmarks/results.json (SEEDS="1 2 3" for others)
	@OVERNIGHT_CHAOS_SEEDS="$(or $(SEEDS),1 2 3 4 5 6 7 8)" OVERNIGHT_CHAOS_RESULTS=$(CURDIR)/benchmarks/results.json $(BIN)/python -m pytest -m distributed -s

faults: install-dev ## Kill nights at every point, under every fault profile, on every vendor, then parts of a real Airflow (an hour; goes on where it was stopped)
	@mkdir -p .faults && AIRFLOW_HOME=$(CURDIR)/.faults/airflow AIRFLOW__LOGGING__LOGGING_LEVEL=CRITICAL PYTHONPATH=$(PYTHONPATH):$(CURDIR) \
		$(BIN)/python -m tests.support.fault_matrix .faults/progress.jsonl --minutes 48 --results benchmarks/results.json
	@OVERNIGHT_FAULTS=all OVERNIGHT_FAULTS_RESULTS=$(CURDIR)/benchmarks/results.json $(BIN)/python -m pytest tests/faults/test_real_airflow.py tests/faults/test_killed_anywhere.py

people: install-dev ## A careless person at every review surface, a hundred seeds each, into benchmarks/results.json
	@mkdir -p .faults && AIRFLOW_HOME=$(CURDIR)/.faults/people AIRFLOW__LOGGING__LOGGING_LEVEL=CRITICAL PYTHONPATH=$(PYTHONPATH):$(CURDIR) \
		$(BIN)/python -m tests.support.people sheets notion airtable xlsx --results benchmarks/results.json

pictures: install-dev ## The manual's pictures anew, from a real Airflow in a real Chromium, into docs/images
	@mkdir -p docs/images && OVERNIGHT_PICTURES=$(CURDIR)/docs/images $(BIN)/python -m pytest tests/nights/first/test_browser_pages.py --strict-system

lock: ## Resolve requirements*.in anew (needs uv)
	@uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-header --upgrade requirements.in -o requirements.txt
	@uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-header --upgrade requirements-cluster.in -o requirements-cluster.txt
	@uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-header --upgrade requirements-dev.in -o requirements-dev.txt
	@uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-header --upgrade requirements-bench.in -o requirements-bench.txt

clean: down ## ... and the virtual environment, too
	@rm -rf $(VENV) .compat .pytest_cache .mypy_cache .ruff_cache
