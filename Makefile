# `make help` lists the targets. Nothing here needs root, a database server or a container: the servers the tests talk to come as wheels.
PYTHON ?= python3
VENV := .venv
CLIENTS := .venv-clients
CHART := .venv-chart
BIN := $(VENV)/bin
CONFIG ?= config/gateway.yaml
# A hundred processes start in the tests; without bytecode kept, each would compile the whole package anew.
unexport PYTHONDONTWRITEBYTECODE
# Three workers for two cores, the size of the smallest machine we test on: tests of processes mostly wait. More cores: make test WORKERS=8
WORKERS ?= 3
PIP_INSTALL := -m pip install --disable-pip-version-check --quiet

# Official clients of several major versions cannot share an environment, so each lives in its own; the vendors' SDKs can, and do. Node's clients are in one.
# Those of `apps` are too heavy for every run: only `make soak` installs and runs them.
CLIENT_STAMPS := $(patsubst requirements/client-%.txt,$(CLIENTS)/%/.stamp,$(filter-out %/client-apps.txt,$(wildcard requirements/client-*.txt))) $(CLIENTS)/node/.stamp
# What the tests of charts/ need: helm, and Kubernetes' schemas.
STAMPS := $(CLIENT_STAMPS) $(CHART)/.stamp

# What the console is built from, and the page that is written with its build.
CONSOLE_SOURCES := $(shell find console -name node_modules -prune -o -type f -print 2>/dev/null)
CONSOLE_PAGE := gateway/console/index.html
NPM_STAMP := node_modules/.package-lock.json
NODE_MAJOR = $(shell node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)

.DEFAULT_GOAL := help
.PHONY: help env clients run test soak check bench lint format reference lock licences sbom image-check clean console console-types

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(VENV)/.dev ## make .venv with everything needed to develop

# Side by side: each is little work and much waiting for the package index.
clients:
	@$(MAKE) --no-print-directory -j $(words $(STAMPS) .dev) $(VENV)/.dev $(STAMPS)

console: $(CONSOLE_PAGE) ## build the web console from console/, where Node 20 or newer is
	@:

console-types: $(VENV)/.dev ## make the console's types anew from the routes (needs `make console` once)
	$(BIN)/python console/scripts/openapi.py | npm run --silent --prefix console types

# Without npm's registry the gateway starts all the same, and its console says what is missing.
run: $(VENV)/.run ## start the gateway with CONFIG (default config/gateway.yaml)
	@$(MAKE) --no-print-directory console || echo "The console could not be built, for the reason above; the gateway starts without a new one."
	$(BIN)/gateway serve --config $(CONFIG)

test: clients console ## run every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

# Its last lines are the figures to quote: visits of every (state, operation) pair, planted bugs caught, operations of the many clients.
soak: clients $(CLIENTS)/apps/.stamp ## run in full what `make test` samples: crash matrix, random kills, rolling restarts, dying gateways, models, planted bugs, many clients
	SOAK=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup tests/acceptance/test_crash_matrix.py tests/acceptance/test_cache_crashes.py tests/acceptance/test_kill_rounds.py \
		tests/acceptance/test_rolling.py tests/acceptance/test_fleet.py tests/acceptance/test_shared_org.py tests/acceptance/test_many_clients.py tests/acceptance/test_single_flight.py tests/acceptance/test_prometheus.py tests/acceptance/test_key_replicas.py tests/integration/test_chaos.py tests/integration/test_failover_time.py tests/integration/test_clients_page.py tests/contract/test_windows_under_load.py tests/property $(PYTEST_ARGS)

check: $(VENV)/.dev lint ## the fast loop: lint and unit tests, under a minute
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow" tests/unit $(PYTEST_ARGS)

# Under eight minutes; uses nginx and wrk where they are installed. BENCH_ARGS=--quick takes about one minute.
bench: $(VENV)/.dev ## measure the gateway against a bare pass-through
	$(BIN)/python -m bench $(BENCH_ARGS)

lint: $(VENV)/.dev ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@if [ -e console/$(NPM_STAMP) ]; then npm run --silent --prefix console lint && npm run --silent --prefix console check; \
		else echo "The console's sources were not looked at: that needs make console."; fi

format: $(VENV)/.dev ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: $(VENV)/.dev ## write the configuration reference anew from the code
	$(BIN)/gateway config-reference > docs/configuration-reference.md

# --no-config: the locks must not depend on the machine that makes them (package mirrors, local wheel folders, constraints).
# Nothing that was published in the last seven days: malicious releases are mostly found in their first.
# Add LOCK_ARGS=--upgrade to move to newer releases.
LOCK = UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --no-config --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --exclude-newer "7 days" $(LOCK_ARGS)
NPM_AGE = --min-release-age=7 --no-audit --no-fund
lock: ## remake the locks, Python's (needs uv), the console's and those of clients for Node (need npm 11.10)
	$(LOCK) pyproject.toml -o requirements/run.txt
	$(LOCK) --extra dev -c requirements/run.txt pyproject.toml -o requirements/dev.txt
	$(LOCK) --extra otel -c requirements/run.txt -c requirements/dev.txt pyproject.toml -o requirements/run-otel.txt
	for file in $(filter-out %/chart.in,$(wildcard requirements/*.in)); do $(LOCK) $$file -o $${file%.in}.txt || exit 1; done
	$(LOCK) --no-deps requirements/chart.in -o requirements/chart.txt
	$(PYTHON) -m release.published
	cd console && npm install --package-lock-only --ignore-scripts $(NPM_AGE) && npm ci --dry-run --ignore-scripts $(NPM_AGE)
	cd tests/sdk/node && npm install --package-lock-only --ignore-scripts $(NPM_AGE) && npm ci --dry-run --ignore-scripts $(NPM_AGE)

licences: $(VENV)/.dev ## write docs/licences.md anew, from what is installed
	$(BIN)/python -m release.licences

sbom: $(VENV)/.dev ## write dist/sbom.cdx.json, the bill of materials of what is shipped
	$(BIN)/python -m release.sbom

image-check: $(VENV)/.dev ## make and try the container image's layout, without a container engine
	$(BIN)/python -m release.image_check $(IMAGE_CHECK_ARGS)

clean: ## remove the environments and every cache
	rm -rf $(VENV) $(CLIENTS) $(CHART) console/node_modules gateway/console .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .cache .coverage* dist

# What npm fetches is named, with its hash, in console/package-lock.json, and runs no script of its own; it is fetched again when that file is newer.
$(CONSOLE_PAGE): $(CONSOLE_SOURCES)
	@if [ "$(NODE_MAJOR)" -ge 20 ]; then cd console && \
		{ [ $(NPM_STAMP) -nt package-lock.json ] || { npm ci --ignore-scripts --no-progress --loglevel=error && touch $(NPM_STAMP); }; } && \
		npm run --silent build && touch ../$@; \
	else \
		echo "The console is not built: that needs Node 20 or newer (node --version). The gateway works without it."; \
	fi

# Made once; after switching to another Python, `make clean` first.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# --no-deps: the locks name every package, and a resolver takes `name[extra]` for unpinned as soon as a newer release is out; --no-build-isolation: the build backend is in the lock, nothing unlocked is fetched.
$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	$(BIN)/python $(PIP_INSTALL) --require-hashes --no-deps -r requirements/dev.txt
	$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.run

# The gateway alone: no test or lint tools. The backend builds the project, then nothing of it is needed to run.
$(VENV)/.run: requirements/run.txt requirements/build.txt pyproject.toml | $(BIN)/python
	$(BIN)/python $(PIP_INSTALL) --require-hashes --no-deps -r requirements/run.txt -r requirements/build.txt
	$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# Data, not code: nothing is compiled. It is unpacked by the tests that use it.
$(CHART)/.stamp: requirements/chart.txt
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python $(PIP_INSTALL) --require-hashes --no-deps --no-compile -r $<
	@touch $@

# Python compiles what is imported when it is first imported; of these packages that is little, and compiling all would be half of the work.
$(CLIENTS)/%/.stamp: requirements/client-%.txt
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python $(PIP_INSTALL) --require-hashes --no-deps --no-compile -r $<
	@touch $@

# As for the console: named and hashed in the lock, and no package's script is run.
$(CLIENTS)/node/.stamp: tests/sdk/node/package-lock.json
	@if [ "$(NODE_MAJOR)" -ge 20 ]; then rm -rf $(@D) && mkdir -p $(@D) && cp $(<D)/package.json $< $(@D) && \
		cd $(@D) && npm ci --ignore-scripts --no-progress --no-audit --no-fund --loglevel=error && touch .stamp; \
	else \
		echo "The clients for Node are not installed: that needs Node 20 or newer (node --version). Their tests will fail."; \
	fi
