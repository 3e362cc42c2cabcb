"""`spokewire doctor --network`: asks real servers, and says in order what is wrong."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from spokewire.api.serve import listen
from spokewire.cloud.provider import Machine as ProvidedMachine
from spokewire.cloud.provider import MachineState
from spokewire.deploy.editor import load_spec
from spokewire.deploy.examine import examine
from spokewire.deploy.keeper import Keeper, State
from spokewire.deploy.operator import Operator
from spokewire.host import clock
from spokewire.hub import api
from spokewire.lab.provider import LabProvider
from spokewire.network.diagnosis import diagnose
from spokewire.network.findings import Examination, Finding, Kind
from spokewire.network.names import MachineName
from spokewire.network.spec import ProviderName
from spokewire.network.status import HubStatus, NodeStatus, RelayStatus
from spokewire.node import server
from tests.builders import make_node_status, make_peer, make_view
from tests.component.folders import write_folder
from tests.component.made import Network
from tests.component.served import Hub, hub_record, make_parts, make_tls, serve_hub, serving

HOUR_S = 3600.0


async def doctor(spec: Path, *options: str) -> tuple[int, str, str]:
    """Run the command as a user does; its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "spokewire", "doctor", "--network", "--config", str(spec), *options],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def with_hub(tmp_path: Path, scenario: Callable[[Hub, Path], Awaitable[None]]) -> None:
    """Run a scenario beside a hub that answers and knows one node, which has never sent an echo."""

    async def run() -> None:
        async with serve_hub(tmp_path / "hub") as hub:
            hub.membership.take(hub.network.grant("node-1", 11).record())
            await scenario(hub, write_folder(tmp_path, hub.network, hub.port))

    (tmp_path / "hub").mkdir()
    asyncio.run(run())


def test_before_a_deploy_there_is_nothing_to_examine(tmp_path: Path) -> None:
    spec = tmp_path / "spokewire.toml"
    spec.write_text('[network]\nname = "made"\n[[hubs]]\nname = "hub-1"\n')
    status, out, _ = asyncio.run(doctor(spec, "--json"))
    assert (status, json.loads(out)["error"]["code"]) == (2, "not-deployed")


def test_a_hub_that_answers_and_a_node_that_does_not_are_told_apart(tmp_path: Path) -> None:
    async def scenario(_: Hub, spec: Path) -> None:
        status, out, _err = await doctor(spec, "--json")
        told = json.loads(out)
        assert status == 1, "no node is connected"
        assert (told["network"], told["ok"]) == ("made", False)
        first = told["findings"][0]
        assert (first["kind"], first["machines"]) == ("node-unheard", ["node-1"])
        assert "No echo of it has arrived at hub-1 since the daemon there started." in first["evidence"]
        assert told["examined"] | {"clocks": 1, "grants": 2, "hubs_answered": 1} == told["examined"]

    with_hub(tmp_path, scenario)


def test_people_read_what_is_wrong_why_and_what_to_do(tmp_path: Path) -> None:
    async def scenario(_: Hub, spec: Path) -> None:
        status, out, err = await doctor(spec)
        assert status == 1
        assert "1. critical Nothing is heard of node-1" in out
        assert "curl localhost:8000/status" in out
        assert "docs/runbooks/node-silent.md" in out
        assert out.splitlines()[-1].startswith("made: ")
        assert "Answers from 1 of 1 hubs and 0 of 1 nodes" in err

    with_hub(tmp_path, scenario)


def test_a_hub_that_is_gone_explains_that_nothing_is_known_of_its_hosts(tmp_path: Path) -> None:
    async def run() -> None:
        closed = listen(0, None, "127.0.0.1")
        port = closed.sock.getsockname()[1]
        closed.sock.close()
        status, out, _ = await doctor(write_folder(tmp_path, Network(), port), "--json")
        [finding] = json.loads(out)["findings"]
        assert status == 1
        assert (finding["kind"], finding["machines"]) == ("hub-away", ["hub-1"])
        assert finding["explains"] == ["Nothing is known of node-1: it is a host of yours, and no hub could be asked."]
        assert "does not answer" in finding["evidence"][0]

    asyncio.run(run())


@dataclass(frozen=True)
class Provided(LabProvider):
    """A provider whose machines are servers of this test."""

    machines: tuple[ProvidedMachine, ...]

    def observe(self) -> Sequence[ProvidedMachine]:
        return self.machines


@asynccontextmanager
async def serve_node(status: Callable[[], NodeStatus]) -> AsyncIterator[ProvidedMachine]:
    """A node's status server that tells whatever it is made to tell."""
    app = server.build(status, clock.monotonic)
    async with serving(listen(0, None, "127.0.0.1"), app) as port:
        url = f"http://127.0.0.1:{port}"
        yield ProvidedMachine(MachineName("node-1"), "node", MachineState.RUNNING, status_url=url)


def examined(tmp_path: Path, status: Callable[[], NodeStatus]) -> list[Finding]:
    """Examine a hub that tells more with every look, and one node."""
    network = Network()
    machine, node = network.grant("hub-1", 1, role="hub", lifetime_s=9999 * HOUR_S), network.grant("node-1")
    tls, listener = make_tls(tmp_path / "tls"), listen(0, None, "127.0.0.1")
    port = listener.sock.getsockname()[1]
    parts = make_parts(network, machine, tmp_path, record=hub_record(machine, port, tls.certificate_file.read_text()))
    looks = 0

    def tell() -> HubStatus:
        nonlocal looks
        looks += 1
        relay = RelayStatus(labels=1, forwarded=1, refused={"rate": 1000 * looks, "no-target": 5})
        return parts.status().model_copy(update={"relay": relay, "nodes": [make_view("node-1")]})

    async def run() -> Examination:
        async with AsyncExitStack() as stack:
            changed = replace(parts, status=tell, own_record=parts.own_record)
            for text in (parts.own_record(), network.settings(2), node.record()):
                parts.membership.take(text)
            await stack.enter_async_context(serving(replace(listener, tls=tls), api.build(changed)))
            provided = await stack.enter_async_context(serve_node(status))
            spec = write_folder(tmp_path, network, port, "lab")
            keeper = Keeper(spec)
            keeper.store_state(State({}, {MachineName("node-1"): node.grant_text}, network.settings(3)))
            operator = Operator(load_spec(spec), keeper, {ProviderName.LAB: Provided((provided,))})
            return await examine(operator, network.root)

    seen = asyncio.run(run())
    parts.membership.close()
    assert looks > 1
    return diagnose(seen)


def well(**changes: Any) -> NodeStatus:
    now = clock.wall()
    values: dict[str, Any] = {"since": now, "time": now, "started_at": now, "settings_version": 2, "roster_age_s": 0.0}
    return make_node_status("node-1", **(values | {"hubs": [make_peer("hub-1")]} | changes))


def test_refusals_clocks_disks_ends_of_grants_and_old_settings_are_measured(tmp_path: Path) -> None:
    found = {f.kind: f for f in examined(tmp_path, lambda: well(time=clock.wall() + HOUR_S, disk_free_gb=0.1))}
    assert set(found) == {
        *[Kind.RELAY_REFUSES, Kind.CLOCK_DIFFERS, Kind.DISK_LOW, Kind.GRANT_ENDS, Kind.SETTINGS_OLD],
        Kind.RELEASES_DIFFER,
    }
    assert [line.endswith(": rate.") for line in found[Kind.RELAY_REFUSES].evidence] == [True]
    assert "The clock of node-1 is 3600 s ahead" in found[Kind.CLOCK_DIFFERS].what
    assert found[Kind.DISK_LOW].evidence == ["100 MB are free where it keeps its state."]
    assert found[Kind.GRANT_ENDS].machines == ["node-1"]
    assert found[Kind.SETTINGS_OLD].machines == ["hub-1", "node-1"]


@pytest.mark.parametrize("lifetime_s", [-5.0, HOUR_S])
def test_a_grant_that_has_expired_is_still_known_to_the_doctor(tmp_path: Path, lifetime_s: float) -> None:
    network = Network()
    grant = network.grant("node-1", lifetime_s=lifetime_s)
    keeper = Keeper(write_folder(tmp_path, network, 443))
    keeper.store_state(State({}, {MachineName("node-1"): grant.grant_text}, ""))
    assert list(keeper.load_state(with_expired=True).grants) == ["node-1"]
    assert list(keeper.load_state().grants) == (["node-1"] if lifetime_s > 0 else [])
