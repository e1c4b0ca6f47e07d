# All that a developer needs. `make` alone lists the targets; `make check` is exactly what CI runs.

UV ?= uv
RUN = $(UV) run
LINT = $(UV) run --all-groups
PYTHON_FILES = src tests bench tools deploy
REQUIREMENTS = echo '\# What uv.lock says, by make docs. Install it with: pip install --no-deps -r requirements.txt'; \
	$(UV) export --quiet --locked --no-default-groups --group model --extra server --no-emit-project --no-header
ROUNDS ?= 50
WORKERS ?= 1
RUNS ?= 2000
DATA ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test check lint operations coverage fmt docs llamaindex image bench eval crash points states flood soak

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install everything that development needs into .venv
	$(UV) sync --all-groups

run: ## Start the API on http://127.0.0.1:8000
	$(RUN) ragstone serve

test: ## Run the tests, two files at a time
	$(RUN) pytest -n 2

check: lint llamaindex test ## Run all that CI runs: format, lint, types, imports, tests, docs

lint: operations ## Check format, lint rules, types and the direction of imports
	$(LINT) black --check --quiet $(PYTHON_FILES)
	$(LINT) isort --check --quiet $(PYTHON_FILES)
	$(LINT) ruff check $(PYTHON_FILES)
	$(LINT) mypy $(PYTHON_FILES)
	$(LINT) lint-imports

operations: ## Check Dockerfile, compose file, workflows, requirements.txt and diagrams
	$(LINT) hadolint Dockerfile
	$(LINT) zizmor --offline --quiet --no-progress .
	$(LINT) check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml
	$(LINT) check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(LINT) check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	@{ $(REQUIREMENTS); } | cmp --silent - requirements.txt || \
		{ echo "requirements.txt differs from uv.lock; run: make docs"; exit 1; }
	$(LINT) python -m tools.diagrams

coverage: ## Run the tests, the documentation's included, and measure their coverage
	$(RUN) pytest --cov --cov-report=term

fmt: ## Format the code
	$(LINT) isort --quiet $(PYTHON_FILES)
	$(LINT) black --quiet $(PYTHON_FILES)
	$(LINT) ruff check --fix $(PYTHON_FILES)

docs: ## Write what is generated from the code: in the documentation, .env.example, compose file, requirements.txt
	$(RUN) python -m tools.settings_table
	$(RUN) python -m tools.fault_table
	$(RUN) python -m tools.parameter_table
	$(RUN) python -m tools.environment
	{ $(REQUIREMENTS); } > requirements.txt

llamaindex: ## Make the environment in which LlamaIndex's example is tested: it needs an older OpenAI SDK
	$(UV) venv --quiet --clear .venv-llamaindex
	$(UV) pip install --quiet --python .venv-llamaindex/bin/python "llama-index-llms-openai-like>=0.5,<1"

image: ## Build the image, and check it as an operator would run it
	docker build --tag ragstone .
	$(RUN) python -m tools.image_check ragstone

bench: ## Measure speed and memory against the floor in the same run
	$(RUN) python -m bench.speed

eval: ## Measure ranking and answers on public sets: make eval DATA=path
	@test -n "$(DATA)" || { echo "usage: make eval DATA=path (see docs/quality.md)"; exit 2; }
	$(RUN) python -m bench.quality "$(DATA)"

crash: ## Kill the server at random under load and compare with what it acknowledged
	$(RUN) python -m tests.crash.storm --rounds $(ROUNDS) --workers $(WORKERS)

points: ## Die at every crash point of a store on a server, of a move and of a re-index, not only at the main ones
	ALL_CRASH_POINTS=1 $(RUN) pytest tests/crash/test_qdrant_crashes.py tests/crash/test_move_crashes.py \
		tests/crash/test_reindex_crashes.py

states: ## Live random lives of the whole service beside a plain model: make states RUNS=2000
	$(RUN) python -m tests.hostile.states --runs $(RUNS)

flood: ## Upload 10,000 documents at once to a server with room for 500
	$(RUN) python -m tests.hostile.flood

soak: ## Half an hour of everything at once: what the server holds must not grow
	$(RUN) python -m bench.soak
