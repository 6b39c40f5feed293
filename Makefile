# `make up` starts everything and prints one link; `make test` proves it. Both set themselves up.
.DEFAULT_GOAL := help
.PHONY: help install install-dev up down demo test check soak lock clean

VIVAVOCE := .venv/bin/vivavoce
# Recordings of people for the tests lie beside the clone, where there are any.
AUDIO ?=
TURNS ?= 50

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' | expand -t 22

install: ## .venv from the lock file, and the model files
	@sh ops/install.sh
	@$(VIVAVOCE) models fetch

install-dev: ## the same, with what tests and checks need
	@sh ops/install.sh --dev

up: install ## starts everything and prints one link; Ctrl-C stops it
	@$(VIVAVOCE) up

down: ## stops what `make up` started in this folder
	@$(VIVAVOCE) down

demo: install ## a whole conversation without a browser; AUDIO=FILE plays a recording
	@$(VIVAVOCE) demo $(if $(AUDIO),--audio "$(AUDIO)")

test: ## every test, a real browser included
	@sh ops/install.sh --dev --browser
	@$(VIVAVOCE) models fetch
	@.venv/bin/python -m pytest

check: install-dev ## style, types and import contracts
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

soak: install-dev ## tests that take minutes, and latency over many turns; TURNS=N
	@$(VIVAVOCE) models fetch
	@.venv/bin/python -m pytest -m soak
	@$(VIVAVOCE) bench call --turns $(TURNS)

lock: ## resolves pyproject.toml into the two lock files (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" pyproject.toml -o ops/requirements.lock
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command "make lock" -c ops/requirements.lock --extra dev pyproject.toml -o ops/requirements-dev.lock

clean: ## removes .venv and caches; conversations in .vivavoce stay
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
