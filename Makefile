# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Everything there is to do with this checkout. Plain `make` lists it; CONTRIBUTING.md explains it.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# `make site`: an environment of its own, remade when the pinned requirements change.
VENV := .venv
# Everything else: the developer's environment and what tests keep between runs.
CACHE := .cache
DEV := $(CACHE)/dev
LINK := $(CACHE)/collections/ansible_collections/barekernel/containers
VERSION := $(shell sed -n 's/^version: *//p' galaxy.yml)
TARBALL := build/barekernel-containers-$(VERSION).tar.gz
# What the built collection contains.
CONTENT := $(shell find plugins roles playbooks meta changelogs docs galaxy.yml README.md COPYING -type f ! -name '*.pyc' 2>/dev/null)

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# What is exported for other playbooks (ANSIBLE_INVENTORY, ANSIBLE_LIMIT, ANSIBLE_COLLECTIONS_PATH...) decides nothing
# here; what only decides how output looks does.
ANSIBLE_SHOWN := ANSIBLE_CALLBACK% ANSIBLE_DISPLAY_% ANSIBLE_STDOUT_CALLBACK ANSIBLE_LOG_PATH ANSIBLE_VERBOSITY \
	ANSIBLE_NOCOLOR ANSIBLE_FORCE_COLOR
unexport $(filter-out $(ANSIBLE_SHOWN),$(filter ANSIBLE_%,$(.VARIABLES)))
# Ansible ignores ./ansible.cfg in a directory that others may write to, and leaves it to Python when what it says of a
# task at work goes out: through a pipe, when the task is over.
play := PYTHONUNBUFFERED=1 ANSIBLE_CONFIG="$(CURDIR)/ansible.cfg" ansible-playbook -i playbooks/inventory/localhost.yml
# Tests start interpreters by the thousand: what one has compiled the next one loads, whatever the caller's habits.
export PYTHONDONTWRITEBYTECODE :=
in-dev := PATH="$(CURDIR)/$(DEV)/bin:$(PATH)" ANSIBLE_COLLECTIONS_PATH="$(CURDIR)/$(CACHE)/collections"
# A host of its own for each CPU; the files in their order, as those with few tests are not the quick ones.
kernel-side-by-side = python -m pytest --dist loadfile --no-loadscope-reorder \
	--tx "$(shell nproc)*popen//python=tests/isolated python"

-include molecule/molecule.mk

.PHONY: help site teardown test lint unit kernel integration sanity nsrun build bench clean

help: ## list what can be done
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# For users

site: root $(VENV)/.collection ## set up and run playbooks/example.yml on this machine (ARGS='--check --diff' shows what it would do)
	@$(play) playbooks/example.yml $(ARGS)

teardown: root $(VENV)/.collection ## remove all that site made (images too with ARGS='-e purge_images=true')
	@$(play) playbooks/teardown.yml $(ARGS)

# For developers

test: ## run all tests and print their counts (SKIP='molecule sanity' leaves stages out)
	@tools/test $(SKIP:%=--skip=%)

lint: $(DEV)/.requirements $(LINK) ## style, types, playbooks, documentation and changelog
	@$(in-dev) tools/lint

unit: $(DEV)/.requirements $(LINK) ## unit tests on every Python from 3.9 that this machine has
	@$(in-dev) tools/unit $(ARGS)

kernel: root packages $(DEV)/.requirements $(LINK) ## tests against the real kernel, in namespaces of their own (ARGS=tests/kernel/test_X.py)
	@$(in-dev) $(if $(ARGS),tests/isolated python -m pytest,$(kernel-side-by-side)) \
		--junitxml=build/results/$(or $(RESULT),kernel).xml $(or $(ARGS),tests/kernel)

integration: root packages $(DEV)/.requirements build ## the two playbooks as users run them, in namespaces of their own
	@$(in-dev) tests/isolated --outside python -m pytest --junitxml=build/results/integration.xml $(or $(ARGS),tests/integration)

sanity: $(DEV)/.requirements $(LINK) ## ansible-test sanity, the built collection installed and documented
	@$(in-dev) tools/sanity

nsrun: $(LINK) ## build the container runtime to build/nsrun
	@tools/build-nsrun

build: $(TARBALL) ## the tarball for Galaxy

bench: root packages peers $(DEV)/.requirements $(LINK) ## run a benchmark: make bench BENCH=NAME runs tests/bench/NAME.py
	@test -n "$(BENCH)" || { echo "Name one: make bench BENCH=NAME, of:" $(notdir $(basename $(wildcard tests/bench/[a-z]*.py))) >&2; exit 1; }
	@$(in-dev) python -m tests.bench.$(BENCH) $(ARGS)

clean: ## remove everything that was built or cached here
	rm -rf $(VENV) $(CACHE) build tests/output .mypy_cache .pytest_cache .ruff_cache .hypothesis .ansible
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Prerequisites

.PHONY: root packages peers
root:
	@test "$$(id -u)" = 0 || { echo "This changes namespaces, mounts and networks: run it as root (sudo make $(MAKECMDGOALS))" >&2; exit 1; }

packages:
	@tools/packages

peers: # of benchmarks; the table says who could not be had
	-@tools/packages tests/bench/packages.txt

$(VENV)/.requirements: requirements.txt
	@python=$$(tools/controller-python) && echo "Making $(VENV) with ansible-core (once, about 20 seconds)" && \
	rm -rf $(VENV) && "$$python" -m venv $(VENV) && $(VENV)/bin/pip install -qq --require-hashes -r requirements.txt && touch $@

$(VENV)/.collection: $(VENV)/.requirements $(CONTENT)
	@$(MAKE) --no-print-directory build
	@echo "Installing the collection into $(VENV)/collections"
	@ansible-galaxy collection install $(TARBALL) --offline --force --no-deps -p $(VENV)/collections >/dev/null
	@touch $@

$(TARBALL): $(VENV)/.requirements $(CONTENT)
	@mkdir -p build
	@ansible-galaxy collection build --force --output-path build >/dev/null
	@echo "Built $@"

$(DEV)/.requirements: requirements-dev.txt
	@python=$$(tools/controller-python) && echo "Making $(DEV) with the development tools (once, about a minute)" && \
	rm -rf $(DEV) && "$$python" -m venv $(DEV) && $(DEV)/bin/pip install -qq --require-hashes -r requirements-dev.txt && touch $@

# The checkout under the name it is imported by; relative, so that a copied checkout means itself.
$(LINK):
	@mkdir -p $(@D)
	@ln -sfn ../../../.. $@
