"""Different faults have different answers in `spokewire status`, and a mended network proves itself again."""

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.world import measured, nodes, wait_until

pytestmark = pytest.mark.lab


def test_status_tells_a_dead_daemon_a_cut_tunnel_a_silent_status_server_and_a_machine_that_is_off_apart(
    make_network: MakeNetwork,
) -> None:
    network = make_network(nodes(count=5))
    network.deploy()
    keys = {f"node-{n}": network.public_key(f"node-{n}") for n in range(1, 6)}
    network.signal_daemon("node-1", "KILL")
    cut = "table inet cut { chain o { type filter hook output priority 0; udp dport 51820 drop; }; chain i { type filter hook input priority 0; udp sport 51820 drop; }; }"
    network.exec("node-2", "nft", cut)
    network.exec(
        "node-3", "nft", "table inet mute { chain i { type filter hook input priority 0; tcp dport 8000 drop; }; }"
    )
    network.run("lab", "kill", "node-4")
    wanted = {
        "node-1": ("disconnected", "the agent is dead"),
        "node-2": ("disconnected", "the tunnel is cut"),
        "node-3": ("degraded", "the status server does not answer"),
        "node-4": ("disconnected", "the machine is switched off"),
    }

    def look() -> dict[str, tuple[str, str]]:
        return {node["name"]: (node["state"], node["reason"]) for node in network.status()["nodes"]}

    def all_told() -> bool:
        seen = look()
        return all(seen[name][0] == state and words in seen[name][1] for name, (state, words) in wanted.items())

    wait_until(all_told, 40, "every fault is told by its own words")
    seen = look()
    assert len({seen[name][1] for name in wanted}) == len(wanted), seen
    assert seen["node-5"][0] in ("connected", "degraded"), seen["node-5"]
    shown = network.run("status", expect=3)
    assert "the agent is dead" in shown.out
    measured("status with faults", shown.seconds)
    network.exec("node-2", "nft", "delete table inet cut")
    network.exec("node-3", "nft", "delete table inet mute")
    network.run("lab", "restart", "node-1")
    mended = network.deploy()
    assert any(line.split()[:2] == ["start", "node-4"] for line in mended.out.splitlines()), mended.out
    measured("deploy that mends", mended.seconds)
    wait_until(lambda: network.status()["state"] == "connected", 40, "all is well again")
    assert len(network.prove()["pairs"]) == 20
    assert {name: network.public_key(name) for name in keys} == keys
