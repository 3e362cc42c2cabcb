"""`--timeout` bounds a whole deploy: whatever a cloud keeps it waiting for ends then, and the next deploy goes on with what exists."""

import json
import time
from pathlib import Path

import pytest

from spokewire.cloud.waiting import Clock, Patience, TimeIsOverError
from tests.component.clouds import open_desk
from tests.emulators.authority import Authority
from tests.emulators.clients import SwiftClock


def test_waiting_ends_with_the_command_and_not_before_it_begins_to_count() -> None:
    swift = SwiftClock()
    patience = Patience(swift.read, swift.sleep)
    waiting = Clock(swift.read, swift.read, patience.sleep)
    assert len(list(waiting.watch(1000.0, 10.0))) == 101
    patience.begin(25.0)
    assert (patience.left_s(600.0), patience.left_s(5.0)) == (25.0, 5.0)
    looks = waiting.watch(1000.0, 10.0)
    assert [next(looks) for _ in range(4)] == [0.0, 10.0, 20.0, 25.0]
    with pytest.raises(TimeIsOverError, match="not ready within 25 s"):
        next(looks)
    assert patience.left_s(600.0) == 0.0


def test_what_needs_no_waiting_is_done_also_when_the_time_is_over() -> None:
    swift = SwiftClock()
    patience = Patience(swift.read, swift.sleep)
    patience.begin(1.0)
    swift.sleep(5.0)
    assert next(Clock(swift.read, swift.read, patience.sleep).watch(10.0, 1.0)) == 0.0


def test_a_machine_that_does_not_start_holds_a_deploy_no_longer_than_the_timeout(
    authority: Authority, tmp_path: Path
) -> None:
    with open_desk(authority, tmp_path) as desk:
        desk.phala.switches.starting_never_ends_on = {host.id for host in desk.phala.hosts}
        begun = time.monotonic()
        done = desk.run("deploy", "--json", "--timeout", "4")
        assert time.monotonic() - begun < 30
        missing = {item["name"]: item for item in json.loads(done.stdout)["missing"]}
        assert missing["node-1"]["code"] == "timeout"
        assert missing["node-1"]["reason"].startswith("it was not ready within 4 s: starting on prod9 for ")
        assert "goes on from what exists" in missing["node-1"]["hint"]
        assert "spokewire-demo-node-1" in desk.machines
        desk.phala.switches.starting_never_ends_on = set()
        for cvm in desk.phala.living():
            cvm.never_ends = False
            desk.phala.backend.boot(cvm.name, cvm.compose_text, cvm.env)
        again = json.loads(desk.run("deploy", "--json", "--timeout", "1").stdout)
        assert "node-1" in [item["name"] for item in again["missing"]]
        assert len(desk.phala.calls("POST", "/api/v1/cvms")) == 1
