"""The truth test: things break and mend at random, and no status may contradict real traffic for longer than promised. Repeat a run with its seed."""

import os
import secrets

import pytest

from tests.lab.conftest import MakeNetwork
from tests.soak.runner import Run

pytestmark = pytest.mark.soak

SEED = int(os.environ.get("SOAK_SEED") or secrets.randbelow(10_000))
DURATION_S = float(os.environ.get("SOAK_SECONDS") or 120)


def test_no_status_says_connected_while_nothing_flows_nor_disconnected_while_it_does(make_network: MakeNetwork) -> None:
    run = Run(make_network(), SEED, DURATION_S)
    verdict = run.perform()
    run.explain(verdict)
    assert verdict.compared["state of a hub or peer"] > 10 * DURATION_S, "the oracle saw too little to judge"
    assert not verdict.lies, f"SOAK_SEED={SEED} SOAK_SECONDS={DURATION_S:.0f}: {len(verdict.episodes)} lies, told above"
