# make book · test · test-long · test-oldest · record · lint · clean
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.installed
OLDEST := .venv-oldest/bin

.PHONY: book test test-chapters test-site test-long test-oldest record lint clean

book: $(READY)  ## build the site from the stored outputs
	$(BIN)/jupyter-book build . --path-output . -W -n --keep-going --all -q
	@echo "The site is in _build/html. To read it: $(BIN)/python -m http.server -d _build/html 8000"
	@echo "and open http://127.0.0.1:8000"

# One thread a process: two workers with two threads each would wait for one another.
test test-chapters test-site: export OMP_NUM_THREADS = 1
test: $(READY)  ## unit tests, every notebook in the quick profile, checks of the built book
	$(BIN)/python -m pytest tests -n 2 -q --ignore=tests/test_site.py --ignore=tests/test_accessibility.py
	$(MAKE) --jobs=2 --output-sync=target test-chapters test-site

test-chapters:
	CIFAR_PROFILE=quick $(BIN)/python -m pytest --nbval-lax --nbval-current-env \
		--nbval-cell-timeout=600 -n 2 --dist loadscope -q notebooks

test-site:
	$(BIN)/jupyter-book build . --path-output . -W -n --keep-going --all -q
	$(BIN)/python -m pytest tests/test_site.py tests/test_accessibility.py -q

test-long: export OMP_NUM_THREADS = 1
test-long: $(READY)  ## the faults that take minutes: see book/trust.md
	$(BIN)/python -m pytest tests -q -m long

test-oldest: export OMP_NUM_THREADS = 1
test-oldest: .venv-oldest/.installed  ## unit tests with the oldest PyTorch that pyproject.toml allows
	$(OLDEST)/python -m pytest tests -q --ignore=tests/test_book.py --ignore=tests/test_site.py

record: $(READY)  ## execute every chapter in the recorded profile and keep its outputs
	$(BIN)/python notebooks/execute.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf _build .venv .venv-oldest

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $@

.venv-oldest/.installed: requirements.txt requirements-oldest.txt pyproject.toml
	$(PYTHON) -m venv .venv-oldest
	grep -v '^torch' requirements.txt > .venv-oldest/others.txt
	$(OLDEST)/python -m pip install --quiet -r .venv-oldest/others.txt -r requirements-oldest.txt
	$(OLDEST)/python -m pip install --quiet --no-deps -e .
	touch $@
