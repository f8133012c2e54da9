# make book · pdf · offline · student · slides · test · test-long · test-oldest · gpu · record · lint · mutants
# · clean
# (GNU make 3.81 suffices)
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.installed
OLDEST := .venv-oldest/bin
# Asked first, because of an older Python, as macOS's own is, pip says only that packages conflict.
ASK := import sys; sys.version_info < (3, 11) and sys.exit("This is Python %s.%s, and the course needs 3.11 \
	or later: name one, as in PYTHON=python3.12 make book." % sys.version_info[:2])

.PHONY: book pdf offline student slides test test-chapters test-site test-long test-oldest gpu record lint mutants clean

book: $(READY)  ## build the site from the stored outputs
	$(BIN)/jupyter-book build . --path-output . -W -n --keep-going --all -q
	@echo "The site is in _build/html. To read it: $(BIN)/python -m http.server -d _build/html 8000"
	@echo "and open http://127.0.0.1:8000"

student: $(READY)  ## the chapters without outputs and solutions, for a class
	$(BIN)/python notebooks/student.py

slides: $(READY)  ## a deck for each chapter, with the prose as the speaker's notes
	$(BIN)/python notebooks/slides.py

pdf: $(READY)  ## the whole book on paper: _build/book.pdf; needs Chromium
	$(BIN)/jupyter-book build . --path-output . --builder singlehtml -q
	cp _build/singlehtml/book/intro.html _build/singlehtml/all.html  # its addresses start at this folder
	$(BIN)/python book/_ext/chromium.py _build/singlehtml/all.html _build/book.pdf

offline: book  ## the site to take along: _build/site.zip, to be read from any folder
	$(BIN)/python -m zipfile -c _build/site.zip _build/html

# One thread a process: two workers with two threads each would wait for one another.
ALONE := OMP_NUM_THREADS=1
# Whole outputs, one after the other, where this make can do so (from 4.0).
WHOLE := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

test: $(READY)  ## unit tests, every notebook in the quick profile, checks of the built book
	$(ALONE) $(BIN)/python -m pytest tests -n 2 -q --ignore=tests/site
	$(MAKE) --jobs=2 $(WHOLE) test-chapters test-site

test-chapters:
	$(ALONE) CIFAR_PROFILE=quick $(BIN)/python -m pytest --nbval-lax --nbval-current-env \
		--nbval-cell-timeout=600 -n 2 --dist loadscope -q notebooks

test-site:
	$(ALONE) $(BIN)/jupyter-book build . --path-output . -W -n --keep-going --all -q
	$(ALONE) $(BIN)/python -m pytest tests/site -n 2 --dist loadfile -q

test-long: $(READY)  ## the faults that take minutes: see book/trust.md
	$(ALONE) $(BIN)/python -m pytest tests -q -m long

test-oldest: .venv-oldest/.installed  ## unit tests with the oldest PyTorch that pyproject.toml allows
	$(ALONE) $(OLDEST)/python -m pytest tests -q --ignore=tests/book --ignore=tests/site

gpu: $(READY)  ## with a GPU: all that was not measured yet, in one report; OPTIONS=--rehearse needs none
	$(BIN)/python benchmarks/gpu.py $(OPTIONS)

record: $(READY)  ## execute every chapter in the recorded profile and keep its outputs
	$(BIN)/python notebooks/execute.py

lint: $(READY)  ## style, order of the packages, signatures, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	$(BIN)/codespell

mutants: $(READY)  ## does a test notice each small change of the library? hours; goes on when stopped
	$(ALONE) $(BIN)/mutmut run
	$(BIN)/mutmut results

clean:
	rm -rf _build build dist mutants .venv .venv-oldest cifar_lib.egg-info .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c '$(ASK)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $@

.venv-oldest/.installed: requirements.txt requirements-oldest.txt pyproject.toml
	@$(PYTHON) -c '$(ASK)'
	$(PYTHON) -m venv .venv-oldest
	grep -v '^torch' requirements.txt > .venv-oldest/others.txt
	$(OLDEST)/python -m pip install --quiet -r .venv-oldest/others.txt -r requirements-oldest.txt
	$(OLDEST)/python -m pip install --quiet --no-deps -e .
	touch $@
