# Sightline: `make demo` runs the main job, `make test` proves it. Needs Python 3.11+ and make, nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
LOCK   := requirements/dev.lock

.DEFAULT_GOAL := help
.PHONY: help setup demo test check rules dashboards bench soak mutants format lock clean

help: ## Show what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create the virtual environment from the hashed lock

$(STAMP): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sightline needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.12" % sys.version_info[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar on --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Run the main job: broker, worker, people, events, decisions (ARGS="--people 50")
	@$(BIN)/sightline demo $(ARGS)

test: setup ## Run every test, on a real Kafka that the run starts by itself (ARGS="-k join")
	@$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --format=total | awk '{print "branch coverage: " $$1 " %"}'

check: setup ## Lint, format, types: what CI runs before the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

rules: ## Check and test the alerts by promtool (Debian: the package `prometheus` has it)
	@command -v promtool >/dev/null || { echo "promtool is not on the PATH; Debian's package prometheus has it"; exit 1; }
	promtool check config deploy/prometheus/prometheus.yml
	promtool test rules deploy/prometheus/sightline.tests.yml

dashboards: setup ## Write the JSON of the Grafana dashboards anew
	$(BIN)/python deploy/grafana/make_dashboards.py

bench: setup ## Print the benchmark tables (JSON with ARGS=--json)
	@for b in kernel search pipeline; do $(BIN)/python bench/$$b.py $(ARGS) || exit 1; done
	$(BIN)/sightline evaluate $(ARGS)

soak: setup ## Every fault scenario with three seeds, judged by the oracle: an hour or two (ARGS="--seeds 1")
	$(BIN)/python bench/faults.py --scenario all --seeds 3 $(ARGS)

mutants: setup ## Break the source in twenty ways, and demand that the fast tests turn red
	$(BIN)/python bench/mutants.py $(ARGS)

format: setup ## Format and mend what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

COMPILE := $(VENV)/.uv/bin/uv pip compile pyproject.toml --generate-hashes --universal --python-version 3.11 \
	--no-emit-index-url --no-header --quiet

lock: ## Write the locks in requirements/ anew from pyproject.toml
	$(PYTHON) -m venv $(VENV)/.uv && $(VENV)/.uv/bin/pip install --quiet uv
	$(COMPILE) --output-file requirements/runtime.lock
	$(COMPILE) --group dev --output-file $(LOCK)

clean: ## Remove the virtual environment and what tools left behind
	rm -rf $(VENV) .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
