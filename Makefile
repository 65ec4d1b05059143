# `make` lists the targets. Needs Python 3.11+, make and git; everything else comes into .venv.

.DEFAULT_GOAL := help
.PHONY: help run test test-long coverage lint audit bench screenshots messages schema dump requirements reset clean
.NOTPARALLEL:

# Options for what a target starts: `make test ARGS="tests/flows -x"`.
ARGS ?=
VENV := .venv
PY := $(VENV)/bin/python
OLDEST := (3, 11)
APPS := mps members merchants cards payments settlements benchmarks
PYTHONS := python3.14 python3.13 python3.12 python3.11 python3

# Every process would compile all of MPS anew, and start half as fast.
unexport PYTHONDONTWRITEBYTECODE

# What is installed is known by the content of the pins: a stamp for another content is no stamp.
RUN_STAMP := $(VENV)/.run-$(shell cksum < requirements.txt | tr -c '0-9\n' -)
DEV_STAMP := $(VENV)/.dev-$(shell cksum < requirements-dev.txt | tr -c '0-9\n' -)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

run: $(RUN_STAMP) ## Start MPS with its own PostgreSQL and Valkey; Ctrl-C stops everything
	@exec $(PY) -m mps.launcher run

test: $(DEV_STAMP) ## Run the tests: make test ARGS="tests/flows -x"
	@$(PY) tests/browser/install.py
	@exec $(PY) -m pytest $(ARGS)

test-long: $(DEV_STAMP) ## Run the long forms of the tests: faults under load, millions of rows
	@exec $(PY) -m pytest -m long -n 0 $(ARGS)

coverage: $(DEV_STAMP) ## Run the tests with coverage, and hold its floors
	$(PY) -m pytest --cov --cov-branch --cov-report=term --cov-fail-under=95 $(ARGS)
	$(PY) -m coverage report --include='mps/base/ledger/*,payments/charges.py,payments/charge_writes.py,payments/pending_consents.py,payments/refunds.py,payments/topups.py,payments/cash_outs.py,payments/points.py,payments/transactions.py,payments/races.py' --fail-under=100

lint: $(DEV_STAMP) ## Check style, types, layers and migrations
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m sqlfluff lint --disable-progress-bar --processes 0 $(APPS)
	$(PY) -m mypy .
	$(PY) -c 'from importlinter.cli import lint_imports_command as lint; lint()'
	$(PY) manage.py makemigrations --check --dry-run --settings tests.settings

audit: $(DEV_STAMP) ## Ask the advisory database about the pinned packages
	$(PY) -m pip_audit --strict --require-hashes --disable-pip --requirement requirements.txt

bench: $(DEV_STAMP) ## Measure the performance budgets: a table, and JSON
	@exec $(PY) -m benchmarks $(ARGS)

screenshots: $(DEV_STAMP) ## Take the README's pictures of a running system
	@exec $(PY) -m tests.browser.pictures

messages: $(DEV_STAMP) ## Collect what people read, and compile its translation
	$(PY) manage.py write_messages --settings tests.settings

schema: $(DEV_STAMP) ## Write down the expected schema, after a change of a table or of SQL
	@exec $(PY) -m tests.upgrades.schema

dump: $(DEV_STAMP) ## Keep a populated database of this release for the tests of upgrades
	@exec $(PY) -m tests.upgrades.dump

# In an environment that may be empty: a pin that vanished must not keep its own cure from running.
requirements: ## Pin the newest allowed versions, with hashes, for all platforms
	@$(call install,/dev/null,$(VENV)/.pip-0)
	$(PY) -m pip install --quiet --disable-pip-version-check uv
	$(PY) -m uv pip compile $(PIN) requirements.in --output-file requirements.txt
	$(PY) -m uv pip compile $(PIN) requirements-dev.in --output-file requirements-dev.txt
PIN := --quiet --no-header --upgrade --universal --python-version 3.11 --generate-hashes

reset: $(RUN_STAMP) ## Delete the embedded database and the generated secrets
	@exec $(PY) -m mps.launcher reset

clean: ## Delete .venv and all caches; the data stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis htmlcov
	rm -f .coverage .coverage.*
	find . -name __pycache__ -type d -not -path './.data/*' -prune -exec rm -rf {} +

# The stamps of a virtual environment whose Python has gone, or is too old, count for nothing.
ifneq ($(shell $(PY) -c 'import sys; print(sys.version_info >= $(OLDEST))' 2>/dev/null),True)
.PHONY: $(RUN_STAMP) $(DEV_STAMP)
endif

$(RUN_STAMP):
	@$(call install,requirements.txt,$@)

$(DEV_STAMP):
	@$(call install,requirements-dev.txt,$@)

# With the first Python that is new enough and can make a virtual environment.
define install
for python in $(PYTHONS); do \
	$$python -c 'import sys; sys.exit(sys.version_info < $(OLDEST))' 2>/dev/null || continue; \
	found=$$python; \
	$$python -c 'import ensurepip, venv' 2>/dev/null || continue; \
	exec $$python mps/launcher/install.py $(1) $(2); \
done; \
if [ "$$found" ]; then \
	version=$$($$found -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	echo "$$found cannot make a virtual environment: install the package" \
		"python$$version-venv (Debian, Ubuntu: apt-get install python$$version-venv)." >&2; \
else \
	echo "MPS needs Python 3.11 or newer, and none of $(PYTHONS) is that:" \
		"install one (Debian, Ubuntu: apt-get install python3 python3-venv)." >&2; \
fi; \
exit 1
endef
