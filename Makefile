# What a newcomer types: `make demo`, then `make test`. Both may be interrupted and run again.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: help demo demo-down test test-fast test-soak bench lint format wheel pyz venv machine machine-tests clean

VENV := .venv
LABCTL := $(VENV)/bin/labctl
PYTEST := $(VENV)/bin/python -m pytest
BY_FILE := --dist=loadfile --no-loadscope-reorder
# One more than cores: some always wait, and what is compared with Ansible takes the time that is left over.
WORKERS := --numprocesses=3 $(BY_FILE)

help:  ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

machine:
	@scripts/machine.sh

machine-tests:
	@scripts/machine.sh tests

venv:
	@scripts/venv.sh $(VENV)

demo: machine venv  ## two VMs, the lab provisioned on them, graded before and after
	@$(VENV)/bin/python scripts/demo.py

demo-down:  ## remove the demo's VMs and files
	@if [ -x $(LABCTL) ]; then $(LABCTL) sandbox down; else echo "nothing to remove"; fi

test: machine-tests venv  ## the whole suite, on real VMs too (about 50 minutes on 2 cores)
	$(PYTEST) $(WORKERS) --durations=15

test-fast: machine-tests venv  ## the tests that need no VM (about a minute)
	$(PYTEST) $(WORKERS) -q -m "not vm and not slow"

test-soak: machine-tests venv  ## what `make test` tries once or twice, as often as promised (as root; three hours)
	$(PYTEST) -m soak -s --durations=0

bench: machine-tests venv  ## labctl beside its peers, on one container (as root; a few minutes)
	$(VENV)/bin/python bench/setup.py
	$(VENV)/bin/python bench/grade.py

lint: venv  ## style, types, layout
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: venv
	$(VENV)/bin/ruff check --fix -q .
	$(VENV)/bin/ruff format .

wheel: venv  ## the package, in dist/
	$(VENV)/bin/python -m pip wheel -q --no-deps --wheel-dir dist .

pyz: venv  ## the student's labctl in one file, dist/labctl.pyz
	$(VENV)/bin/python scripts/pyz/build.py

clean:  ## caches of this checkout; the VM image stays in the user's cache
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
