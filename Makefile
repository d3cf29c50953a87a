# Every command of this project, for people and for CI. `make` alone lists them.
# Paths are relative throughout, so that a checkout may live anywhere, also below names with spaces.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# The first Python that really runs, is new enough and makes environments: a name on the PATH proves nothing.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
	"$$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$name" && break; done)
need_python = test -n "$(PYTHON)" || { echo 'atone needs Python 3.11 or newer with its venv module' \
	'(on Debian: apt-get install python3 python3-venv), or name one: make PYTHON=/path/to/python' >&2; exit 1; }

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# A Python that the command line names has an environment of its own: make test PYTHON=python3.12
venv := .venv$(if $(filter command line,$(origin PYTHON)),-$(lastword $(notdir $(PYTHON))))
python := $(venv)/bin/python
ready := $(venv)/.ready
under :=

# An unpacked source distribution lacks the links in atone/ (pyproject.toml tells why): they are made here.
$(ready): pyproject.toml requirements.lock
	@$(need_python)
	@echo 'making $(venv) from requirements.lock (once, about half a minute)'
	@cd atone && for folder in actors sagas storage; do test -e $$folder || ln -s ../$$folder $$folder; done
	@"$(PYTHON)" -m venv --clear $(venv)
	@$(python) -m pip install -qq --requirement requirements.lock
	@$(python) -m pip install -qq --no-deps --no-build-isolation --editable .
	@$(python) -m pip check -q
	@touch $@

.PHONY: help
help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(ready) ## run a shop's orders while its process is killed three times (FLAGS=... adds options)
	@$(python) -m examples.shop --kill 3 $(FLAGS)

.PHONY: test
test: $(ready) ## run the tests (FLAGS=... adds options of pytest, PYTHON=python3.12 takes that one)
	@$(python) -m $(under) pytest $(FLAGS)

.PHONY: check
check: lint types layers cover ## everything that must pass before a commit

.PHONY: fmt
fmt: $(ready) ## format the code, and mend what the linter can mend
	@$(python) -m ruff format --quiet
	@$(python) -m ruff check --fix --quiet

.PHONY: lint
lint: $(ready) ## check format and style
	@$(python) -m ruff format --check
	@$(python) -m ruff check

.PHONY: types
types: $(ready) ## check the types, with mypy and basedpyright
	@$(python) -m mypy
	@$(python) -m basedpyright --pythonpath $(python)

.PHONY: layers
layers: $(ready) ## check which folder imports which
	@$(python) $(venv)/bin/lint-imports --no-logo

.PHONY: cover
cover: under := coverage run -m
cover: test ## run the tests and see that they reach the code
	@$(python) -m coverage report

.PHONY: proof
proof: $(ready) ## torment it: crashes, power loss, bad disks, hostile data (some minutes; writes proof.json)
	@$(python) -m tests.proof $(FLAGS)

.PHONY: soak
soak: $(ready) ## the same with ever new seeds, for HOURS=1, or MINUTES=5
	@$(python) -m tests.proof $(if $(HOURS),--hours $(HOURS)) --minutes $(or $(MINUTES),$(if $(HOURS),0,5)) $(FLAGS)

.PHONY: mutants
mutants: $(ready) ## plant faults in it, see each of them found, and write the table in docs/proof.md
	@$(python) -m tests.proof.mutants $(or $(FLAGS),--write)

.PHONY: bench
bench: $(ready) ## measure speed beside what the disk allows, and beside peers (FLAGS=--quick: does it work?)
	@$(python) -m benchmarks --peers $(FLAGS)

.PHONY: lock
lock: ## resolve requirements.lock, keeping the versions it has (remove it to renew them all)
	@$(need_python)
	@"$(PYTHON)" -m venv --clear .venv-lock
	@.venv-lock/bin/python -m pip install -qq uv
	@.venv-lock/bin/python -m uv pip compile --quiet --universal --python-version 3.11 \
		--all-extras --group dev --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		--output-file requirements.lock pyproject.toml
	@rm -rf .venv-lock

.PHONY: clean
clean: ## remove the environment, the caches and the builds
	@rm -rf .venv .venv-* dist .coverage* .hypothesis .bench bench.json proof.json
	@rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
