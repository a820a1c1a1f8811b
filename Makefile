# The six commands of this project. `make demo` and `make test` set up everything first.
PYTHON ?= python3
VENV := .venv
FT := $(VENV)/bin/ft
STAMP := $(VENV)/.installed
# After a demo, `make up` shows the demo's world; name your own file to leave it.
PLATFORM ?= $(if $(wildcard .ft/demo/platform.yaml),.ft/demo/platform.yaml,platform.yaml)

# Compiled by all cores, where pip takes one; without what is hardly ever imported. Packages hold
# templates and files for other Pythons, which do not compile.
NOT_IMPORTED := /tests?/|/plotly/validators/|/transformers/models/(?!auto/|llama/|encoder_decoder/)

export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
export HF_HUB_OFFLINE := 1
# The tests start hundreds of processes, each of which would compile what it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check up bench clean
.DEFAULT_GOAL := demo

$(STAMP): requirements.lock pyproject.toml
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.lock
	$(VENV)/bin/python -m compileall -q -j 0 -x '$(NOT_IMPORTED)' $(VENV)/lib || true
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

demo: $(STAMP)
	$(FT) demo $(if $(DATA),--data $(DATA))

test: $(STAMP)
	$(VENV)/bin/python -m pytest $(ARGS)

check: $(STAMP)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ty check
	$(VENV)/bin/dg check defs

up: $(STAMP)
	$(FT) up --platform $(PLATFORM)

bench: $(STAMP)
	$(VENV)/bin/python -m tests.bench $(AREA)

clean:
	rm -rf .ft build *.egg-info .pytest_cache .ruff_cache
