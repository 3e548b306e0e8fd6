# Every command of the project. `make help` lists them; each makes the environment it needs first.
#
#   PYTHON=python3.12   the interpreter to build the environment with (default: the first one found that is new enough)
#   VENV=.venv          where the environment lives
#   IMAGE=name          name of the image that `make image` builds; without a tag it gets the version
#   ENGINE=podman       what builds it (default: docker or podman, whichever answers)
#   ARGS=...            handed on to the command behind the target, such as: make run ARGS="--for 2m --speed 2"

VENV ?= .venv
PYTHON ?=
ARGS ?=
IMAGE ?= variant-autoscaler
ENGINE ?=

BIN := $(VENV)/bin
ENVIRONMENT := $(VENV)/.complete
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
# Several processes, a file of tests each: the slow ones mostly wait. More than four would need memory for as many
# control planes.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run demo simulate demo-cluster doctor test test-quick test-control-plane control-plane test-contract test-keda test-engine bench image chart lint types format pytest pytest-quick lock clean no-python

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  ARGS="..." is handed on, such as: make run ARGS="--for 2m --speed 2"'

run: $(ENVIRONMENT) ## an embedded fleet and the autoscaler against it, with a live table; ends with Ctrl-C or --for
	@$(BIN)/variant-autoscaler demo $(ARGS)

demo: run ## the same as run; ARGS=--help lists what it can play

simulate: $(ENVIRONMENT) ## a trace on a simulated cluster under one policy or several, docs/simulate.md (ARGS="--compare slo,hpa_queue")
	@$(BIN)/variant-autoscaler simulate $(ARGS)

demo-cluster: $(ENVIRONMENT) ## the same against a real Kubernetes control plane, with kubectl lines to try (ARGS=--help)
	@$(BIN)/python -m tests.control_plane.demo_cluster $(ARGS)

doctor: $(ENVIRONMENT) ## what is wrong on the cluster of your kubectl context, and how to mend it (ARGS="--wrong-only")
	@$(BIN)/variant-autoscaler doctor $(ARGS)

test: lint types pytest ## everything that must pass

test-quick: lint types pytest-quick ## the same without the slow tests, under 5 minutes on two cores

test-control-plane: $(ENVIRONMENT) ## against a real etcd, kube-apiserver and kube-controller-manager (K8S_VERSION=1.37.0)
	$(PYTEST) tests/control_plane $(ARGS)

control-plane: $(ENVIRONMENT) ## build that control plane and nothing else: once, 6 to 10 minutes (ARGS="1.37.0 1.34.4")
	@$(BIN)/python -m tests.control_plane.build $(ARGS)

test-contract: $(ENVIRONMENT) ## black-box tests of the external metrics API (ARGS="--adapter-url=https://... --adapter-token=@file")
	$(BIN)/python -m pytest tests/contract/external_metrics $(ARGS)

test-keda: $(ENVIRONMENT) ## against a real KEDA, and samples against definitions of others (opt-in: builds KEDA once, 7 minutes)
	$(BIN)/python -m pytest tests/keda -m keda -rP $(ARGS)

test-engine: $(ENVIRONMENT) ## against a real vLLM on CPU (opt-in: downloads and installs about 6 GB)
	$(BIN)/python tests/engine/run.py $(ARGS)

bench: $(ENVIRONMENT) ## our own speed: reading pages, one cycle, answering requests
	$(BIN)/python tests/bench/run.py $(ARGS)

image: ## the container image, by docker or podman (IMAGE=registry.example.com/variant-autoscaler, ENGINE=podman)
	@$(build_image)

chart: $(ENVIRONMENT) ## renew what follows from the chart and the configuration: manifests/, schema of its values
	@$(BIN)/python -m tests.deploy.generate

lint: $(ENVIRONMENT) ## formatting and lint
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet

types: $(ENVIRONMENT) ## static types
	$(BIN)/mypy

pytest: $(ENVIRONMENT)
	@-$(BIN)/python -m tests.control_plane.build
	$(PYTEST) $(ARGS)

pytest-quick: $(ENVIRONMENT)
	$(PYTEST) -m "not slow" $(ARGS)

format: $(ENVIRONMENT) ## format the sources and mend what lint can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lock: $(ENVIRONMENT) ## renew requirements.lock after a change of dependencies (ARGS=--upgrade takes the newest)
	@test -x build/lock/bin/uv || $(BIN)/python -m venv build/lock
	@test -x build/lock/bin/uv || build/lock/bin/python -m pip install --quiet "uv>=0.8"
	build/lock/bin/uv pip compile pyproject.toml --extra dev --output-file requirements.lock --quiet \
		--universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
		--custom-compile-command "make lock" $(ARGS)

clean: ## remove caches and build outputs (the environment stays; rm -r .venv removes it)
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find adapter optimizer tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment: complete once the lock is installed and the project itself, editable, beside it. A broken or missing
# interpreter (moved, upgraded, removed) makes it anew.
$(ENVIRONMENT): requirements.lock pyproject.toml $(if $(realpath $(BIN)/python),,no-python)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { $(create_environment) ; }
	@echo "environment: installing what requirements.lock lists into $(VENV)"
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

no-python:

define create_environment
	found=; \
	for python in $(or $(PYTHON),$(CANDIDATES)); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "environment: Python 3.11 or newer is needed; looked for: $(or $(PYTHON),$(CANDIDATES))" >&2; \
		echo "environment: install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; \
		exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
		echo "environment: $$found cannot make virtual environments (no module venv or ensurepip)" >&2; \
		echo "environment: on Debian and Ubuntu: sudo apt-get install python3-venv" >&2; \
		exit 1; \
	fi; \
	echo "environment: making $(VENV) with $$found"; \
	"$$found" -m venv --clear "$(VENV)"
endef

# The engine is the first one that answers; a name without a tag gets the version of the project.
define build_image
	engine=; installed=; \
	for candidate in $(or $(ENGINE),docker podman); do \
		command -v "$$candidate" >/dev/null 2>&1 || continue; \
		installed="$$installed $$candidate"; \
		if "$$candidate" version >/dev/null 2>&1; then engine=$$candidate; break; fi; \
	done; \
	if [ -z "$$engine" ]; then \
		if [ -n "$$installed" ]; then \
			echo "image:$$installed is installed but does not answer: is its service running, and may you use it?" >&2; \
		else \
			echo "image: a container engine is needed; looked for: $(or $(ENGINE),docker podman)" >&2; \
			echo "image: install Docker or Podman, or name yours: make image ENGINE=nerdctl" >&2; \
		fi; \
		exit 1; \
	fi; \
	case "$(notdir $(IMAGE))" in \
		*:*) image="$(IMAGE)" ;; \
		*) image="$(IMAGE):$$(sed -n 's/^__version__ = "\(.*\)"$$/\1/p' adapter/__init__.py)" ;; \
	esac; \
	"$$engine" build --tag "$$image" $(ARGS) . && echo "image: $$image"
endef
