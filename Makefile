# The daily commands. PYTHON chooses the interpreter, PROFILE how hard Hypothesis looks (quick, full, deep).
PYTHON  ?= python
PROFILE ?= quick
WORKERS ?= 2

# One thread a worker: workers that each start a BLAS thread a core only wait for one another.
ONE_THREAD = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
PYTEST     = AUTODIFF_PROFILE=$(PROFILE) $(PYTHON) -m pytest
PARALLEL   = $(ONE_THREAD) $(PYTEST) -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help check test lint types bench demo pictures notebooks ops errors docs site size ci

help:      ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */\1\t/' | expand -t 12

check: lint types  ## what every commit passes: ruff, mypy, the quick tests
	$(PARALLEL) -q -m "not slow"

test:      ## all tests and docstring examples
	$(PARALLEL)

lint:      ## ruff
	$(PYTHON) -m ruff check .

types:     ## mypy --strict
	$(PYTHON) -m mypy

bench:     ## a quick look at the benchmarks, against a saved baseline; SAVE=1 makes it the baseline
	$(PYTHON) -m tests.benchmarks --quick $(if $(SAVE),--save)

demo:      ## the demo, into autodiff-demo/
	$(PYTHON) -m autodiff demo

pictures:  ## rewrite the golden pictures and those of the documents, then show what changed
	$(PYTHON) -m pytest --rewrite-golden --ignore=tests/test_notebooks.py
	$(PYTHON) docs/make_pictures.py
	git --no-pager diff --stat

notebooks: ## run the notebooks and keep what they give, then show what changed
	$(PYTEST) -q tests/test_notebooks.py --rewrite-golden -k gives_the_same_texts
	git --no-pager diff --stat notebooks

ops:       ## regenerate docs/operations.md and docs/edges.md; written aside first, so that a failure leaves the old ones
	$(PYTHON) -m autodiff ops --markdown > docs/operations.md.new || { rm -f docs/operations.md.new; exit 1; }
	mv docs/operations.md.new docs/operations.md
	$(PYTHON) -m autodiff ops --edges > docs/edges.md.new || { rm -f docs/edges.md.new; exit 1; }
	mv docs/edges.md.new docs/edges.md

errors:    ## regenerate docs/errors.md; written aside first, so that a failure leaves the old one
	$(PYTHON) -m autodiff errors --markdown > docs/errors.md.new || { rm -f docs/errors.md.new; exit 1; }
	mv docs/errors.md.new docs/errors.md

docs:      ## run every block of the documents, follow every link
	$(PYTEST) -q tests/test_documents.py

site:      ## the documentation as a site, into site/; needs the extra docs
	$(PYTHON) -m sphinx -q -W --keep-going -j auto -b html docs site

size:      ## lines of each module that are neither blank nor only a comment
	@find autodiff -name '*.py' | sort | xargs awk '!/^[ \t]*(#|$$)/ { n[FILENAME]++; all++ } \
	    END { for (f in n) printf "%6d  %s\n", n[f], f | "sort -k2"; close("sort -k2"); printf "%6d  all\n", all }'

ci:        ## everything, in a new virtual environment
	.ci/run
