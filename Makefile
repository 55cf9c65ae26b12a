# make run    set up .venv and run the main job (about a minute after installation)
# make test   pass the tests, as CI does
# make docs   build the site into build/docs; a warning or a broken link fails
# make release  build and check what would be uploaded, into dist; uploads nothing
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: run test test-fast check docs firmware-test web-engine web-picture benchmarks release lock clean
.DEFAULT_GOAL := test

$(VENV)/.installed: requirements/lock.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/lock.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

run: $(VENV)/.installed
	$(BIN)/crydistill run

# A process for each processor, and one more for when tests wait for sound in real time; files of
# tests stay together, with what they make. Threads of OpenBLAS would only wait for each other, and
# refits then take minutes.
WORKERS ?= $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) + 1)")
test: export OPENBLAS_NUM_THREADS = 1
test: $(VENV)/.installed
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

test-fast: $(VENV)/.installed
	$(BIN)/python -m pytest -m "not slow and not shared"

# The C library: skips what compilers and emulators are missing (firmware/install-emulators.sh).
firmware-test: $(VENV)/.installed
	$(BIN)/python -m pytest tests/firmware tests/device

# Style, types, the table of rooms, the examples in docstrings, and the site.
check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_rooms.py tests/test_doctests.py
	$(MAKE) docs

# What the site needs beyond the rest has a lock of its own, so that nothing else waits for it.
$(VENV)/.docs-installed: requirements/docs.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	touch $@

docs: $(VENV)/.docs-installed
	$(BIN)/python -m sphinx -E -W --keep-going --quiet docs build/docs
	$(BIN)/python -m pytest tests/docs

# The C library in WebAssembly that `crydistill export web` carries: after every change to firmware/.
web-engine: $(VENV)/.installed
	$(BIN)/crydistill web-engine firmware src/crydistill/web

# The picture of the web page in the README. Needs chromium.
web-picture: $(VENV)/.installed
	$(BIN)/python -m tests.web.picture docs/images/web.png

# What is to be uploaded, built from the last commit and checked. Its tools have an environment of their
# own, since they are in nobody's way there.
RELEASE := build/release-venv
DIST ?= dist
$(RELEASE)/.installed: requirements/release.txt
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/release.txt
	touch $@

release: $(RELEASE)/.installed
	$(RELEASE)/bin/python deploy/release.py $(DIST)

# What benchmarks compare with lies in an environment of its own, which nothing else uses.
build/benchmarks/.installed: requirements/benchmark.txt
	$(PYTHON) -m venv build/benchmarks
	build/benchmarks/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/benchmark.txt
	touch $@

# All figures of speed anew, on a quiet machine (benchmarks/README.md). ONLY=scoring runs one of them.
AUDIO           ?= ../shared/audio
TEACHER         ?= ../shared/teacher/yamnet_rebuilt.h5
CONTEXT_TEACHER ?= ../shared/teacher/efficientat_mn04_as.pt
SCALE           ?= 1
benchmarks: $(VENV)/.installed build/benchmarks/.installed
	$(BIN)/python -m benchmarks $(ONLY) --audio $(AUDIO) --teacher $(TEACHER) \
	  --context-teacher $(CONTEXT_TEACHER) --scale $(SCALE)

# Re-resolve every pinned version and hash. The only target that needs uv.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header
lock:
	$(LOCK) --extra train --extra audioset --extra live --extra hub --extra ray --extra parquet --group dev \
	  pyproject.toml -o requirements/lock.txt
	$(LOCK) --group docs --constraint requirements/lock.txt -o requirements/docs.txt
	$(LOCK) --group release --constraint requirements/lock.txt -o requirements/release.txt
	$(LOCK) --group benchmark --constraint requirements/lock.txt -o requirements/benchmark.txt

clean:
	rm -rf $(VENV) build dist runs .pytest_cache .mypy_cache .ruff_cache
