"""Names and tags at DigitalOcean: found again exactly, and nobody else's taken for ours."""

import re

import pytest

from spokewire.cloud.digitalocean.droplets import Droplet, read_droplet, read_size
from spokewire.cloud.digitalocean.making import plan_firewall
from spokewire.cloud.digitalocean.refusals import Refused, classify
from spokewire.cloud.digitalocean.words import Words, digest_rest, list_choices
from spokewire.cloud.http import RefusalError
from spokewire.network.cloudspec import DropletSpec
from spokewire.network.names import MachineName, NetworkId
from tests.emulators.digitalocean.case import make_hub

WORDS = Words("demo")
HUB = MachineName("hub-1")
TAGS = ("spokewire", "spokewire:demo", "spokewire:demo:hub:hub-1")
LONGEST = Words("a23456789012")
LONG_NAME = MachineName("a" * 32)


def make_droplet(name: str = "spokewire-demo-hub-1", tags: tuple[str, ...] = TAGS) -> Droplet:
    return Droplet(1, name, "active", "fra1", "s", "i", tags, "203.0.113.1")


def test_every_tag_and_name_is_one_that_digitalocean_takes() -> None:
    tags = [
        *LONGEST.droplet_tags(LONG_NAME, NetworkId("0" * 32), "0" * 12),
        LONGEST.mark("255.255.255.255", LONG_NAME),
        LONGEST.reserved_tag,
    ]
    assert all(re.fullmatch(r"[A-Za-z0-9_:-]{1,255}", tag) for tag in tags)
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9.-]+", LONGEST.resource_name(LONG_NAME))
    assert len(LONGEST.resource_name(LONG_NAME)) <= 63, "a host name's label (RFC 1035 section 2.3.4)"


def test_what_is_written_is_read_back() -> None:
    tags = tuple(WORDS.droplet_tags(HUB, NetworkId("ab" * 16), "0123456789ab"))
    droplet = make_droplet(WORDS.resource_name(HUB), tags)
    assert WORDS.find_droplet_name(droplet) == HUB
    assert WORDS.find_identity(droplet) == "ab" * 16
    assert WORDS.find_digest(droplet) == "0123456789ab"
    assert WORDS.find_hubs(tags) == [HUB]
    assert WORDS.find_marks([WORDS.mark("198.51.100.7", HUB)]) == {"198.51.100.7": HUB}


@pytest.mark.parametrize(
    ("name", "tags", "found"),
    [
        ("spokewire-demo-hub-1", TAGS, "hub-1"),
        ("spokewire-demo-hub-1", ("Spokewire", "SPOKEWIRE:demo", "spokewire:Demo:hub:hub-1"), "hub-1"),
        ("spokewire-demo-hub-2", TAGS, None),
        ("spokewire-demo-", TAGS, None),
        ("spokewire-demo-Hub-1", TAGS, None),
        ("spokewire-demo", TAGS, None),
        ("spokewire-demo2-hub-1", TAGS, None),
        ("xspokewire-demo-hub-1", TAGS, None),
        ("spokewire-demo-hub-1", TAGS[:2], None),
        ("spokewire-demo-hub-1", TAGS[1:], None),
        ("spokewire-demo-hub-1", ("spokewire", "spokewire:demo-hub", "spokewire:demo:hub:hub-1"), None),
    ],
)
def test_a_droplet_is_ours_by_its_exact_name_and_all_of_its_tags(
    name: str, tags: tuple[str, ...], found: str | None
) -> None:
    assert WORDS.find_droplet_name(make_droplet(name, tags)) == found


@pytest.mark.parametrize(
    "tag",
    [
        "spokewire:demo:ip:1-2-3:hub-1", "spokewire:demo:ip:1-2-3-999:hub-1", "spokewire:demo2:ip:1-2-3-4:hub-1",
        "spokewire:demo:ip:1-2-3-4:Hub_1", "spokewire:demo:ip:01-2-3-4:hub-1", "1-2-3-4:hub-1",
    ],
)  # fmt: skip
def test_a_tag_that_is_not_exactly_a_mark_marks_nothing(tag: str) -> None:
    assert WORDS.find_marks([tag]) == {}


def test_a_network_whose_name_begins_like_ours_has_no_tag_of_ours() -> None:
    ours = ["spokewire:demo", "spokewire:demo:hub:a", "Spokewire:Demo:reserved", "spokewire:demo:ip:192-0-2-1:a"]
    others = ["spokewire:demo:x", "spokewire:demo:hub", "spokewire:demo:team:blue", "spokewire:demo-2", "demo"]
    others += ["spokewire:demo-2:hub:a", "spokewire"]
    assert [tag for tag in ours + others if WORDS.is_ours(tag)] == ours


@pytest.mark.parametrize(
    "changes",
    [
        {"api_port": 8443}, {"open_ports": ()}, {"ssh_key": "laptop"}, {"reserved_ip": True},
        {"os_image": "debian-12-x64"},
    ],
)  # fmt: skip
def test_whatever_a_droplet_keeps_for_its_life_is_in_its_digest(changes: dict[str, object]) -> None:
    assert digest_rest(make_hub(**changes), "0") != digest_rest(make_hub(), "0")


def test_another_release_is_another_digest_and_the_order_of_ports_is_none() -> None:
    assert digest_rest(make_hub(), "0") != digest_rest(make_hub(), "1")
    ports = ("tcp/22", "udp/1")
    assert digest_rest(make_hub(open_ports=ports), "0") == digest_rest(make_hub(open_ports=ports[::-1]), "0")
    assert digest_rest(make_hub(sizes=("m-1",), regions=("nyc3",)), "0") == digest_rest(make_hub(), "0")


def test_all_sizes_of_a_region_are_tried_before_the_next_region() -> None:
    choices = list_choices(DropletSpec(regions=("a", "b"), sizes=("1", "2")))
    assert choices == [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")]


def test_a_port_that_is_said_twice_is_opened_once() -> None:
    rules = plan_firewall(WORDS, make_hub(open_ports=("tcp/443", "udp/51820", "udp/53")))["inbound_rules"]
    assert [(rule["protocol"], rule["ports"]) for rule in rules] == [("udp", "51820"), ("tcp", "443"), ("udp", "53")]


@pytest.mark.parametrize(
    ("status", "message", "cause"),
    [
        (422, "You specified an invalid size for Droplet creation.", Refused.NO_ROOM),
        (422, "You specified an invalid region for Droplet creation.", Refused.NO_ROOM),
        (422, "Size is not available in this region.", Refused.NO_ROOM),
        (422, "Region is not available", Refused.NO_ROOM),
        (422, "creating this/these droplet(s) will exceed your droplet limit", Refused.LIMIT),
        (422, "3b:16 are invalid key identifiers for Droplet creation.", Refused.KEY),
        (422, "You specified an invalid image for Droplet creation.", Refused.OTHER),
        (400, "Size is not available in this region.", Refused.OTHER),
        (422, "", Refused.OTHER),
    ],
)
def test_each_known_refusal_means_one_thing(status: int, message: str, cause: Refused) -> None:
    assert classify(RefusalError(status, {"id": "x", "message": message}, "")) is cause


@pytest.mark.parametrize("body", [None, [], "text", {}])
def test_a_refusal_without_words_is_another_one(body: object) -> None:
    assert classify(RefusalError(422, body, "")) is Refused.OTHER


def test_a_droplet_is_read_from_as_little_as_a_new_one_says() -> None:
    droplet = read_droplet({"id": 7, "name": "x", "networks": None, "tags": None, "image": None, "region": None})
    assert droplet == Droplet(7, "x", "new", "", "", "", (), None)


def test_the_public_address_is_not_the_private_one() -> None:
    networks = [{"ip_address": "10.1.1.1", "type": "private"}, {"ip_address": "203.0.113.9", "type": "public"}]
    assert read_droplet({"id": 7, "name": "x", "networks": {"v4": networks}}).address == "203.0.113.9"
    assert read_droplet({"id": 7, "name": "x", "networks": {"v4": networks[:1]}}).address is None


def test_a_price_keeps_its_digits() -> None:
    size = read_size({"slug": "s", "price_hourly": 0.00744, "price_monthly": 5})
    assert (str(size.hourly), str(size.monthly)) == ("0.00744", "5")
