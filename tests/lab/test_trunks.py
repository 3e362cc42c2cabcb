"""Two nodes of which one reaches only hub-1 and the other only hub-2, with real WireGuard and the relays of real hubs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab.world import environment

pytestmark = pytest.mark.lab

QUESTIONS = 10
ROOT_FOLDER = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Any:
    """What happened in the two hubs' world."""
    folder = tmp_path_factory.mktemp("trunks")
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    unshare = ["unshare", *user, "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    done = subprocess.run(
        [*unshare, sys.executable, "-m", "tests.lab.trunk_world", str(folder)],
        cwd=ROOT_FOLDER,
        env=environment(cache),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    logs = "\n".join(f"{path.name}: {path.read_text()[-3000:]}" for path in sorted(folder.glob("*.log")))
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{logs}"
    print(done.stdout)
    return json.loads(done.stdout)


def test_nodes_that_reach_no_hub_in_common_reach_each_other_and_the_kernels_carry_it(told: Any) -> None:
    assert told["apart"] == [QUESTIONS, QUESTIONS]
    assert min(told["switched apart"]) >= 4 * QUESTIONS
    assert min(told["trunked"]) >= 2


def test_a_node_that_comes_to_the_others_hub_needs_the_trunk_no_more(told: Any) -> None:
    assert told["together"] == told["more"] == [QUESTIONS, QUESTIONS]
    assert told["switched by hub-2 together"] == 0


def test_a_node_that_has_fallen_silent_at_one_hub_is_found_at_the_other(told: Any) -> None:
    assert told["apart again"] == [QUESTIONS, QUESTIONS]
    assert "label-taken" not in told["refused"][0]
    assert "label-taken" not in told["refused"][1]
