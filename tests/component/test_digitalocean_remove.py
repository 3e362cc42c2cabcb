"""What is ours at DigitalOcean goes completely, and nothing else does."""

import pytest

from spokewire.errors import Code, TemporaryError
from spokewire.network.names import MachineName
from tests.builders import make_grant, make_token
from tests.emulators.digitalocean.case import SPEC_TEXT, Case, make_hub
from tests.emulators.service import Fault, Reply, html_error

TOKEN = make_token(make_grant("hub-1"))
HUB = MachineName("hub-1")


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_hub_goes_with_its_firewall_and_its_tag_and_twice_is_once(case: Case, seconds: float) -> None:
    case.switches.delete_takes_s = seconds
    case.provider().create(make_hub(), TOKEN)
    case.provider().destroy(HUB)
    assert (case.alive(), case.emulator.network.firewalls) == ([], {})
    assert "spokewire:demo:hub:hub-1" not in case.emulator.network.tags
    case.provider().destroy(HUB)
    assert len(case.emulator.calls("DELETE", "/v2/droplets/.*")) == 1


def test_a_pending_event_delays_the_removal(case: Case) -> None:
    case.provider().create(make_hub(), TOKEN)
    case.switches.locked_s = 60.0
    case.provider().destroy(HUB)
    assert case.alive() == []
    assert len(case.emulator.calls("DELETE", "/v2/droplets/.*")) > 2


def test_a_removal_that_does_not_happen_is_told(case: Case) -> None:
    case.provider().create(make_hub(), TOKEN)
    case.switches.delete_takes_s = 500.0
    with pytest.raises(TemporaryError) as caught:
        case.provider().destroy(HUB)
    assert caught.value.code is Code.TIMEOUT
    case.swift.sleep(500.0)
    assert case.provider().sweep() == []


@pytest.mark.parametrize("after", [False, True])
def test_a_removal_without_a_clear_answer_is_repeated(case: Case, after: bool) -> None:
    case.provider().create(make_hub(reserved_ip=True), TOKEN)
    paths = ("/v2/droplets/.*", "/v2/reserved_ips/.*", "/v2/firewalls/.*", "/v2/tags/.*")
    case.emulator.faults = [Fault("DELETE", path, html_error(502), after=after) for path in paths]
    assert case.provider().sweep() == []
    assert case.emulator.empty


def test_a_sweep_needs_no_memory_and_leaves_an_empty_account(case: Case) -> None:
    case.provider().create(make_hub(reserved_ip=True), TOKEN)
    case.provider().create(make_hub(name="hub-2"), TOKEN)
    assert case.provider().sweep() == []
    assert case.emulator.empty
    assert case.provider().sweep() == []


def test_a_sweep_finds_what_is_not_listed_yet(case: Case) -> None:
    case.switches.list_lag_s = 25.0
    case.switches.active_after_s = 0.0
    case.provider().create(make_hub(), TOKEN)
    assert case.provider().observe() == []
    assert case.provider().sweep() == []
    assert case.emulator.empty


def test_a_reserved_ip_that_is_kept_for_a_hub_that_never_came_is_swept_too(case: Case) -> None:
    case.provider().create(make_hub(reserved_ip=True), TOKEN)
    case.provider().destroy(HUB, keep_address=True)
    assert list(case.emulator.network.reserved) == ["198.51.100.10"]
    assert case.provider().sweep() == []
    assert case.emulator.empty


def test_what_is_left_all_the_same_is_named(case: Case) -> None:
    case.provider().create(make_hub(), TOKEN)
    (firewall,) = case.emulator.network.firewalls.values()
    case.emulator.faults = [Fault("DELETE", "/v2/firewalls/.*", Reply(204), times=9)]
    assert case.provider().sweep() == ["firewall spokewire-demo-hub-1", "tag spokewire:demo:hub:hub-1"]
    assert firewall.id in case.emulator.network.firewalls


FOREIGN = [
    ("spokewire-demo-hub-1", []),
    ("spokewire-demo-hub-1", ["spokewire", "spokewire:demo2", "spokewire:demo2:hub:hub-1"]),
    ("spokewire-demo-hub-1", ["spokewire:demo"]),
    ("spokewire-demo-hub-1", ["spokewire", "spokewire:demo", "spokewire:demo:hub:hub-2"]),
    ("spokewire-demo-extra-hub-1", ["spokewire", "spokewire:demo-extra", "spokewire:demo-extra:hub:hub-1"]),
    ("my-spokewire-demo-hub-1", ["spokewire", "spokewire:demo", "spokewire:demo:hub:hub-1"]),
    ("Spokewire-demo-hub-1", ["spokewire", "spokewire:demo"]),
    ("web", ["spokewire", "production"]),
]


@pytest.mark.parametrize(("name", "tags"), FOREIGN)
def test_a_foreign_droplet_of_similar_name_or_tag_is_never_touched(case: Case, name: str, tags: list[str]) -> None:
    made = case.provider()
    made.create(make_hub(), TOKEN)
    (ours,) = case.emulator.droplets.every.values()
    case.provider(text=SPEC_TEXT.replace('"demo"', '"other"')).create(make_hub(), TOKEN)
    foreign = case.emulator.droplets.every[ours.id + 1]
    foreign.name, foreign.tags = name, list(tags)
    assert [machine.name for machine in case.provider().observe()] == ["hub-1"]
    assert case.provider().sweep() == []
    assert case.alive() == [name]
    assert foreign.tags == tags
    assert [str(call) for call in case.emulator.calls("DELETE", f"/v2/droplets/{foreign.id}")] == []


def test_another_network_with_a_reserved_ip_and_a_firewall_is_never_touched(case: Case) -> None:
    other = case.provider(text=SPEC_TEXT.replace('"demo"', '"demo-2"'))
    other.create(make_hub(reserved_ip=True), TOKEN)
    case.provider().create(make_hub(reserved_ip=True), TOKEN)
    assert case.provider().sweep() == []
    assert case.alive() == ["spokewire-demo-2-hub-1"]
    assert len(case.emulator.network.reserved) == len(case.emulator.network.firewalls) == 1
    assert {tag for tag in case.emulator.network.tags if tag != "spokewire"} == {
        tag for tag in case.emulator.network.tags if tag.startswith("spokewire:demo-2")
    }
    (machine,) = other.observe()
    assert machine.public_address == "198.51.100.10"


def test_a_reserved_ip_that_somebody_took_for_another_droplet_is_left_to_them(case: Case) -> None:
    case.provider().create(make_hub(reserved_ip=True), TOKEN)
    case.provider().create(make_hub(name="hub-2"), TOKEN)
    foreign = case.emulator.droplets.every[3_164_445]
    foreign.name, foreign.tags = "web", []
    case.emulator.network.reserved["198.51.100.10"].droplet = foreign.id
    case.emulator.network.firewalls.pop(next(iter(reversed(case.emulator.network.firewalls))))
    assert case.provider().sweep() == []
    assert (case.alive(), list(case.emulator.network.reserved)) == (["web"], ["198.51.100.10"])


def test_tags_are_found_in_whatever_case_they_were_first_written(case: Case) -> None:
    case.emulator.droplets.keep_case("Spokewire:Demo")
    case.emulator.droplets.keep_case("SPOKEWIRE")
    case.provider().create(make_hub(), TOKEN)
    assert "Spokewire:Demo" in case.emulator.droplets.every[3_164_444].tags
    assert [machine.name for machine in case.provider().observe()] == ["hub-1"]
    assert case.provider().sweep() == []
    assert case.emulator.empty


def test_an_account_with_many_pages_is_read_to_its_end(case: Case) -> None:
    for number in range(450):
        case.emulator.droplets.keep_case(f"a-{number}")
        case.emulator.network._made.add(f"a-{number}")
    case.provider().create(make_hub(), TOKEN)
    assert case.provider().sweep() == []
    assert len(case.emulator.network.tags) == 450
    assert {call.query["page"] for call in case.emulator.calls("GET", "/v2/tags")} == {"1", "2", "3"}
