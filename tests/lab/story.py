"""The field reports' story: three nodes are wanted, two fit, the third comes when there is room. For machines of the lab and for Docker's."""

from tests.lab.clouds import Clouds, names_of, read_plan
from tests.lab.world import measured, wait_until

HUB, NODES = "spokewire-demo-hub-1", [f"spokewire-demo-node-{number}" for number in (1, 2, 3)]


def leave_room_for(clouds: Clouds, nodes: int) -> None:
    """So many more CVMs fit, one to a host as far as possible."""
    for number, host in enumerate(clouds.phala.hosts):
        used = sum(cvm.made_from.host is host for cvm in clouds.phala.cvms)
        share = nodes // len(clouds.phala.hosts) + (number < nodes % len(clouds.phala.hosts))
        host.slots = used + share


def play(clouds: Clouds) -> None:
    """Wanted are a hub and three nodes, and there is room for two."""
    clouds.want(nodes=3)
    leave_room_for(clouds, 2)
    first = clouds.run("deploy", "--json", expect=3)
    measured("deploy of a hub and two nodes through both clouds", first.seconds)
    (missing,) = first.data["missing"]
    late, nodes = missing["name"], sorted({"node-1", "node-2", "node-3"} - {missing["name"]})
    assert sorted(first.data["ready"]) == ["hub-1", *nodes]
    assert missing["code"] == "no-capacity"
    sentences = [line for line in first.err.splitlines() if line.startswith(f"{late} is not ready: ")]
    assert len(sentences) == 1
    assert "no room" in sentences[0]
    assert "Run spokewire deploy again later" in sentences[0]
    wait_until(lambda: {n["state"] for n in clouds.status()["nodes"]} == {"connected"}, 30, "two nodes are connected")
    overview = clouds.status()
    assert overview["state"] == "degraded"
    assert [item["name"] for item in overview["missing"]] == [late]

    leave_room_for(clouds, 1)
    machines, mark = [*clouds.droplets, *clouds.cvms], clouds.mark()
    second = clouds.run("deploy", "--json")
    measured("deploy that adds a node", second.seconds)
    assert names_of(read_plan(second), "create") == [late]
    assert len(read_plan(second)) == 1
    assert clouds.changes_since(mark) == ["POST /api/v1/cvms/provision -> 200", "POST /api/v1/cvms -> 200"]
    assert sorted([*clouds.droplets, *clouds.cvms]) == sorted([*machines, f"spokewire-demo-{late}"])
    assert clouds.creates() == dict.fromkeys([HUB, *NODES], 1)

    wait_until(lambda: clouds.status()["state"] == "connected", 30, "all are connected")
    proof = clouds.run("test", "--json").data
    assert proof["ok"] is True
    assert len(proof["pairs"]) == 6
    mark = clouds.mark()
    assert read_plan(clouds.run("deploy", "--json")) == []
    assert clouds.changes_since(mark) == []
