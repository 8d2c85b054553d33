# Everything here works in a bare clone with Python 3.11+ and make: the virtual environment is built
# on first use, outside the tree, and again whenever setup.py changes.
PYTHON ?= python3
CACHE ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/labelmill
VENV ?= $(CACHE)/venv-$(shell $(PYTHON) scripts/environment_key.py)
BIN := $(VENV)/bin
SITE ?= $(CACHE)/site
PACKAGES := labelmill labelmodel transforms pipelines

.DEFAULT_GOAL := help

$(VENV)/.ready: setup.py
	@$(PYTHON) scripts/make_environment.py "$(VENV)"
	@touch $@

.PHONY: help
help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.ready ## label the names of Unicode's characters, from nothing to published labels
	@$(BIN)/python examples/unicode_names/make_corpus.py
	@$(BIN)/labelmill run examples/unicode_names/job.yaml --full

.PHONY: test
test: $(VENV)/.ready ## run the tests, all but the slow ones
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not engine and not stores and not deploy and not browser" tests $(PACKAGES)

.PHONY: test-slow
test-slow: $(VENV)/.ready ## run the tests that take minutes: long chains, killed runs, the wheel
	@$(BIN)/python -m pytest -m "slow and not engine and not stores and not deploy and not browser" tests

.PHONY: test-engines
test-engines: $(VENV)/.ready ## run the tests on Flink, Spark, Prism and Dataflow's client, installed on first use
	@$(BIN)/python scripts/engines.py
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "engine or (deploy and slow)" tests

.PHONY: test-stores
test-stores: $(VENV)/.ready ## run the tests against servers of S3, GCS and Azure, installed on first use
	@$(BIN)/python scripts/store_servers.py
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m stores tests

.PHONY: test-deploy
test-deploy: $(VENV)/.ready ## check the files of deploy/, with tools installed on first use
	@$(BIN)/python scripts/deploy_tools.py
	@$(BIN)/python scripts/deploy_tools.py airflow
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "deploy and not slow" tests/deploy

.PHONY: test-browser
test-browser: $(VENV)/.ready ## look at pages in Chromium, installed on first use where apt-get may
	@$(BIN)/python scripts/browser_tools.py
	@$(BIN)/python -m pytest -m browser tests

.PHONY: lint
lint: $(VENV)/.ready ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --cache-dir "$(CACHE)/mypy"
	@$(BIN)/python scripts/docs_reference.py --check

.PHONY: bench
bench: $(VENV)/.ready ## measure speed and memory, and quality where the shared data is there
	@$(BIN)/python -m benchmarks.throughput
	@$(BIN)/python -m benchmarks.functions
	@$(BIN)/python -m benchmarks.fit
	@$(BIN)/python -m benchmarks.quality
	@$(BIN)/python -m benchmarks.refresh
	@$(BIN)/python -m benchmarks.versions

.PHONY: docs
docs: $(VENV)/.ready ## write the generated part of docs/
	@$(BIN)/python scripts/docs_reference.py

.PHONY: site
site: $(VENV)/.ready ## build the documentation as a site; a link or page that is missing fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --site-dir "$(SITE)"
	@echo "read: $(BIN)/python -m http.server --bind 127.0.0.1 --directory $(SITE)"
