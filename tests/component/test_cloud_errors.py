"""What goes wrong at the clouds, through the real command line: one sentence, what to do, and nothing but what is told exists afterwards."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.component.clouds import Desk, open_desk
from tests.emulators.authority import Authority
from tests.emulators.digitalocean.emulator import SCOPES, TOKEN
from tests.emulators.digitalocean.state import Droplet, Firewall
from tests.emulators.phala.emulator import KEY
from tests.emulators.service import Fault, Reply

HUB, NODE = "spokewire-demo-hub-1", "spokewire-demo-node-1"
ID = "spokewire:demo:id:0123456789abcdef"
ALL_SCOPES = {scope for _, _, scope in SCOPES}


@dataclass(frozen=True)
class Trouble:
    """What is wrong, and what the operator is told. `about` None: the command ends before anything is made."""

    make: Callable[[Desk], None]
    code: str
    words: str
    hint: str
    exists: tuple[str, ...] = ()
    about: str | None = None
    environment: dict[str, str] = field(default_factory=dict)


def edit(old: str, new: str) -> Callable[[Desk], None]:
    def make(desk: Desk) -> None:
        spec = desk.folder / "spokewire.toml"
        assert old in spec.read_text()
        spec.write_text(spec.read_text().replace(old, new))

    return make


def nothing(desk: Desk) -> None:
    """The environment is the trouble."""


def take_scope(scope: str) -> Callable[[Desk], None]:
    def make(desk: Desk) -> None:
        desk.digitalocean.switches.scopes = ALL_SCOPES - {scope}

    return make


def spend_money(desk: Desk) -> None:
    desk.phala.switches.balance = "0.40"


def reach_droplet_limit(desk: Desk) -> None:
    desk.digitalocean.switches.droplet_limit = 0


def reach_cvm_limit(desk: Desk) -> None:
    desk.phala.switches.machine_limit = 0


def sell_droplets_out(desk: Desk) -> None:
    desk.digitalocean.switches.sold_out = {("fra1", "s-1vcpu-1gb"), ("fra1", "s-1vcpu-2gb")}


def fill_hosts(desk: Desk) -> None:
    for host in desk.phala.hosts:
        host.vcpu = 0.5


def fill_hosts_unseen(desk: Desk) -> None:
    fill_hosts(desk)
    desk.phala.switches.hides_that_hosts_are_full = True
    desk.phala.switches.room_is_checked_at = "commit"


def take_the_networks_name(desk: Desk) -> None:
    tags = ["spokewire", "spokewire:demo", "spokewire:demo:hub:hub-1", ID]
    droplet = Droplet(1, HUB, "fra1", "s-1vcpu-1gb", "ubuntu-24-04-x64", tags, "", 0.0, 0)
    droplet.booted, droplet.address = True, "198.51.100.1"
    desk.digitalocean.droplets.every[1] = droplet


def take_the_firewalls_name(desk: Desk) -> None:
    body = {"name": HUB, "tags": [], "inbound_rules": [], "outbound_rules": []}
    desk.digitalocean.network.firewalls["foreign"] = Firewall("foreign", body, 0.0)


def take_the_cvms_name(desk: Desk) -> None:
    desk.phala.plant(NODE, "services:\n  web:\n    image: nginx\n")


def refuse_the_droplet(desk: Desk) -> None:
    refusal = Reply(422, {"id": "unprocessable_entity", "message": "Something is wrong."})
    desk.digitalocean.faults = [Fault("POST", "/v2/droplets", refusal)]


TROUBLES = {
    "no token": Trouble(
        nothing,
        "credentials-missing",
        "no token for DigitalOcean",
        "DIGITALOCEAN_TOKEN",
        environment={"DIGITALOCEAN_TOKEN": ""},
    ),
    "no API key": Trouble(
        nothing, "credentials-missing", "no API key", "PHALA_CLOUD_API_KEY", environment={"PHALA_CLOUD_API_KEY": ""}
    ),
    "an old token": Trouble(
        nothing,
        "credentials-refused",
        "does not accept the token",
        "Make a new one",
        environment={"DIGITALOCEAN_TOKEN": "old"},
    ),
    "an old API key": Trouble(
        nothing,
        "credentials-refused",
        "does not accept the API key",
        "new key",
        environment={"PHALA_CLOUD_API_KEY": "old"},
    ),
    "no right to read": Trouble(take_scope("tag:read"), "credentials-refused", "may not do this", "tag:read"),
    "no right to create": Trouble(
        take_scope("droplet:create"), "credentials-refused", "may not do this", "droplet:create", (), "hub-1"
    ),
    "no money": Trouble(spend_money, "no-money", "balance at Phala Cloud is $0.40", "Top it up"),
    "droplet limit": Trouble(reach_droplet_limit, "account-limit", "droplet limit", "ask DigitalOcean"),
    "CVM limit": Trouble(reach_cvm_limit, "account-limit", "as many CVMs", "higher tier"),
    "droplets sold out": Trouble(
        sell_droplets_out, "no-capacity", "no room for hub-1", "Run spokewire deploy again later", (), "hub-1"
    ),
    "hosts full": Trouble(fill_hosts, "no-capacity", "no room", "Run spokewire deploy again later", (HUB,), "node-1"),
    "hosts full, seen late": Trouble(
        fill_hosts_unseen, "no-capacity", "lacks vCPU", "Run spokewire deploy again later", (HUB,), "node-1"
    ),
    "no such image": Trouble(
        edit('regions = ["fra1"]', 'regions = ["fra1"]\nos_image = "ubuntu-99"'),
        "cloud-refused",
        "no image 'ubuntu-99'",
        "It has:",
    ),
    "no such size": Trouble(
        edit('regions = ["fra1"]', 'regions = ["fra1"]\nsizes = ["huge"]'), "cloud-refused", "no size 'huge'", "It has:"
    ),
    "no such guest": Trouble(
        edit('provider = "phala"', 'provider = "phala"\nos_image = "dstack-9.9.9"'),
        "spec-invalid",
        "cannot make what the spec says",
        "nothing was made",
    ),
    "no such place": Trouble(
        edit('provider = "phala"', 'provider = "phala"\nregions = ["us-west-1", "mars-1"]'),
        "spec-invalid",
        "cannot make what the spec says",
        "nothing was made",
    ),
    "no such region": Trouble(edit('["fra1"]', '["fra1", "mars1"]'), "cloud-refused", "no region 'mars1'", "It has:"),
    "no such type": Trouble(
        edit('provider = "phala"', 'provider = "phala"\ninstance_types = ["tdx.huge"]'),
        "spec-invalid",
        "tdx.huge",
        "It has:",
    ),
    "network's name taken": Trouble(
        take_the_networks_name, "name-taken", "of another root key", "another name", (HUB,)
    ),
    "firewall's name taken": Trouble(take_the_firewalls_name, "cloud-refused", "a firewall", "Rename", (), "hub-1"),
    "CVM's name taken": Trouble(
        take_the_cvms_name, "name-taken", "is not of this network", "Rename", (HUB, NODE), "node-1"
    ),
    "an unknown refusal": Trouble(
        refuse_the_droplet, "cloud-refused", "Something is wrong", "the cloud's own", (), "hub-1"
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
def test_a_deploy_says_in_one_sentence_what_is_wrong_and_makes_nothing_else(
    authority: Authority, tmp_path: Path, trouble: Trouble
) -> None:
    with open_desk(authority, tmp_path) as desk:
        trouble.make(desk)
        before = desk.machines
        done = desk.run("deploy", "--json", "--timeout", "1", **trouble.environment)
        assert "Traceback" not in done.stderr
        for secret in (TOKEN, KEY):
            assert secret not in done.stdout + done.stderr
        data = json.loads(done.stdout)
        if trouble.about is None:
            error, sentence = data["error"], data["error"]["message"]
            assert desk.machines == before
            assert not (tmp_path / ".spokewire/root.key").exists()
        else:
            error = next(item for item in data["missing"] if item["name"] == trouble.about)
            sentence = error["reason"]
        assert error["code"] == trouble.code
        assert trouble.words in sentence
        assert trouble.hint in error["hint"]
        assert "\n" not in sentence
        assert desk.machines == sorted(trouble.exists)
        assert done.returncode in ((2, 1) if trouble.about is None else (1, 3))


def plant_hub(desk: Desk, number: int, identity: str) -> None:
    tags = ["spokewire", "spokewire:demo", f"spokewire:demo:hub:hub-{number}", f"spokewire:demo:id:{identity}"]
    name = f"spokewire-demo-hub-{number}"
    droplet = Droplet(number, name, "fra1", "s-1vcpu-1gb", "ubuntu-24-04-x64", tags, "", 0.0, 0)
    droplet.booted, droplet.address = True, f"198.51.100.{number}"
    desk.digitalocean.droplets.every[number] = droplet


def test_without_a_root_key_a_destroy_says_whose_machines_it_would_remove_and_of_two_networks_it_removes_none(
    authority: Authority, tmp_path: Path
) -> None:
    with open_desk(authority, tmp_path) as desk:
        plant_hub(desk, 1, "aaaa")
        asked = desk.run("destroy")
        assert asked.returncode == 2
        assert "There is no root key here: 1 machines of the network called demo (aaaa)" in asked.stderr
        assert "whoever made it" in asked.stderr
        plant_hub(desk, 2, "bbbb")
        refused = desk.run("destroy", "--force", "--json")
        assert refused.returncode == 2
        error = json.loads(refused.stdout)["error"]
        assert error["code"] == "name-taken"
        assert "2 networks called demo (aaaa, bbbb)" in error["message"]
        assert len(desk.machines) == 2
