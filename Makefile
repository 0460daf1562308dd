# `make run` and `make test` need python3 (3.11 or newer, with venv) and make. If uv is installed, it is used.
# Everything is installed into .venv, at the versions of constraints.txt. Pass options with ARGS="…".

.DEFAULT_GOAL := help
.PHONY: help run test test-all check lint coverage format docs screenshots wheel deploy constraints clean

# Tests mostly wait for servers and programs, so several at a time pay even on one core. `make test PARALLEL=` is one by one.
PARALLEL ?= -n 4 --dist loadfile --no-loadscope-reorder

# Modules are compiled once, when first imported. Without this each start of a program would compile them again.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
UV := $(shell command -v uv 2>/dev/null)

# The newest Python that can run the project and, without uv, make a virtual environment with pip in it.
NEEDED = import sys$(if $(UV),,$(comma) ensurepip); sys.exit(sys.version_info < (3, 11))
comma := ,
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$python -c '$(NEEDED)' >/dev/null 2>&1 && { echo $$python; break; }; done)

ifneq ($(UV),)
MAKE_VENV = $(UV) venv --quiet --clear --python $(PYTHON) $(VENV)
INSTALL = $(UV) pip install --quiet --python $(BIN)/python --constraints constraints.txt
else
# The pip of Python 3.11 does not support dependency groups.
MAKE_VENV = $(PYTHON) -m venv --clear $(VENV) && $(BIN)/python -m pip install --quiet --upgrade pip
# Compiling all that is installed, most of which is never imported, would take two thirds of the time.
INSTALL = $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt
endif

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(INSTALLED) ## Start the development server and its page; no account and no key needed
	$(BIN)/layercode-create-app dev $(ARGS)

test: $(INSTALLED) ## Run all but the slow tests: a few minutes
	$(BIN)/python -m pytest $(PARALLEL) -m "not slow" --hypothesis-profile=quick $(ARGS)

test-all: $(INSTALLED) ## Run all tests, the slow ones included
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

check: lint coverage ## Everything a change must pass: format, lint, types, tests with branch coverage
	$(MAKE) test-all ARGS='-m "slow or repeated or hypothesis"'

lint: $(INSTALLED) ## Check format, lint, words and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m tests.plain_words
	$(BIN)/mypy

coverage: $(INSTALLED) ## Run all but the slow tests and report branch coverage
	$(BIN)/coverage erase
	COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml COVERAGE_FILE=$(CURDIR)/.coverage $(MAKE) test
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

format: $(INSTALLED) ## Format the code and fix what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(INSTALLED) ## Build the documentation site into build/site, and check its links
	$(INSTALL) --group docs
	$(BIN)/python -m docsite build/site

screenshots: docs ## Take the screenshots of the dev page and of the site for docs/; needs Chromium
	$(BIN)/python -m tests.e2e.screenshots docs/screenshots
	$(BIN)/python -m tests.e2e.moving_picture docs/screenshots/call.webp
	$(BIN)/python -m tests.docsite.screenshots build/site docs/screenshots/site

wheel: $(INSTALLED) ## Build the wheel and the source distribution into dist/, and check them
	$(INSTALL) --group release
	rm -rf dist
	$(BIN)/python -m build --quiet --no-isolation
	$(BIN)/twine check --strict dist/*

deploy: $(INSTALLED) ## Render Dockerfile, compose.yaml and deploy/ from the templates of new projects
	$(BIN)/python deploy/render.py

constraints: ## Refresh constraints.txt with the newest versions that fit pyproject.toml
	@$(MAKE) --no-print-directory _python
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet --upgrade pip
	build/constraints/bin/python -m pip install --quiet --editable . --group dev --group docs --group release
	{ echo '# The versions the tests run with; `make constraints` writes this file.'; \
	  build/constraints/bin/python -m pip freeze --exclude-editable | grep '=='; } > constraints.txt

clean: ## Remove the environment, the builds and the caches
	rm -rf $(VENV) build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: _python
_python:
	@test -n '$(PYTHON)' || { \
		echo 'No usable Python found: expected python3 3.11 or newer with venv, and got' \
			"$$(python3 --version 2>/dev/null || echo no python3 at all)." >&2; \
		echo 'Install one (Debian, Ubuntu: apt install python3-venv), or name it: make PYTHON=/path/to/python3.' >&2; \
		exit 1; }

# The stamp is older than what it was made from only when that changed, so a second run starts at once.
$(INSTALLED): pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory _python
	@echo 'Installing into $(VENV): about a minute, the first time.'
	$(MAKE_VENV)
	$(INSTALL) --editable . --group dev
	@$(BIN)/python -c "import logfire, pydantic_ai.models.openai, pytest, sentry_sdk, layercode_app.server.app"
	@touch $@
