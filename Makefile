# `make book` builds the site, `make test` checks everything. Both make .venv if need be.
# Plain commands, for machines without make, are in README.md.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SITE := build/_build/html
BUILD := $(BIN)/jupyter-book build . --toc book/_toc.yml --path-output build -W -n --keep-going
COURSE := $(BIN)/python -m tools.course && $(BIN)/jupyter-book build . -W -n --keep-going \
  --config build/course/_config.yml --toc build/course/_toc.yml --path-output build/course
CHAPTERS ?=
VARIANT ?= lowest
PAGES := stamp release timings claims teaching
# The limit ends a cell that hangs; a busy machine, several times slower than an idle one, must not fail.
NBVAL := $(BIN)/pytest --nbval-lax --nbval-cell-timeout=600 -n 2 --dist loadfile -p no:cacheprovider
PANDAS := build/pandas
NODE_TOOLS := tests/node_modules/.package-lock.json

export TF_CPP_MIN_LOG_LEVEL := 3
export CUDA_VISIBLE_DEVICES := -1

.PHONY: help book serve course test lint unit notebooks-test site-test notebooks pages lock colab matrix wheel pdf slides quizzes bench clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 18

$(VENV)/installed: requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info < (3, 14); \
	  ok or sys.exit("Python 3.11 to 3.13 is needed, got %s: make PYTHON=python3.12 ..." % sys.version.split()[0])'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -r requirements.txt -e ".[dev]"
	@touch $@

book: $(VENV)/installed ## build the site
	$(BUILD)
	@echo; echo "The book is at $(CURDIR)/$(SITE)/index.html"

serve: book ## build the site and serve it at http://localhost:8000
	$(BIN)/python -m http.server --directory $(SITE) 8000

course: $(VENV)/installed ## build the site for a course, without solutions
	$(COURSE)
	@echo; echo "The course is at $(CURDIR)/build/course/_build/html/index.html"

test: lint unit notebooks-test site-test ## everything that CI checks
	@echo; echo "All checks passed."

lint: $(VENV)/installed ## style, and committed files that tools generate
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m tools.execute --check
	@for tool in $(PAGES); do $(BIN)/python -m tools.$$tool --check || exit 1; done

# Beside the environment, not in it: Keras imports pandas where there is one, and each notebook waits.
$(PANDAS)/installed: $(VENV)/installed
	$(BIN)/python -m pip install -q --no-deps --upgrade --target $(PANDAS) -c constraints.txt pandas
	@touch $@

unit: $(VENV)/installed $(PANDAS)/installed ## unit tests and doctests, with coverage
	PYTHONPATH=$(PANDAS) $(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered --cov-fail-under=95 \
	  --ignore=tests/test_site.py --ignore=tests/test_site_browser.py --ignore=tests/test_course.py

notebooks-test: $(VENV)/installed ## execute every notebook and compare with what is stored
	CVLAB_STRICT=1 $(NBVAL) chapters book/exercises/source

$(NODE_TOOLS): tests/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix tests --ignore-scripts --no-audit --no-fund --silent; \
	elif [ -n "$$CI" ]; then echo "npm is missing" >&2; exit 1; \
	else echo "No npm: accessibility and validity of the pages are not checked."; fi

site-test: $(VENV)/installed $(NODE_TOOLS) ## build the site with warnings as errors and check its pages
	rm -rf build/_build build/course
	($(COURSE) -q) & course=$$!; $(BUILD) -q && wait $$course
	$(BIN)/pytest -n 2 --dist worksteal tests/test_site.py tests/test_site_browser.py tests/test_course.py

notebooks: $(VENV)/installed ## execute the notebooks whose code changed, refresh generated pages
	$(BIN)/python -m tools.stamp
	$(BIN)/python -m tools.execute
	$(MAKE) pages

pages: $(VENV)/installed ## refresh generated pages
	@for tool in $(PAGES); do $(BIN)/python -m tools.$$tool || exit 1; done

lock: $(VENV)/installed ## write constraints.txt anew (needs a connection)
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q pyproject.toml requirements.txt --extra dev --extra frames --universal \
	  --python-version 3.11 --upgrade --no-header --no-annotate --no-emit-index-url \
	  --no-emit-find-links -o constraints.txt

colab: ## run the chapters as in Colab: its versions, empty directories (CHAPTERS="02-convolution ...")
	tools/matrix.sh colab $(CHAPTERS)

matrix: ## the same with other versions: VARIANT=lowest, newest or locked
	tools/matrix.sh $(VARIANT) $(CHAPTERS)

wheel: ## build the wheel, and run chapter 02 where nothing else of the book is
	tools/wheel.sh

pdf: book ## print the book as one PDF (build/book.pdf)
	$(BIN)/python -m tools.pdf

slides: $(VENV)/installed ## make the slides alone, to show without the site (build/slides)
	$(BIN)/python -m tools.slides

quizzes: $(VENV)/installed ## write the questions for learning platforms (build/quizzes)
	$(BIN)/python -m tools.quizzes

bench: $(VENV)/installed ## speed, as ratios against a named peer, one thread
	@status=0; for file in benchmarks/[a-z]*.py; do \
	  echo "== $$file"; $(BIN)/python $$file || status=1; done; exit $$status

clean: ## remove what these targets made
	rm -rf build dist tests/node_modules .venv .venv-* .pytest_cache .ruff_cache .hypothesis .coverage *.egg-info
