# Everything runs in environments that these targets make themselves; they need Python and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help

help: ## Show what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1  \2/p' $(MAKEFILE_LIST)

# Its generated classes are a reference of the wire tests; it pins an SDK from before they parted.
REFERENCES := opentelemetry-exporter-jaeger-thrift==1.21.0

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps '$(REFERENCES)'
	touch $@

SOURCES := $(shell find autotrace sitecustomize -name "*.py")

.venv-demo/ready: pyproject.toml $(SOURCES)
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python -m pip install --quiet --upgrade pip
	.venv-demo/bin/python -m pip install --quiet --force-reinstall --no-deps .
	.venv-demo/bin/python -m pip install --quiet . flask requests
	touch $@

.venv-demo/ui: .venv-demo/ready
	.venv-demo/bin/python -m pip install --quiet '.[ui]'
	touch $@

.venv-bench/ready: pyproject.toml $(SOURCES)
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --upgrade pip
	.venv-bench/bin/python -m pip install --quiet --force-reinstall --no-deps .
	.venv-bench/bin/python -m pip install --quiet '.[bench]'
	touch $@

demo: .venv-demo/ready ## Two small services, a few requests, and their traces in the terminal
	.venv-demo/bin/python integration_apps/shop/demo.py

demo-ui: .venv-demo/ui ## The same under load, with their traces in the browser, until Ctrl-C
	.venv-demo/bin/python integration_apps/shop/demo_ui.py

services: ## Install the databases that tests start, where this is Debian and we are root
	sh tests/install_services.sh

test: services $(VENV)/ready ## The whole test suite, on every CPython from 3.9 up that can be found
	$(BIN)/nox --non-interactive

test-debian: ## The suite on the CPython 3.14 of Debian unstable, in a tree of its own; needs Debian and root
	sh tests/debian_sid.sh 3.14

test-quick: $(VENV)/ready ## The test suite on one interpreter, without the slow parts
	$(BIN)/python -m pytest -m 'not slow'

matrix: services $(VENV)/ready ## The tests of each library with the oldest version promised; LIBRARIES="flask redis" runs some
	$(BIN)/nox --non-interactive $(if $(LIBRARIES),--tags $(LIBRARIES),--sessions matrix)

lint: $(VENV)/ready ## Style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

reference: $(VENV)/ready ## Write docs/reference anew from the code
	$(BIN)/python docs/generate.py

docs: $(VENV)/ready ## Build the documentation as a site in site/; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

viewer/node_modules/.package-lock.json: viewer/package-lock.json
	cd viewer && npm ci
	touch $@

viewer: viewer/node_modules/.package-lock.json ## Build the viewer from its sources in viewer/
	cd viewer && npm run --silent build

viewer-check: viewer/node_modules/.package-lock.json ## Whether the committed viewer is what its sources give
	rm -rf .cache/viewer && mkdir -p .cache
	cd viewer && npm run --silent check
	cd viewer && npm run --silent build -- --outDir ../.cache/viewer
	diff -r .cache/viewer autotrace/backend/viewer/assets

screenshots: $(VENV)/ready viewer/node_modules/.package-lock.json ## Take the pictures in docs/images anew
	$(BIN)/python tests/browser/screenshots.py

compat: $(VENV)/ready ## Run the libraries' own test suites with and without autotrace, and compare
	$(BIN)/python -m compat.run $(LIBRARIES)

bench: .venv-bench/ready ## Measure autotrace beside its peers
	.venv-bench/bin/python -m bench.run

bench-ingest: $(VENV)/ready ## Measure how many spans a second `autotrace ui` takes in
	$(BIN)/python -m bench.ingest

bench-search: $(VENV)/ready ## Measure how fast `autotrace ui` finds traces among a million spans
	$(BIN)/python -m bench.search

sizes: $(VENV)/ready ## Measure how many bytes a span takes, in each format
	$(BIN)/python -m bench.sizes

soak: .venv-bench/ready ## Measure what dead backends and kills cost: time, memory, spans
	.venv-bench/bin/python -m bench.soak

.PHONY: help demo demo-ui services test test-debian test-quick matrix lint reference docs viewer viewer-check screenshots compat bench bench-ingest bench-search sizes soak
