"""The field reports' story with real machines behind both emulated clouds: one hub on DigitalOcean, three nodes on Phala, room for two at first."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from spokewire.host import files
from tests.emulators.digitalocean.emulator import TOKEN
from tests.emulators.digitalocean.state import Droplet, Firewall
from tests.emulators.phala.emulator import KEY
from tests.lab.clouds import Clouds, names_of, open_clouds, read_modes, read_plan
from tests.lab.secrets import watch_command_lines
from tests.lab.story import HUB, NODES, leave_room_for, play
from tests.lab.world import measured, wait_until

pytestmark = pytest.mark.lab

FOREIGN_DROPLETS = {
    "spokewire-demo-hub-1": [],
    "spokewire-demo-hub-2": ["spokewire", "spokewire:demo-2", "spokewire:demo-2:hub:hub-2"],
    "spokewire-demolition-hub-1": ["spokewire", "spokewire:demolition", "spokewire:demolition:hub:hub-1"],
    "my-spokewire-demo-hub-1": ["spokewire-demo", "demo", "demo:hub:hub-1"],
}
"""Names and tags that look like ours, and are somebody else's."""
FOREIGN_CVMS = ("spokewire-demo-node-9", "spokewire-demo2-node-1", "spokewire-demo")


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[Clouds]:
    with open_clouds(tmp_path_factory.mktemp("clouds"), cache) as clouds:
        plant_strangers(clouds)
        yield clouds


def plant_strangers(clouds: Clouds) -> None:
    """What others have in the same accounts."""
    for number, (name, tags) in enumerate(FOREIGN_DROPLETS.items(), 1):
        droplet = Droplet(number, name, "fra1", "s-1vcpu-1gb", "debian-12-x64", list(tags), "", 0.0, 0)
        droplet.booted, droplet.address = True, f"198.51.100.{number}"
        clouds.digitalocean.droplets.every[number] = droplet
    body = {"name": "spokewire-demo-hub-2", "tags": [], "inbound_rules": [], "outbound_rules": []}
    clouds.digitalocean.network.firewalls["foreign"] = Firewall("foreign", body, 0.0)
    clouds.digitalocean.add_key("spokewire-demo", "00:11")
    clouds.phala.switches.stopped_after_commit = True
    for name in FOREIGN_CVMS:
        clouds.phala.plant(name, "services:\n  web:\n    image: nginx\n")
    clouds.phala.switches.stopped_after_commit = False


def assert_only_strangers(clouds: Clouds) -> None:
    assert clouds.droplets == sorted(FOREIGN_DROPLETS)
    assert clouds.cvms == sorted(FOREIGN_CVMS)
    assert list(clouds.digitalocean.network.firewalls) == ["foreign"]
    assert [key["name"] for key in clouds.digitalocean.keys] == ["spokewire-demo"]
    kept = {tag for tags in FOREIGN_DROPLETS.values() for tag in tags}
    assert set(clouds.digitalocean.network.tags) <= kept


def test_two_of_three_nodes_fit_are_proven_and_the_third_is_added_when_there_is_room(clouds: Clouds) -> None:
    play(clouds)


def test_removing_a_node_deletes_its_cvm_and_nothing_else(clouds: Clouds) -> None:
    mark = clouds.mark()
    clouds.run("node", "remove", "node-2")
    (change,) = clouds.changes_since(mark)
    assert change.startswith("DELETE /api/v1/cvms/")
    assert clouds.cvms == sorted([*FOREIGN_CVMS, NODES[0], NODES[2]])
    wait_until(lambda: clouds.status()["state"] == "connected", 20, "the rest is connected")


def test_a_node_that_is_added_by_name_is_made_and_nothing_else(clouds: Clouds) -> None:
    clouds.run("node", "add", "extra", "--provider", "phala")
    leave_room_for(clouds, 1)
    mark = clouds.mark()
    outcome = clouds.run("deploy", "--json")
    assert names_of(read_plan(outcome), "create") == ["extra"]
    assert clouds.changes_since(mark) == ["POST /api/v1/cvms/provision -> 200", "POST /api/v1/cvms -> 200"]
    costs = {machine["name"]: machine["monthly_usd"] for kind in ("hubs", "nodes") for machine in clouds.status()[kind]}
    assert costs == {"hub-1": 6.0, **dict.fromkeys(("extra", "node-1", "node-3"), pytest.approx(44.3694))}


def test_destroy_empties_both_clouds_and_a_second_one_finds_nothing(clouds: Clouds) -> None:
    outcome = clouds.run("destroy", "--force")
    measured("destroy", outcome.seconds)
    assert "Nothing is left." in outcome.out
    assert_only_strangers(clouds)
    assert sorted(path.name for path in clouds.folder.iterdir()) == ["spokewire.toml"]
    assert clouds.run("destroy", "--force").out == "Removed 0 machines. Nothing is left.\n"
    assert_only_strangers(clouds)


def test_a_deploy_that_is_killed_again_and_again_goes_on_and_is_destroyed_although_its_folder_was_deleted(
    clouds: Clouds,
) -> None:
    clouds.want(nodes=2)
    leave_room_for(clouds, 2)
    before = clouds.creates()
    clouds.run_until(clouds.digitalocean, "POST", "/v2/droplets", "deploy")
    clouds.run_until(clouds.phala, "POST", "/api/v1/cvms", "deploy")
    asked = {name: count - before.get(name, 0) for name, count in clouds.creates().items()}
    assert asked[HUB] == 1
    assert max(asked.values()) == 1
    outcome = clouds.run("deploy", "--json")
    assert sorted(outcome.data["ready"]) == ["hub-1", "node-1", "node-2"]
    asked = {name: count - before.get(name, 0) for name, count in clouds.creates().items()}
    assert {name: count for name, count in asked.items() if count} == {HUB: 1, NODES[0]: 1, NODES[1]: 1}
    shutil.rmtree(clouds.folder / ".spokewire")
    assert clouds.run("destroy", "--force", "--json").data == {
        "destroyed": ["hub-1", "node-1", "node-2"],
        "left": [],
    }
    assert_only_strangers(clouds)


def test_no_secret_is_seen_in_output_command_lines_request_bodies_or_files_that_others_can_read(clouds: Clouds) -> None:
    clouds.want(nodes=1)
    leave_room_for(clouds, 1)
    with watch_command_lines() as command_lines:
        clouds.run("deploy", expect=0)
    root_key = (files.read(clouds.folder / ".spokewire/root.key") or "").strip()
    assert len(root_key) > 40
    assert set(read_modes(clouds.folder / ".spokewire").values()) == {0o600}
    assert (clouds.folder / ".spokewire").stat().st_mode & 0o777 == 0o700
    user_data = clouds.digitalocean.calls("POST", "/v2/droplets")[-1].body["user_data"]
    (cvm,) = (cvm for cvm in clouds.phala.cvms if cvm.name == NODES[0])
    tokens = [cvm.env["SPOKEWIRE_TOKEN"], user_data.partition('SPOKEWIRE_TOKEN=\\"')[2].partition('\\"')[0]]
    assert all(len(token) > 100 for token in tokens)

    everywhere = {
        "output": "\n".join(clouds.outputs),
        "command lines": "\n".join(command_lines),
        "bodies for Phala": "\n".join(str(entry.call.body) for entry in clouds.phala.log),
        "queries": "\n".join(str(entry.call) for entry in [*clouds.phala.log, *clouds.digitalocean.log]),
    }
    assert any("spokewire" in line for line in command_lines)
    for place, text in everywhere.items():
        for secret in (root_key, TOKEN, KEY, *tokens):
            assert secret not in text, f"{place}: {secret[:12]}…"
    bodies = "\n".join(str(entry.call.body) for entry in clouds.digitalocean.log)
    assert tokens[1] in bodies, "a hub's token is in its user_data, and has to be"
    for secret in (root_key, TOKEN, KEY, tokens[0]):
        assert secret not in bodies
    clouds.run("destroy", "--force")
    assert_only_strangers(clouds)
