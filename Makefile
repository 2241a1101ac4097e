# make demo    a whole hub on this machine: simulated radios and devices, the real path of the firmware (RADIO=ezsp for the other Zigbee stack)
# make test    everything that a change must keep, in minutes; installs what it needs into .venv. WORKERS=2 on a small machine: most tests wait
# make check   form: ruff, mypy --strict, the house's import contracts, fresh OpenAPI document and JSON Schema
# make bench   figures against peers measured in the same run: half an hour; make bench-quick is a short look
# make pictures the README's, of the real page and terminal while a demo runs
# make night   the big numbers: every image, every loss, fuzzing, kills

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
WORKERS ?= 6
RADIO ?= znp

# The tests start hundreds of interpreters: each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check bench bench-quick night pictures clean

.venv/base: pyproject.toml src/otagate/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "otagate needs Python 3.11 or newer; name one with make PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(PIP) --editable .
	@touch $@

.venv/dev: .venv/base
	$(PIP) --editable '.[dev]'
	@touch $@

demo: .venv/base
	$(BIN)/otagate demo --radio $(RADIO)

test: .venv/dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: .venv/dev
	$(BIN)/ruff format --check --quiet src tests hil
	$(BIN)/ruff check --quiet src tests hil
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m otagate.api.openapi && git diff --exit-code --stat -- src/otagate/api/openapi.json
	$(BIN)/python -m otagate.config.schema && git diff --exit-code --stat -- config/otagate.schema.json config/README.md

bench: .venv/dev
	$(BIN)/python -m hil.bench --out build/bench.json

bench-quick: .venv/dev
	$(BIN)/python -m hil.bench --quick --out build/bench-quick.json

night: .venv/dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m night --timeout 1800

pictures: .venv/dev
	$(BIN)/python -m tests.page.pictures

clean:
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis build dist
