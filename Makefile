# Everything a newcomer needs is `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
BIN := $(VENV)/bin

.PHONY: run test test-unit test-services test-slow test-faults test-mutants s3-server lint audit lock clean

run: $(READY)
	@. $(BIN)/activate && variegate sample digits --if-empty && variegate run

# Every test belongs to one of test, test-services, test-slow and test-faults: tests/test_targets.py.
# Each test file stays in one process: what its tests share is made once.
TEST := pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: $(READY)
	@. $(BIN)/activate && $(TEST) -m "not services and not slow"

# What needs a server or a browser: Prefect's servers and workers, S3, sshd, Chromium.
test-services: $(READY) s3-server
	@. $(BIN)/activate && $(TEST) -m "services and not slow"

# The tests' S3 server, in an environment of its own: its botocore is not the one that DVC takes.
s3-server:
	@test -x .venv/s3-server/bin/moto_server \
	    || { $(PYTHON) -m venv .venv/s3-server && .venv/s3-server/bin/python -m pip install --quiet \
	        --disable-pip-version-check "moto[s3]==5.2.5" flask flask-cors; } \
	    || echo "no S3 server could be installed: tests that need one are skipped"

test-slow: $(READY)
	@. $(BIN)/activate && $(TEST) -m "slow" --ignore tests/faults

test-faults: $(READY)
	@. $(BIN)/activate && pytest -n auto --maxprocesses 4 --dist worksteal -m "slow" tests/faults

# The part of `make test` that starts no stage or flow: for while one writes.
test-unit: $(READY)
	@. $(BIN)/activate && pytest -n auto --maxprocesses 4 -m "not starts and not slow"

# Do the unit tests notice small changes of the code? In an environment on top of this one.
test-mutants: $(READY)
	@test -d .venv/mutants || $(BIN)/python -m venv .venv/mutants
	@$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
	    > $$(.venv/mutants/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/outer.pth
	@.venv/mutants/bin/python -m pip install --quiet --disable-pip-version-check mutmut==3.8.1
	@.venv/mutants/bin/python tests/mutants.py $(MUTANTS)

lint: $(READY)
	@. $(BIN)/activate && ruff check . && ruff format --check . && mypy

# Known weaknesses of the locked versions, as the Python Package Index knows them; in an environment of its own.
audit:
	@test -d .venv/audit || $(PYTHON) -m venv .venv/audit
	@.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	@.venv/audit/bin/pip-audit --no-deps --disable-pip --requirement requirements/lock.txt

lock:
	requirements/lock.sh

# The environment is rebuilt when the lock changes. --no-deps: the lock is complete, nothing is resolved.
$(READY): requirements/lock.txt requirements/pixels.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Variegate needs Python 3.11 or newer; this is %d.%d. Say which: make PYTHON=python3.12" % sys.version_info[:2])'
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@echo "installing the environment into $(VENV) (several GB with CUDA: minutes, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/lock.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

clean:
	rm -rf $(VENV) .variegate mutants
