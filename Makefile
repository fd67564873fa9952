# The only door. `make run` needs Python 3.11 or newer; a C++ compiler makes it fast.
#   make setup         everything for work on petit, into .venv
#   make run           the default model answers
#   make test          the tests (test-all: the slow ones too)
#   make oracles       other tools for looking inside, in an environment of their own, to be compared with
#   make check         ruff, clang-format, pyright, links and commands in the docs
#   make docs          runs every example of the docs again and writes down what it printed
#   make bench         speed and memory, with the machine's conditions
#   make default-model trains and packs the default model again, from nothing

SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
# Both names: pip took build requirements from the first until 25.3 and takes them from the second since.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# A stamp is touched when its installation is complete: a broken one is done again.
CORE := $(VENV)/.core-installed
DEV := $(VENV)/.dev-installed
PEERS := $(VENV)/.peers-installed
ORACLES := .oracles/.installed
KERNELS := $(wildcard kernels/* kernels/*/*)
BENCH_DIR := build/bench

.PHONY: help setup run test test-all oracles check docs bench default-model clean
.DEFAULT_GOAL := help

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

$(PY):
	@for p in "$(PYTHON)" python3 python3.14 python3.13 python3.12 python3.11; do \
	  if [ -n "$$p" ] && "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "$$p -m venv $(VENV)"; exec "$$p" -m venv $(VENV); \
	  fi; \
	done; \
	echo "petit needs Python 3.11 or newer; install it, or name it: make setup PYTHON=/path/to/python3" >&2; exit 3

# The package itself and the five libraries that it runs on: no torch.
$(CORE): $(PY) pyproject.toml constraints.txt $(KERNELS)
	$(PY) -m pip install --quiet --editable .
	@touch $@

# What training and the tests need, read from pyproject.toml so that it is said once.
$(DEV): $(CORE)
	@$(PY) -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
	  print(*extras["train"], *extras["data"], *extras["ray"], *extras["dev"], sep="\n")' > $(VENV)/dev-requirements.txt
	$(PY) -m pip install --quiet --requirement $(VENV)/dev-requirements.txt
	@touch $@

# llama.cpp with its Python bindings, a judge of the GGUF files that petit writes: compiled, some minutes once.
$(PEERS): $(DEV)
	@$(PY) -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
	  print(*extras["peers"], sep="\n")' > $(VENV)/peers-requirements.txt
	CMAKE_ARGS="-DLLAVA_BUILD=OFF $(CMAKE_ARGS)" $(PY) -m pip install --quiet --requirement $(VENV)/peers-requirements.txt
	@touch $@

# TransformerLens and nnsight want other versions than petit: nothing of theirs comes into .venv.
$(ORACLES): tests/oracles/requirements.txt | $(PY)
	$(PY) -m venv .oracles
	env -u PIP_CONSTRAINT -u PIP_BUILD_CONSTRAINT .oracles/bin/python -m pip install --quiet --requirement $<
	@touch $@

oracles: $(ORACLES)

setup: $(DEV)

run: $(CORE)
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" examples/tour.sh

test: $(DEV)
	$(PY) -m pytest -m "not slow"

test-all: $(PEERS)
	@$(MAKE) --no-print-directory oracles || echo "no environment for the oracles: their tests will be skipped" >&2
	$(PY) -m pytest

check: $(DEV)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/clang-format --dry-run --Werror kernels/*.h kernels/*.cpp kernels/text/*.h kernels/text/*.cpp
	$(VENV)/bin/pyright
	$(PY) docs/doc_checks.py

docs: $(DEV)
	$(PY) docs/doc_examples.py --update
	$(PY) docs/doc_checks.py

bench: $(DEV)
	$(PY) bench/start.py
	$(PY) bench/engine.py

default-model: $(DEV)
	$(VENV)/bin/petit train recipes/default-model.toml --out runs/default
	rm -rf src/petitlm/models/default
	cp -R runs/default/packed src/petitlm/models/default
	cp runs/default/model/model.safetensors runs/default/run.json src/petitlm/models/default/
	$(VENV)/bin/petit look risk --problems 3000 --seed 1 --fit src/petitlm/models/default/risk.safetensors

clean:
	rm -rf build dist
