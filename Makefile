# The course's commands. `make help` lists them; every command sets up what it needs.
SHELL := /bin/bash
ENGINE ?= embedded
PORT ?= 8000
KIND_NODE_IMAGE ?=
ready := .venv/.complete
python := .venv/bin/python
export KIND_NODE_IMAGE

.PHONY: help setup book serve lab test test-kind conformance lint bench clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(ready): requirements.txt constraints.txt pyproject.toml tools/setup.sh
	@tools/setup.sh

setup: $(ready)  ## make .venv with the pinned dependencies

book: $(ready)  ## build the HTML book, every cell executed (ENGINE=kind: on a real cluster)
	@$(python) tools/build_book.py --engine $(ENGINE)

serve: book  ## serve the book on http://127.0.0.1:8000 (PORT=n: another port)
	@$(python) -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

lab: $(ready)  ## open the labs in JupyterLab, in your own workspace
	@$(python) -m kubelab lab

test: lint  ## lint, then every test that needs no Docker
	@KUBELAB_ENGINE=embedded $(python) -m pytest -m "not kind" $(ARGS)

test-kind: $(ready)  ## what can run on a real kind cluster, of the conformance tests the quick ones (KIND_NODE_IMAGE: its image)
	@KUBELAB_ENGINE=kind $(python) -m pytest -m "(cluster or kind) and not embedded" $(ARGS)

conformance: $(ready)  ## record what the engine does (ENGINE=kind: a real one), and write the book's page of it
	@rm -f tests/conformance/results/$(ENGINE).json
	@KUBELAB_ENGINE=$(ENGINE) CONFORMANCE_RECORD=tests/conformance/results/$(ENGINE).json $(python) -m pytest -q tests/conformance
	@$(python) tools/conformance_page.py

lint: $(ready)  ## ruff (format, lint) and mypy
	@$(python) -m ruff format --check --quiet . || { echo "lint: run .venv/bin/ruff format" >&2; exit 1; }
	@$(python) -m ruff check --quiet .
	@$(python) -m mypy --no-error-summary

bench: $(ready)  ## measure what is promised (ARGS="--real CONTEXT --full --write")
	@$(python) -m benchmarks $(ARGS)

clean:  ## remove what was built (.venv too); answers and clusters stay
	@rm -rf _build .venv .mypy_cache .pytest_cache .ruff_cache *.egg-info
