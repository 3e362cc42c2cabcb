"""Several hubs in clouds: made side by side, and one that has no room keeps nobody from being made."""

import asyncio
from pathlib import Path

from spokewire.deploy.apply import Outcome
from spokewire.errors import Code
from tests.component.clouds import near_spec
from tests.component.test_cloud_deploy_crash import Desk
from tests.emulators.direct import Life

SECOND = (
    '\n[[hubs]]\nname = "hub-2"\nprovider = "digitalocean"\nregions = ["ams3"]\nsizes = ["s-1vcpu-1gb"]\napi_port = 1\n'
)


def carry_out(desk: Desk, said: list[tuple[str, str]]) -> Outcome:
    desk.spec.write_text(near_spec(2) + SECOND)
    return asyncio.run(desk.carry_out(Life(), lambda name, words: said.append((name, words))))


def test_all_hubs_are_made_before_the_nodes_so_that_each_token_names_all_of_them(tmp_path: Path) -> None:
    desk, said = Desk(tmp_path / "desk"), list[tuple[str, str]]()
    carry_out(desk, said)
    assert desk.machines == [f"spokewire-demo-{name}" for name in ("hub-1", "hub-2", "node-1", "node-2")]
    made = [name for name, words in said if words == "starting its daemon"]
    assert set(made[:2]) == {"hub-1", "hub-2"}
    assert set(made[2:]) == {"node-1", "node-2"}


def test_a_hub_without_room_is_told_and_the_rest_is_made_with_the_other(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk")
    desk.digitalocean.switches.sold_out.add(("ams3", "s-1vcpu-1gb"))
    outcome = carry_out(desk, [])
    assert desk.machines == [f"spokewire-demo-{name}" for name in ("hub-1", "node-1", "node-2")]
    assert outcome.failed["hub-2"].code is Code.NO_CAPACITY  # type: ignore[index]
    desk.digitalocean.switches.sold_out.clear()
    carry_out(desk, [])
    assert desk.machines == [f"spokewire-demo-{name}" for name in ("hub-1", "hub-2", "node-1", "node-2")]
    assert {name for name, count in desk.asked().items() if count > 1} <= {"spokewire-demo-hub-2"}


def test_destroy_removes_every_hub_with_its_firewall(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk")
    carry_out(desk, [])
    desk.destroy(remembers=False)
    assert desk.machines == []
    assert desk.digitalocean.network.firewalls == {}
