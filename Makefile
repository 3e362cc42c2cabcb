# The two commands are `make demo` and `make test`; both do all set-up. `make help` lists the rest.
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo test check fix lint unit lab promises bench bench-relay bench-failover bench-kernel test-kernel test-prometheus test-docker wheel soak soak-short setup-test setup-bench clean

help:            ## List the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

demo:            ## Build a network on this machine, prove it, remove it
	@tools/setup demo
	@PATH="$$PATH:/usr/sbin:/sbin" $(BIN)/spokewire demo

test: setup-test check lab  ## Everything: checks, unit tests, and the real thing in the lab

check: setup-test lint unit  ## Seconds: format, lint, types, imports, and the tests that need no namespaces

lint: setup-test
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: setup-test
	$(BIN)/python -m pytest -q tests -m "not lab and not prometheus and not soak and not long and not docker" -n 2 --dist loadfile

lab: setup-test  ## The tests that build real networks in namespaces
	PATH="$$PATH:/usr/sbin:/sbin" $(BIN)/python -m pytest -q tests -m "lab and not alone and not long" -n 2 --dist loadfile
	PATH="$$PATH:/usr/sbin:/sbin" $(BIN)/python -m pytest -q tests -m "lab and alone and not long"

fix: setup-test  ## Format, and fix what can be fixed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: setup-test  ## Measure; prints the tables of docs/benchmarks.md
	PATH="$$PATH:/usr/sbin:/sbin" $(BIN)/python -m bench

bench-relay: setup-bench  ## Measure the sealed relay beside its rivals (20 minutes); QUICK=1: one short round
	PATH="$$PATH:/usr/sbin:/sbin" $(BIN)/python -m bench.relay $(if $(QUICK),--quick)

bench-failover: setup-bench  ## A relay is cut: how long nothing flows, beside Nebula and plain WireGuard; and when 200 light nodes lose a hub (ten minutes)
	PATH="$$PATH:/usr/sbin:/sbin" $(BIN)/python -m bench.failover
	$(BIN)/python -m bench.crowd

bench-kernel: setup-bench  ## Sealed beside routed with in-kernel WireGuard, in an emulated VM (minutes)
	tools/kernel-vm tools/kernel-bench 2400

test-kernel: setup-test  ## The lab end to end on a stock Debian kernel with in-kernel WireGuard, in an emulated VM (minutes)
	tools/kernel-vm tools/kernel-test 2400

test-prometheus: setup-test  ## Alert rules, dashboard and metrics, loaded into a real Prometheus that watches a lab network (a minute)
	PATH="$$(tools/prometheus):$$PATH:/usr/sbin:/sbin" $(BIN)/python -m pytest -q tests -m prometheus

promises: setup-test  ## Every promise of docs/reliability.md, measured; the long ones at full length, beside the others (a quarter of an hour)
	PATH="$$PATH:/usr/sbin:/sbin" PROMISE_ROUNDS=$${PROMISE_ROUNDS:-3} PROMISE_SLACK=$${PROMISE_SLACK:-2} $(BIN)/python -m pytest -q tests -m promise -n 5 --dist loadfile --no-loadscope-reorder

test-docker:     ## The image and the machines behind the clouds' emulators, as real containers, on a Docker of its own (minutes; root)
	@tools/setup docker
	PATH="$$PATH:/usr/sbin:/sbin" tools/docker sh -c 'tools/image && tools/wheels && exec $(BIN)/python -m pytest -q -s tests/docker -m docker'

soak: setup-test  ## The truth test: ten minutes of chaos, in which no status may lie; SOAK_SEED, SOAK_SECONDS
	PATH="$$PATH:/usr/sbin:/sbin" SOAK_SECONDS=$${SOAK_SECONDS:-600} $(BIN)/python -m pytest -q -s tests/soak -m soak

soak-short: setup-test  ## The same for two minutes, with the same faults each time unless SOAK_SEED says otherwise
	PATH="$$PATH:/usr/sbin:/sbin" SOAK_SEED=$${SOAK_SEED:-2} SOAK_SECONDS=120 $(BIN)/python -m pytest -q -s tests/soak -m soak

wheel: setup-test  ## The wheel and the source package, in dist/
	$$(command -v uv || echo .uv/bin/uv) build --quiet --out-dir dist

setup-test:
	@tools/setup test

setup-bench:
	@tools/setup bench

clean:           ## Remove what set-up made in this folder
	rm -rf .venv .uv .prometheus .docker .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
