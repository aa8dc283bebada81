# Everything runs in .venv, made from requirements.lock; `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# Somebody's PYTHONPATH must not shadow what the lock installs.
unexport PYTHONPATH PYTHONHOME

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	if $$python -c '$(SUPPORTED)' 2>/dev/null; then echo $$python; break; fi; done)
BIN := .venv/bin
READY := .venv/.ready
READY_SPARK := .venv/.ready-spark
READY_TRYTON := .venv-tryton/.ready
READY_AUDIT := .venv-audit/.ready
TRYTON := configs/crm/tryton_module
UV ?= $(BIN)/uv
APT := $(shell [ "$$(id -u)" = 0 ] && command -v apt-get)
# $(call debian,what is missing,package): installs it as root on Debian, else says how to.
debian = { echo "$(1)."; if [ -z "$(APT)" ]; then echo "On Debian and Ubuntu: apt-get install $(2)"; exit 1; fi; \
	echo "Installing Debian's $(2)."; apt-get update -qq; \
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(2) >/dev/null; } >&2

COMPILE = $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	--no-header --quiet $(if $(UPGRADE),--upgrade)
# What the second lock file adds to the first: requirements with their hashes, by name.
define ONLY_NEW
import re, sys
new, old = ({re.split("[=; ]", entry)[0]: entry for entry in re.split(r"\n(?=\S)", open(path).read().strip())}
            for path in sys.argv[1:])
print("\n".join(new[name] for name in sorted(set(new) - set(old))))
endef
export ONLY_NEW

.PHONY: help setup demo year test test-slow test-browser test-engines lint types imports docs notebooks \
	sbom licences audit soak tally lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-13s %s\n", $$1, $$2 }'

setup: $(READY) ## make .venv from requirements.lock (every other target does it when needed)

$(READY): requirements.lock pyproject.toml
	@if ! '$(PYTHON)' -c '$(SUPPORTED)' 2>/dev/null; then \
		echo "csql_ml needs Python 3.11, 3.12 or 3.13; found: $$('$(or $(PYTHON),python3)' --version 2>&1 | tail -n 1)."; \
		echo "Install one, then run: make PYTHON=/path/to/python3.12 $(or $(MAKECMDGOALS),demo)"; \
		exit 1; \
	fi >&2
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || \
		$(call debian,$(PYTHON) cannot make virtual environments,python3-venv)
	@[ "$$(uname -s)" != Linux ] || '$(PYTHON)' -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null || \
		$(call debian,LightGBM needs the OpenMP library libgomp.so.1,libgomp1)
	@echo "Setting up .venv with $$('$(PYTHON)' --version); the first time takes one to five minutes."
	@$(BIN)/python -c '$(SUPPORTED)' 2>/dev/null || '$(PYTHON)' -m venv --clear .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## the whole main job on a simulated company; says where to look
	@$(BIN)/csql demo

test: $(READY) ## the test suite
	@$(BIN)/python -m pytest

test-slow: $(READY) ## the tests that take minutes, notebooks among them
	@$(BIN)/python -m pytest -m "slow and not engines and not soak"

soak: $(READY) ## kill train, score, report and push at random times, 200 times
	@$(BIN)/python -m pytest -m soak --numprocesses=0

tally: $(READY) ## write the counts of the last test runs into docs/reliability.md
	@$(BIN)/python -m tests.tally

test-browser: $(READY) ## open the reports in Chromium (root on Debian: installed if absent)
	@command -v chromium chromium-browser google-chrome >/dev/null || \
		$(call debian,Browser tests need Chromium,chromium)
	@$(BIN)/python -m pytest -m browser

test-engines: $(READY_SPARK) $(READY_TRYTON) ## Spark, PostgreSQL and a Tryton server (root on Debian: installed if absent)
	@command -v java >/dev/null || $(call debian,Spark needs Java 17,openjdk-17-jre-headless)
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || \
		$(call debian,The tests start a PostgreSQL server,postgresql)
	@$(BIN)/python -m pytest -m engines

$(READY_SPARK): $(READY) requirements-spark.lock
	@echo "Adding Spark to .venv; it is half a gigabyte."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes --no-deps \
		--no-build-isolation -r requirements-spark.lock
	@touch $@

$(READY_TRYTON): $(READY) requirements-tryton.lock $(TRYTON)/pyproject.toml
	@echo "Setting up .venv-tryton, a CRM server for the tests."
	@'$(PYTHON)' -m venv --clear .venv-tryton
	@.venv-tryton/bin/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes \
		-r requirements-tryton.lock
	@.venv-tryton/bin/python -m pip install -qq --disable-pip-version-check --no-input --no-deps \
		--no-build-isolation -e $(TRYTON)
	@touch $@

$(READY_AUDIT): $(READY) requirements-audit.lock
	@'$(PYTHON)' -m venv --clear .venv-audit
	@.venv-audit/bin/python -m pip install -qq --disable-pip-version-check --no-input --require-hashes \
		-r requirements-audit.lock
	@touch $@

year: $(READY) ## a year of four quarters, from simulation to dashboard; every count checked
	@$(BIN)/python benchmarks/year.py --out build/year

sbom: $(READY) $(READY_AUDIT) ## build/sbom.json: a CycloneDX bill of what is installed, with licences
	@mkdir -p build
	@.venv-audit/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--output-file build/sbom.json $(BIN)/python
	@echo "build/sbom.json: $$(grep -c '"purl"' build/sbom.json) packages"

licences: $(READY) ## docs/licences.md; fails where a licence is unknown or not allowed
	@$(BIN)/python .ci/supply_chain.py licences --write docs/licences.md

# The index may hide its advisories (mirrors do); --strict keeps that from passing for "nothing found".
audit: $(READY) $(READY_AUDIT) ## known vulnerabilities of what is locked; without a network: make audit OSV=all.zip
ifdef OSV
	@$(BIN)/python .ci/supply_chain.py advisories --osv '$(OSV)' requirements.lock requirements-spark.lock
else
	@for file in requirements.lock requirements-spark.lock; do \
		.venv-audit/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r $$file || exit 1; \
	done
endif

lint: $(READY) ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY) ## mypy, strict
	@$(BIN)/mypy --strict csql_ml

imports: $(READY) ## import contracts: one way down the data flow
	@$(BIN)/lint-imports

docs: $(READY) ## generated documents are current, commands, metrics and errors documented, links good
	@$(BIN)/python -m csql_ml.metrics.dictionary --check docs/metrics.md
	@$(BIN)/python -m pytest --numprocesses=0 tests/test_docs.py

notebooks: $(READY) ## execute notebooks/*.ipynb
	@$(BIN)/python -m pytest -m slow tests/test_notebooks.py

lock: $(READY) ## write requirements.lock anew from pyproject.toml (UPGRADE=1: newest versions)
	@$(COMPILE) --extra dev --extra notebook --extra postgres --extra shap \
		--extra hubspot --extra salesforce --extra tryton --extra tune \
		--output-file requirements.lock pyproject.toml
	@$(COMPILE) --extra spark --constraint requirements.lock --output-file .venv/spark.lock pyproject.toml
	@$(BIN)/python -c "$$ONLY_NEW" .venv/spark.lock requirements.lock > requirements-spark.lock
	@$(COMPILE) --extra test --output-file requirements-tryton.lock $(TRYTON)/pyproject.toml
	@$(COMPILE) --group pyproject.toml:audit --output-file requirements-audit.lock
	@for file in requirements.lock requirements-spark.lock requirements-tryton.lock requirements-audit.lock; do echo "$$file: $$(grep -c '==' $$file) packages"; done

clean: ## remove .venv, caches and the demo's output
	rm -rf .venv .venv-tryton .venv-audit demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find csql_ml tests -name __pycache__ -type d -prune -exec rm -rf {} +
