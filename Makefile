# One command per chore; CI calls the same ones. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(abspath $(BIN)):$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: help install check test tools test-fast formats repro app bench
.DEFAULT_GOAL := help

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## create .venv and install everything, versions as in constraints.txt

$(VENV)/.installed: pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit("handlens needs Python 3.11 or newer, this is %d.%d; try: make PYTHON=python3.11" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || (echo "venv failed: on Debian and Ubuntu run 'apt-get install python3-venv'" && false)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,cluster,heic]'
	@touch $@

check: install ## lint, format, types, parameter files
	ruff check .
	ruff format --check .
	mypy
	@for file in params.yaml projects/*.yaml; do handlens check --no-raw --params $$file || exit 1; done

# The tests of pages come last and alone: they hold films and frames against the clock.
test: check tools ## everything: checks, unit, property and end-to-end tests
	OMP_NUM_THREADS=1 pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --ignore tests/app
	pytest tests/app

tools: ## what the browser and phone tests need, with apt-get where it is missing
	@bash tests/install-tools.sh

test-fast: install ## the tests that take seconds
	OMP_NUM_THREADS=1 pytest --numprocesses auto --dist loadfile -m "not e2e"

formats: formats-litert formats-executorch ## the tests of the phone formats behind extras (1.4 GB more)

# Each extra lies in an environment of its own on top of .venv: LiteRT needs older versions of what is there.
SITE := import site; print(site.getsitepackages()[0])
formats-%: install
	$(PYTHON) -m venv $(VENV)/$*
	$(BIN)/python -c '$(SITE)' > "$$($(VENV)/$*/bin/python -c '$(SITE)')/base.pth"
	$(VENV)/$*/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	OMP_NUM_THREADS=1 $(VENV)/$*/bin/python -m pytest tests/formats -k $*

repro: install ## sample photos if data/raw is empty, then the whole pipeline and the leaderboard
	@handlens sample --if-empty
	@handlens weights
	@dvc repro
	@handlens compare

app: repro ## the phone page around the winner, in app/ (needs node and npm)
	@dvc repro web/dvc.yaml
	@echo "Try it: .venv/bin/handlens app serve"

PHOTOS := data/scan/photos.parquet data/scan/pixels
TABLES := data/split.csv data/contract.json data/scan/pixels
bench: repro ## the benchmarks that the README quotes (hours); each file in benchmarks/ says what it compares
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	python benchmarks/data.py data/raw --enlarge
	python benchmarks/scale.py
	python benchmarks/tables.py
	python benchmarks/train.py data/raw
	python benchmarks/train.py data/raw --enlarge --sizes 96
	python benchmarks/recipes.py transfer params.yaml data/stats.csv $(PHOTOS)
	python benchmarks/recipes.py scratch params.yaml data/stats.csv $(PHOTOS)
	python benchmarks/leakage.py params.yaml data/filter.csv $(PHOTOS)
	python benchmarks/evaluate.py data/raw $(TABLES) data/predictions/mobilenet_v2.csv models/mobilenet_v2
	python benchmarks/stn.py
	python benchmarks/dcn.py
	python benchmarks/zoo_study.py params.yaml $(TABLES) docs
	python benchmarks/parity.py params.yaml $(TABLES) docs
	python benchmarks/app.py
