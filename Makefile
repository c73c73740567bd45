# Every target does its own set-up: an environment in .venv, the dependencies of
# that target, and this package as an editable install. Set-up is redone only
# when pyproject.toml changes; `make clean` starts afresh.

PYTHON ?= python3
# Python 3.11 or 3.12: the oldest supported versions have no wheels beyond.
PYTHON_OLDEST ?= $(shell sh .ci/find_python.sh $(PYTHON) python3.11 python3.12)
PYTEST_ARGS ?=
SKGENGEO_OUTPUT ?= .

VENV := .venv
VENV_OLDEST := .venv-oldest
# Bytecode is made at the first import, of what is imported: half the time of set-up.
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile
# Processes share the cores; more threads in each would only wait for each other.
PYTEST := -m pytest -n logical --maxprocesses 4 --dist worksteal
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
# Files with tests of that mark: to collect all others takes longer than to run these.
DEEP = skgengeo/density/_flow.py $(shell grep -rl --include='*.py' 'pytest\.mark\.deep' tests)
# For a failed scikit-fmm, which is built from source: an error only under CI.
NO_FMM := scikit-fmm could not be installed (it is built with a C++ compiler), so the \
	tests against fast marching will be skipped. The log:

export MPLBACKEND := Agg
# Each environment keeps its own compiled kernels, and others for each version of the
# files whose kernels are compiled into those of other files: numba looks at these alone.
SHARED := $(firstword $(shell cd skgengeo/geometry && cat _cost.py _dijkstra.py _energy.py | cksum))
export NUMBA_CACHE_DIR = $(CURDIR)/$(VENV)/numba-$(SHARED)
test-oldest: export NUMBA_CACHE_DIR = $(CURDIR)/$(VENV_OLDEST)/numba-$(SHARED)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-deep test-oldest lint format doc bench bench-quick clean

help: ## List the targets
	@echo "usage: make TARGET [PYTHON=python3.12] [PYTEST_ARGS='-k name']"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 16

demo: $(VENV)/.installed-plot ## Run the quick start: a table, and a figure as PNG
	@mkdir -p "$(SKGENGEO_OUTPUT)"
	$(ONE_THREAD) SKGENGEO_OUTPUT="$(SKGENGEO_OUTPUT)" \
		$(VENV)/bin/python examples/plot_quickstart.py

test: $(VENV)/.installed-test ## Run the tests and the doctests
	$(ONE_THREAD) $(VENV)/bin/python $(PYTEST) $(PYTEST_ARGS)

test-deep: $(VENV)/.installed-test-deep ## Run the tests of flows and of foreign models, with PyTorch
	$(ONE_THREAD) $(VENV)/bin/python $(PYTEST) -m deep $(DEEP) $(PYTEST_ARGS)

# What is true of curves is true in all versions, and takes a minute to show.
test-oldest: $(VENV_OLDEST)/.installed-test ## The same with the oldest supported versions
	$(ONE_THREAD) $(VENV_OLDEST)/bin/python $(PYTEST) --ignore=tests/test_truth.py \
		$(PYTEST_ARGS)

lint: $(VENV)/.installed-dev ## Check style, docstrings and lower bounds
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/numpydoc lint $$(find skgengeo -name '*.py')
	$(VENV)/bin/python .ci/check_docstrings.py
	$(VENV)/bin/python .ci/check_oldest.py

format: $(VENV)/.installed-dev ## Format the code and apply safe fixes
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

doc: $(VENV)/.installed-doc ## Build the site in doc/_build/html, warnings as errors
	@rm -rf doc/api
	@echo "Building the site; its examples are run."
	$(ONE_THREAD) $(VENV)/bin/python -m sphinx \
		-b html -q -E -W --keep-going -n doc doc/_build/html
	@echo "The site: doc/_build/html/index.html"

bench: $(VENV)/.installed-bench ## Measure time and memory beside peers, half an hour
	$(ONE_THREAD) $(VENV)/bin/python benchmarks/speed.py --write doc/benchmarks.inc

bench-quick: $(VENV)/.installed-test ## Count density evaluations and settled vertices
	$(ONE_THREAD) $(VENV)/bin/python benchmarks/speed.py --quick

clean: ## Remove environments, caches and everything generated
	rm -rf $(VENV) $(VENV_OLDEST) build dist .pytest_cache .ruff_cache .coverage
	rm -rf doc/_build doc/auto_examples doc/api quickstart.png
	find skgengeo tests examples benchmarks doc .ci -name __pycache__ -prune \
		-exec rm -rf {} + 2>/dev/null || true

$(VENV)/.created:
	@sh .ci/make_venv.sh "$(PYTHON)" $(VENV)

$(VENV_OLDEST)/.created:
	@sh .ci/make_venv.sh "$(PYTHON_OLDEST)" $(VENV_OLDEST)

$(VENV)/.installed-test: pyproject.toml | $(VENV)/.created
	@$(VENV)/bin/python $(PIP_INSTALL) --editable ".[test]"
	@$(VENV)/bin/python $(PIP_INSTALL) --editable ".[fmm]" >$(VENV)/fmm.log 2>&1 \
		|| { echo "$(NO_FMM) $(VENV)/fmm.log"; test -z "$$CI"; }
	@touch $@

$(VENV)/.installed-%: pyproject.toml | $(VENV)/.created
	@$(VENV)/bin/python $(PIP_INSTALL) --editable ".[$*]"
	@touch $@

$(VENV_OLDEST)/.installed-test: pyproject.toml .ci/oldest.txt | $(VENV_OLDEST)/.created
	@$(VENV_OLDEST)/bin/python $(PIP_INSTALL) --constraint .ci/oldest.txt \
		--editable ".[test]"
	@$(VENV_OLDEST)/bin/python $(PIP_INSTALL) --constraint .ci/oldest.txt \
		--editable ".[fmm]" >$(VENV_OLDEST)/fmm.log 2>&1 \
		|| { echo "$(NO_FMM) $(VENV_OLDEST)/fmm.log"; test -z "$$CI"; }
	@touch $@
