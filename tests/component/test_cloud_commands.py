"""The command line beside an emulated DigitalOcean: prices before anything is made, one sentence for what is missing, and a destroy without memory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spokewire.cloud.digitalocean.opening import ENDPOINT_VARIABLE, open_provider
from spokewire.deploy.keeper import Keeper
from spokewire.network.keys import derive_network_id
from spokewire.network.specfile import parse_spec
from tests.builders import make_grant, make_token
from tests.emulators.authority import Authority
from tests.emulators.clients import Mortal, SwiftClock
from tests.emulators.digitalocean.case import SPEC_TEXT, make_hub
from tests.emulators.digitalocean.emulator import TOKEN, DigitalOcean
from tests.emulators.serve import serve
from tests.emulators.service import Fault, Reply


@dataclass
class Desk:
    """A folder with a spec, and an account that is empty at first."""

    folder: Path
    emulator: DigitalOcean
    environment: dict[str, str]

    def run(self, *words: str, status: int = 0, **environment: str) -> Any:
        """Run a command; returns what it printed, as JSON if that was asked for."""
        done = subprocess.run(
            [sys.executable, "-m", "spokewire", *words],
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert TOKEN not in done.stdout + done.stderr
        return json.loads(done.stdout) if "--json" in words else done.stdout + done.stderr


@pytest.fixture
def desk(authority: Authority, tmp_path: Path) -> Iterator[Desk]:
    emulator = DigitalOcean(time.monotonic)
    emulator.switches.active_after_s = 0.0
    (tmp_path / "spokewire.toml").write_text(SPEC_TEXT)
    with serve(emulator, authority) as served:
        environment = {
            "PATH": os.environ["PATH"],
            "RES_OPTIONS": os.environ["RES_OPTIONS"],
            "HOME": str(tmp_path),
            "COLUMNS": "200",
            "SSL_CERT_FILE": str(authority.ca_file),
            ENDPOINT_VARIABLE: served.url,
            "DIGITALOCEAN_TOKEN": TOKEN,
        }
        yield Desk(tmp_path, emulator, environment)
    assert emulator.violations == []


def make_remains(desk: Desk, authority: Authority) -> None:
    """What a deploy from somewhere else has made."""
    transport = Mortal(authority)
    provider = open_provider(parse_spec(SPEC_TEXT), desk.environment, clock=SwiftClock().clock(), transport=transport)
    provider.create(make_hub(reserved_ip=True), make_token(make_grant("hub-1")))
    transport.close()


def test_a_dry_run_tells_the_price_and_makes_nothing(desk: Desk) -> None:
    text = desk.run("deploy", "--dry-run")
    assert "$6.00 a month (s-1vcpu-1gb)" in text
    assert "together" in text
    (hub, settings) = desk.run("deploy", "--dry-run", "--json")["plan"]
    assert (hub["verb"], hub["name"], hub["hourly_usd"], hub["monthly_usd"]) == ("create", "hub-1", 0.00893, 6.0)
    assert (settings["verb"], settings["hourly_usd"], settings["monthly_usd"]) == ("sign", None, None)
    assert {call.method for call in desk.emulator.calls()} == {"GET"}
    assert not (desk.folder / ".spokewire").exists()


@pytest.mark.parametrize("words", [("deploy", "--yes"), ("deploy", "--dry-run"), ("status",), ("destroy", "--force")])
def test_without_credentials_every_command_says_which_are_missing(desk: Desk, words: tuple[str, ...]) -> None:
    error = desk.run(*words, "--json", status=2, DIGITALOCEAN_TOKEN="")["error"]
    assert error["code"] == "credentials-missing"
    assert "DIGITALOCEAN_TOKEN" in error["hint"]
    assert desk.emulator.log == []


def test_a_token_that_is_refused_ends_a_deploy_before_anything_is_made(desk: Desk) -> None:
    error = desk.run("deploy", "--yes", "--json", status=2, DIGITALOCEAN_TOKEN="dop_v1_old")["error"]
    assert error["code"] == "credentials-refused"
    assert desk.emulator.calls("POST") == []


def test_a_name_that_does_not_exist_ends_a_deploy_before_anything_is_made(desk: Desk) -> None:
    spec = desk.folder / "spokewire.toml"
    spec.write_text(SPEC_TEXT.replace("s-1vcpu-1gb", "huge"))
    assert "no size 'huge'" in desk.run("deploy", "--yes", "--json", status=2)["error"]["message"]
    assert desk.emulator.calls("POST") == []


def test_a_create_that_is_refused_is_one_sentence_and_status_3_or_1(desk: Desk) -> None:
    refusal = Reply(422, {"id": "unprocessable_entity", "message": "Something is wrong."})
    desk.emulator.faults = [Fault("POST", "/v2/droplets", refusal, times=9)]
    printed = desk.run("deploy", "--yes", "--json", status=1)
    assert printed["ready"] == []
    assert [(item["name"], item["code"]) for item in printed["missing"]] == [("hub-1", "cloud-refused")]
    assert "Something is wrong" in printed["missing"][0]["reason"]
    state = (desk.folder / ".spokewire" / "state.json").read_text()
    assert json.loads(state)["providers"] == ["digitalocean"]
    assert TOKEN not in state


def test_a_destroy_without_any_memory_leaves_an_empty_account_also_twice(desk: Desk, authority: Authority) -> None:
    make_remains(desk, authority)
    assert desk.run("destroy", "--force", "--json") == {"destroyed": ["hub-1"], "left": []}
    assert desk.emulator.empty
    assert desk.run("destroy", "--force", "--json") == {"destroyed": [], "left": []}


def test_remains_without_a_droplet_are_destroyed_too(desk: Desk, authority: Authority) -> None:
    make_remains(desk, authority)
    desk.emulator.droplets.every.clear()
    for item in desk.emulator.network.reserved.values():
        item.droplet = None
    # Else the command looks for half a minute whether a droplet of that tag appears.
    desk.emulator.network._made.discard("spokewire:demo:hub:hub-1")
    desk.run("destroy", "--force", "--json")
    assert (desk.emulator.network.reserved, desk.emulator.network.firewalls) == ({}, {})


def test_a_cloud_that_the_spec_names_no_more_is_still_asked(desk: Desk, authority: Authority) -> None:
    refusal = Reply(422, {"id": "unprocessable_entity", "message": "Something is wrong."})
    desk.emulator.faults = [Fault("POST", "/v2/droplets", refusal)]
    desk.run("deploy", "--yes", "--json", status=1)
    make_remains(desk, authority)
    (droplet,) = desk.emulator.droplets.every.values()
    ours = derive_network_id(Keeper(desk.folder / "spokewire.toml").load_key().public_key())
    droplet.tags = [f"spokewire:demo:id:{ours}" if ":id:" in tag else tag for tag in droplet.tags]
    (desk.folder / "spokewire.toml").write_text(
        '[network]\nname = "demo"\n[[hubs]]\nname = "hub-1"\nprovider = "host"\naddress = "hub.example.com"\n'
    )
    (action, *_) = [a for a in desk.run("deploy", "--dry-run", "--json")["plan"] if a["verb"] == "destroy"]
    assert (action["name"], action["reason"]) == ("hub-1", "it is a host of yours now")
    assert desk.run("destroy", "--force", "--json") == {"destroyed": ["hub-1"], "left": []}
    assert desk.emulator.empty
