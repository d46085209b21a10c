# Anteroom: everything a person types. Each target installs what it needs.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DATA ?= data

# compiled modules are kept: a start takes half the time
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install viewer up demo test check bench schemas contracts manifests kustomize engines engines-down reliability clean

help:            ## what there is
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/: .*##/\t/' | expand -t 14

install: $(STAMP)  ## a virtual environment with everything pinned (idempotent)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Anteroom needs Python 3.11 or later (PYTHON=... chooses one)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cluster,telemetry,dev]'
	@touch $(STAMP)

viewer: install  ## the OHIF viewer, fetched through npm and made small (idempotent)
	$(BIN)/python -m scripts.viewer

up: install      ## start Anteroom (HTTP 8080, DICOM 11112, HL7 2575, data in ./data)
	$(BIN)/anteroom up --data $(DATA)

demo: install    ## Anteroom with a demo PACS, patient feed and mail catcher; sends a real study
	$(BIN)/anteroom demo

test: install    ## the whole test suite
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: install   ## format, lint, types, architecture, contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m schemas.generate --check
	$(BIN)/python -m schemas.release --check

bench: install   ## side by side with the peers; ONLY=name for one
	$(BIN)/python -m bench $(ONLY)

screenshots: install  ## every page into docs/images, wide and on a phone
	$(BIN)/python -m scripts.screenshots $(ONLY)

schemas: install ## rewrite the generated contracts
	$(BIN)/python -m schemas.generate

contracts: install  ## keep the present contracts as those of RELEASE=1.2.0
	$(BIN)/python -m schemas.release $(RELEASE)

manifests: install  ## rewrite the topics, users and dashboard of k8s/
	$(BIN)/python -m scripts.strimzi
	$(BIN)/python -m scripts.dashboard

kustomize: install  ## the command that renders k8s/, in ./.engines
	$(BIN)/python -m scripts.kustomize

engines: install ## Kafka, MongoDB protocol and S3 on loopback, in ./.engines; ONLY=name for one
	$(BIN)/python -m scripts.engines up $(ONLY)

engines-down:    ## end them again
	$(BIN)/python -m scripts.engines down $(ONLY)

reliability: install  ## 200 submissions on the engines while everything is killed, in turn and at random; prints its figures
	ANTEROOM_ENGINES=1 ANTEROOM_RELIABILITY=$(or $(SUBMISSIONS),200) $(BIN)/python -m pytest -s tests/e2e/test_reliability_cluster.py

clean:           ## remove the virtual environment and caches (never data)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache *.egg-info
