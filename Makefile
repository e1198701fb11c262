# Everything a person or CI does with the hub. `make run` and `make test` need nothing but Python 3.11+ and make.

VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
ARGS ?=

# 3.11 and 3.12 first: for them the Redis wheel exists. A name on the path may be a shim without a Python behind it.
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python3.13; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

SERVICES := $(BIN)/python -m identity_hub.local.services exec
# The files name everything that is needed, so pip need not resolve. Of an extra (pydantic[email]) the one in a new venv of
# Python 3.11 would take the newest release, not the pinned one, and then miss its hash.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes

.PHONY: help install run test lint check demo bench fuzz laws requirements clean

help:
	@echo 'make run     the whole hub on this machine: PORT=8000, DEMO=0 leaves the demo out'
	@echo 'make demo    plays the story against the running hub'
	@echo 'make test    the tests, on a PostgreSQL and a Redis of their own: ARGS="-k name", WORKERS=2'
	@echo 'make lint    format, ruff, mypy, import-linter, migrations complete'
	@echo 'make check   lint and test'
	@echo 'make bench   the benchmarks'
	@echo 'make fuzz    10,000 changed SAML responses: ROUNDS=10000, SEED=today'
	@echo 'make laws    300 stories of 50 pushes, logins, runs and acts against a model: STORIES=300, DICE=now'

$(VENV)/run.stamp: requirements.txt identity_hub/local/requirements.txt
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or newer is needed (on Debian with python3-venv).' >&2; exit 1; }
	@echo 'Installing into $(VENV) ...'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) -r requirements.txt -r identity_hub/local/requirements.txt
	@$(BIN)/python -m pip check --quiet
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.txt
	@echo 'Installing test and lint tools ...'
	@$(PIP) -r requirements-dev.txt
	@$(BIN)/python -m pip check --quiet
	@touch $@

install: $(VENV)/dev.stamp

run: $(VENV)/run.stamp
	@exec $(BIN)/python -m identity_hub.local.run

demo: $(VENV)/run.stamp
	@exec $(BIN)/python -m identity_hub.demo.story

test: install
	@exec $(SERVICES) -- $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(SERVICES) --name lint -- $(BIN)/python manage.py makemigrations --check --dry-run

check: lint test

bench: install
	@exec $(SERVICES) --name bench --durable -- $(BIN)/python -m tests.benchmarks $(ARGS)

# For a night. A failure names its dice: SEED=2026-11-30 ARGS="--fuzz-only='encrypted:17'" throws them again.
ROUNDS ?= 10000
SEED ?= $(shell date +%F)
fuzz: install
	@exec $(SERVICES) --name fuzz -- $(BIN)/python -m pytest -n $(WORKERS) -rP -p no:logging tests/attacks/test_fuzz.py \
		--fuzz-rounds=$(ROUNDS) --fuzz-seed=$(SEED) $(ARGS)

# For a night, too: other stories each time. A failure is told as the shortest story that fails; DICE tells it again.
STORIES ?= 300
DICE ?= $(shell date +%s)
laws: install
	@echo 'DICE=$(DICE)'
	@exec $(SERVICES) --name laws -- $(BIN)/python -m pytest -n $(WORKERS) -p no:logging --show-capture=no \
		tests/provisioning/stateful --law-stories=$(STORIES) --law-steps=50 --law-dice=$(DICE) $(ARGS)

requirements: install
	for name in requirements identity_hub/local/requirements requirements-dev; do \
		$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
			--no-emit-index-url --no-emit-find-links --output-file $$name.txt $$name.in || exit 1; done

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
