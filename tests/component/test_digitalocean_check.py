"""Before anything is made at DigitalOcean: credentials, their rights, limits, and every name in the spec."""

from pathlib import Path

import pytest

from spokewire.cloud.digitalocean.credentials import find_token
from spokewire.errors import Code, InputError, PermanentError, SpokewireError, TemporaryError
from spokewire.network.spec import MachineSpec
from tests.builders import make_grant, make_token
from tests.emulators.digitalocean.case import Case, make_hub
from tests.emulators.digitalocean.emulator import SCOPES, TOKEN
from tests.emulators.service import CUT, Fault, Reply

EVERY_SCOPE = {scope for _, _, scope in SCOPES}


def refused(case: Case, hub: MachineSpec | None = None, environment: dict[str, str] | None = None) -> SpokewireError:
    """The error of a check that must fail; nothing was made."""
    with pytest.raises(SpokewireError) as caught:
        case.provider(environment=environment).check([hub or make_hub()])
    assert case.emulator.calls("POST") == []
    assert TOKEN not in f"{caught.value.message}{caught.value.hint}{caught.value.__cause__!r}"
    return caught.value


def test_a_spec_that_can_be_made_passes_and_nothing_is_made(case: Case) -> None:
    case.emulator.add_key("laptop", "3b:16:e4:bf:8b:00:8b:b8:59:8c:a9:d3:f0:19:fa:45")
    case.provider().check([make_hub(ssh_key="laptop", reserved_ip=True)])
    assert {call.method for call in case.emulator.calls()} == {"GET"}


def test_no_credentials_is_told_before_the_api_is_asked(case: Case) -> None:
    error = refused(case, environment={})
    assert (type(error), error.code) == (InputError, Code.CREDENTIALS_MISSING)
    assert "DIGITALOCEAN_TOKEN" in error.hint
    assert case.emulator.log == []


def test_a_token_that_is_not_accepted_is_told(case: Case) -> None:
    error = refused(case, environment={"DIGITALOCEAN_TOKEN": "dop_v1_wrong"})
    assert (type(error), error.code) == (InputError, Code.CREDENTIALS_REFUSED)
    assert "dop_v1_wrong" not in error.message


@pytest.mark.parametrize(
    "scope",
    ["account:read", "droplet:read", "sizes:read", "regions:read", "image:read", "ssh_key:read", "firewall:read",
     "tag:read", "reserved_ip:read"],
)  # fmt: skip
def test_a_right_that_is_missing_for_reading_shows_before_anything_is_made(case: Case, scope: str) -> None:
    case.emulator.add_key("laptop", "3b:16:e4:bf:8b:00:8b:b8:59:8c:a9:d3:f0:19:fa:45")
    case.switches.scopes = EVERY_SCOPE - {scope}
    error = refused(case, make_hub(ssh_key="laptop", reserved_ip=True))
    assert (type(error), error.code) == (InputError, Code.CREDENTIALS_REFUSED)
    assert scope in error.hint


@pytest.mark.parametrize("scope", ["tag:create", "firewall:create", "droplet:create"])
def test_a_right_that_is_missing_for_making_is_told_and_no_droplet_is_left(case: Case, scope: str) -> None:
    case.switches.scopes = EVERY_SCOPE - {scope}
    with pytest.raises(InputError) as caught:
        case.provider().create(make_hub(), make_token(make_grant("hub-1")))
    assert caught.value.code is Code.CREDENTIALS_REFUSED
    assert scope in caught.value.hint
    assert case.alive() == []


def test_all_rights_that_are_needed_are_named_in_the_hint_and_suffice(case: Case) -> None:
    case.switches.scopes = {"account:read"}
    hint = refused(case).hint
    case.switches.scopes = {word.strip(" .,") for word in hint.partition("scopes:")[2].split()}
    hub = make_hub(reserved_ip=True)
    case.provider().check([hub])
    case.provider().create(hub, make_token(make_grant("hub-1")))
    case.provider().destroy(hub.name, keep_address=True)
    case.provider().create(hub, make_token(make_grant("hub-1")))
    assert case.provider().sweep() == []
    assert case.emulator.empty


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"sizes": ("s-1vcpu-1gb", "m-99")}, "'m-99'"),
        ({"regions": ("fra1", "mars1")}, "'mars1'"),
        ({"os_image": "ubuntu-99"}, "'ubuntu-99'"),
        ({"ssh_key": "desktop"}, "'desktop'"),
    ],
)
def test_a_name_that_digitalocean_does_not_know_is_told_with_those_that_it_knows(
    case: Case, changes: dict[str, object], word: str
) -> None:
    case.emulator.add_key("laptop", "3b:16:e4:bf:8b:00:8b:b8:59:8c:a9:d3:f0:19:fa:45")
    error = refused(case, make_hub(**changes))
    assert (type(error), error.code) == (InputError, Code.CLOUD_REFUSED)
    assert word in error.message
    assert any(known in error.hint for known in ("s-1vcpu-1gb", "fra1", "ubuntu-24-04-x64", "laptop"))


def test_a_limit_that_is_reached_is_told_unless_the_hub_exists(case: Case) -> None:
    case.provider().create(make_hub(), make_token(make_grant("hub-1")))
    case.switches.droplet_limit = 1
    case.provider().check([make_hub()])
    with pytest.raises(PermanentError) as caught:
        case.provider().check([make_hub(name="hub-2")])
    assert caught.value.code is Code.ACCOUNT_LIMIT
    assert "1 of 1" in caught.value.message


def test_a_locked_account_is_told(case: Case) -> None:
    case.switches.account_status = "locked"
    assert "is locked: Ask support" in refused(case).message


def test_no_room_by_the_lists_is_told_before_anything_is_made(case: Case) -> None:
    case.switches.closed_regions = {"fra1", "ams3"}
    error = refused(case)
    assert (type(error), error.code) == (PermanentError, Code.NO_CAPACITY)


@pytest.mark.parametrize("reply", [CUT, Reply(503, {"id": "server_error", "message": "Oops"}), Reply(200, [1])])
def test_an_api_that_is_down_is_told_after_a_minute(case: Case, reply: Reply) -> None:
    case.emulator.faults = [Fault("GET", "/v2/account", reply, times=99)]
    error = refused(case)
    assert (type(error), error.code) == (TemporaryError, Code.CLOUD_UNREACHABLE)
    assert sum(case.swift.slept) <= 60.0


def test_the_token_comes_from_the_environment_or_from_doctls_file(tmp_path: Path) -> None:
    (tmp_path / "doctl").mkdir()
    (tmp_path / "doctl" / "config.yaml").write_text("access-token: from-doctl\noutput: text\n")
    places = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert find_token(places).reveal() == "from-doctl"
    places |= {"DIGITALOCEAN_ACCESS_TOKEN": "second"}
    assert find_token(places).reveal() == "second"
    places |= {"DIGITALOCEAN_TOKEN": " first\n"}
    assert find_token(places).reveal() == "first"
    assert "first" not in f"{find_token(places)} {find_token(places)!r}"


@pytest.mark.parametrize("text", ["two words", "tökén", "a\x00b"])
def test_what_is_no_token_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(InputError) as caught:
        find_token({"DIGITALOCEAN_TOKEN": text})
    assert text not in f"{caught.value.message}{caught.value.hint}"
