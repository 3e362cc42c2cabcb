"""A hub on DigitalOcean comes to be once, whatever the API does meanwhile; and what cannot be is one sentence."""

from decimal import Decimal

import pytest

from spokewire.cloud.http import AmbiguousError
from spokewire.cloud.provider import MachineState, Price
from spokewire.errors import Code, InputError, PermanentError, SpokewireError, TemporaryError
from spokewire.network.spec import MachineSpec
from tests.builders import make_grant, make_token
from tests.emulators.digitalocean.case import Case, make_hub
from tests.emulators.service import CUT, Fault, Reply, html_error

TOKEN = make_token(make_grant("hub-1"))
BUSY = Reply(429, {"id": "too_many_requests", "message": "API Rate limit exceeded."})
BUSY_FOR_A_WHILE = Reply(BUSY.status, BUSY.body, {"retry-after": "7"})


def refused(case: Case, hub: MachineSpec | None = None) -> SpokewireError:
    """The error of a creation that must fail, having asked for nothing more than was refused."""
    with pytest.raises(SpokewireError) as caught:
        case.provider().create(hub or make_hub(), TOKEN)
    return caught.value


def test_a_hub_has_an_address_its_tags_and_a_firewall_that_was_there_first(case: Case) -> None:
    machine = case.provider().create(make_hub(), TOKEN, case.say)
    (droplet,) = case.emulator.droplets.every.values()
    (firewall,) = case.emulator.network.firewalls.values()
    assert (machine.name, machine.role, machine.state) == ("hub-1", "hub", MachineState.RUNNING)
    assert machine.public_address == droplet.address
    assert machine.shape.startswith("s-1vcpu-1gb in fra1, build ")
    assert {"spokewire", "spokewire:demo", "spokewire:demo:hub:hub-1"} <= set(droplet.tags)
    assert firewall.body["tags"] == ["spokewire:demo:hub:hub-1"]
    assert [(rule["protocol"], rule["ports"]) for rule in firewall.body["inbound_rules"]] == [
        ("udp", "51820"), ("tcp", "443"), ("tcp", "22"),
    ]  # fmt: skip
    assert {rule["protocol"] for rule in firewall.body["outbound_rules"]} == {"tcp", "udp", "icmp"}
    posts = [str(call) for call in case.emulator.calls("POST")]
    assert posts == ["POST /v2/tags", "POST /v2/firewalls", "POST /v2/droplets"]
    assert case.said[:2] == ["making its firewall", "asking for s-1vcpu-1gb in fra1"]
    assert "waiting to be active, 4 s" in case.said


def test_what_is_asked_for_has_no_password_mail_no_agents_and_no_key_unless_the_spec_names_one(case: Case) -> None:
    number = case.emulator.add_key("laptop", "3b:16:e4:bf:8b:00:8b:b8:59:8c:a9:d3:f0:19:fa:45")
    case.provider().create(make_hub(), TOKEN)
    case.provider().create(make_hub(name="hub-2", ssh_key="laptop"), TOKEN)
    case.provider().create(make_hub(name="hub-3", ssh_key="3b:16:e4:bf:8b:00:8b:b8:59:8c:a9:d3:f0:19:fa:45"), TOKEN)
    bodies = [call.body for call in case.emulator.calls("POST", "/v2/droplets")]
    assert ["ssh_keys" in body for body in bodies] == [False, True, True]
    assert bodies[1]["ssh_keys"] == bodies[2]["ssh_keys"] == [number]
    assert {(body["monitoring"], body["with_droplet_agent"]) for body in bodies} == {(False, False)}
    assert all(body["user_data"].startswith("#cloud-config\n") for body in bodies)


def test_a_late_address_is_waited_for(case: Case) -> None:
    case.switches.address_after_s = 30.0
    assert case.provider().create(make_hub(), TOKEN, case.say).public_address is not None
    assert any(words.startswith("waiting for its address") for words in case.said)


def test_a_droplet_that_is_not_known_at_first_is_waited_for(case: Case) -> None:
    case.switches.hidden_looks = 4
    assert case.provider().create(make_hub(), TOKEN).state is MachineState.RUNNING
    assert case.creates() == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
@pytest.mark.parametrize("lag_s", [0.0, 15.0])
def test_an_error_after_the_create_took_effect_makes_no_second_droplet(case: Case, status: int, lag_s: float) -> None:
    case.switches.list_lag_s = lag_s
    case.emulator.faults = [Fault("POST", "/v2/droplets", html_error(status), after=True)]
    assert case.provider().create(make_hub(), TOKEN).state is MachineState.RUNNING
    assert (case.creates(), case.alive()) == (1, ["spokewire-demo-hub-1"])


def test_a_connection_that_is_cut_after_the_create_took_effect_makes_no_second_droplet(case: Case) -> None:
    case.emulator.faults = [Fault("POST", "/v2/droplets", CUT, after=True)]
    assert case.provider().create(make_hub(), TOKEN).state is MachineState.RUNNING
    assert (case.creates(), case.alive()) == (1, ["spokewire-demo-hub-1"])


def test_an_error_instead_of_a_create_is_told_and_the_next_deploy_asks_again(case: Case) -> None:
    case.emulator.faults = [Fault("POST", "/v2/droplets", Reply(503, {"id": "server_error", "message": "Oops"}))]
    error = refused(case)
    assert isinstance(error, AmbiguousError)
    assert "does not list it" in error.message
    assert case.creates() == 1
    case.provider().create(make_hub(), TOKEN)
    assert (case.creates(), case.alive()) == (2, ["spokewire-demo-hub-1"])


@pytest.mark.parametrize("path", ["/v2/tags", "/v2/firewalls"])
@pytest.mark.parametrize("after", [False, True])
def test_an_unclear_answer_on_the_way_leaves_one_firewall(case: Case, path: str, after: bool) -> None:
    case.emulator.faults = [Fault("POST", path, html_error(502), after=after)]
    case.provider().create(make_hub(), TOKEN)
    assert (case.alive(), len(case.emulator.network.firewalls)) == (["spokewire-demo-hub-1"], 1)


@pytest.mark.parametrize(("reply", "least_s"), [(BUSY, 0.5), (BUSY_FOR_A_WHILE, 7.0)])
def test_a_request_that_was_one_too_many_is_repeated_later(case: Case, reply: Reply, least_s: float) -> None:
    case.emulator.faults = [Fault("POST", "/v2/droplets", reply), Fault("GET", "/v2/tags", reply)]
    case.provider().create(make_hub(), TOKEN)
    assert sum(seconds == least_s for seconds in case.swift.slept) == 2
    assert case.alive() == ["spokewire-demo-hub-1"]


@pytest.mark.parametrize("reply", [html_error(520), html_error(502), CUT, Reply(200, raw=b"<html>")])
def test_a_look_that_fails_is_repeated(case: Case, reply: Reply) -> None:
    case.emulator.faults = [Fault("GET", "/v2/droplets/.*", reply, times=3), Fault("GET", "/v2/sizes", reply)]
    assert case.provider().create(make_hub(), TOKEN).state is MachineState.RUNNING


@pytest.mark.parametrize("kind", ["failing_placements", "vanishing_placements"])
def test_a_droplet_that_cannot_be_placed_is_made_elsewhere(case: Case, kind: str) -> None:
    setattr(case.switches, kind, 1)
    machine = case.provider().create(make_hub(), TOKEN)
    assert machine.shape.startswith("s-1vcpu-2gb in fra1")
    assert case.alive() == ["spokewire-demo-hub-1"]


def test_sizes_and_regions_are_tried_in_the_order_of_the_spec(case: Case) -> None:
    case.switches.sold_out = {("fra1", "s-1vcpu-1gb"), ("ams3", "s-1vcpu-1gb")}
    case.switches.unlisted = {("fra1", "s-1vcpu-2gb")}
    machine = case.provider().create(make_hub(), TOKEN)
    asked = [(call.body["region"], call.body["size"]) for call in case.emulator.calls("POST", "/v2/droplets")]
    assert asked == [("fra1", "s-1vcpu-1gb"), ("ams3", "s-1vcpu-1gb"), ("ams3", "s-1vcpu-2gb")]
    assert case.provider().shape(make_hub(), machine) == machine.shape


def test_no_room_anywhere_is_one_sentence_with_each_reason(case: Case) -> None:
    case.switches.sold_out = {("fra1", "s-1vcpu-1gb"), ("fra1", "s-1vcpu-2gb")}
    case.switches.closed_regions = {"ams3"}
    error = refused(case)
    assert (type(error), error.code) == (PermanentError, Code.NO_CAPACITY)
    assert "s-1vcpu-1gb in fra1: Size is not available in this region" in error.message
    assert "s-1vcpu-2gb in ams3: the region takes no new droplets" in error.message
    assert (case.alive(), case.emulator.network.firewalls, case.emulator.network.tags) == ([], {}, {})


def test_a_droplet_that_stays_new_is_not_waited_for_for_ever_and_not_made_twice(case: Case) -> None:
    case.switches.active_after_s = 400.0
    error = refused(case)
    assert (type(error), error.code) == (TemporaryError, Code.TIMEOUT)
    assert [machine.state for machine in case.provider().observe()] == [MachineState.PENDING]
    assert case.provider().create(make_hub(), TOKEN).state is MachineState.RUNNING
    assert case.creates() == 1


def test_a_droplet_of_an_older_network_with_this_name_is_not_adopted(case: Case) -> None:
    case.switches.active_after_s = 4.0
    case.provider().create(make_hub(), TOKEN)
    (droplet,) = case.emulator.droplets.every.values()
    droplet.tags = [tag.replace(":id:", ":id:0") for tag in droplet.tags]
    error = refused(case)
    assert (type(error), error.code, case.creates()) == (TemporaryError, Code.BUSY, 1)


def test_a_firewall_of_our_name_that_is_not_ours_is_left_alone(case: Case) -> None:
    case.provider().create(make_hub(name="hub-2"), TOKEN)
    (firewall,) = case.emulator.network.firewalls.values()
    firewall.body |= {"name": "spokewire-demo-hub-1", "tags": []}
    error = refused(case)
    assert error.code is Code.CLOUD_REFUSED
    assert "is not ours" in error.message
    assert (firewall.body["tags"], case.creates()) == ([], 1)


@pytest.mark.parametrize(
    ("message", "kind", "code"),
    [
        ("creating this/these droplet(s) will exceed your droplet limit", PermanentError, Code.ACCOUNT_LIMIT),
        ("[1] are invalid key identifiers for Droplet creation.", InputError, Code.CLOUD_REFUSED),
        ("You specified an invalid image for Droplet creation.", PermanentError, Code.CLOUD_REFUSED),
        ("User data is too large.", PermanentError, Code.CLOUD_REFUSED),
        ("Something nobody has heard of.", PermanentError, Code.CLOUD_REFUSED),
    ],
)
def test_a_refusal_that_no_other_size_cures_ends_it(case: Case, message: str, kind: type, code: Code) -> None:
    body = {"id": "unprocessable_entity", "message": message}
    case.emulator.faults = [Fault("POST", "/v2/droplets", Reply(422, body), times=9)]
    error = refused(case)
    assert (type(error), error.code, case.creates()) == (kind, code, 1)
    assert error.message.count(message.rstrip(".")) == int(code is not Code.ACCOUNT_LIMIT)


def test_the_reserved_ip_is_the_hubs_address_and_stays_for_the_next_one(case: Case) -> None:
    hub = make_hub(reserved_ip=True)
    first = case.provider().create(hub, TOKEN)
    assert first.public_address == "198.51.100.10"
    case.provider().destroy(hub.name, keep_address=True)
    assert list(case.emulator.network.reserved) == ["198.51.100.10"]
    assert case.provider().create(hub, TOKEN).public_address == "198.51.100.10"
    assert [machine.public_address for machine in case.provider().observe()] == ["198.51.100.10"]
    case.provider().destroy(hub.name)
    assert case.emulator.network.reserved == {}


@pytest.mark.parametrize("path", ["/v2/reserved_ips", "/v2/reserved_ips/.*/actions"])
@pytest.mark.parametrize("after", [False, True])
def test_an_unclear_answer_about_a_reserved_ip_reserves_no_second_one(case: Case, path: str, after: bool) -> None:
    hub = make_hub(reserved_ip=True)
    if path.endswith("actions"):
        case.provider().create(hub, TOKEN)
        case.provider().destroy(hub.name, keep_address=True)
    case.emulator.faults = [Fault("POST", path, html_error(504), after=after)]
    if not after:
        assert refused(case, hub).code is Code.TIMEOUT
    case.provider().create(hub, TOKEN)
    assert list(case.emulator.network.reserved) == ["198.51.100.10"]
    assert case.provider().observe()[0].public_address == "198.51.100.10"


def test_a_hub_that_shall_have_no_reserved_ip_any_more_gives_it_back(case: Case) -> None:
    case.provider().create(make_hub(reserved_ip=True), TOKEN)
    case.provider().destroy(make_hub().name, keep_address=True)
    machine = case.provider().create(make_hub(), TOKEN)
    assert machine.public_address == case.emulator.droplets.every[3_164_445].address
    assert case.emulator.network.reserved == {}


def test_a_hub_that_was_switched_off_is_switched_on(case: Case) -> None:
    case.provider().create(make_hub(), TOKEN)
    (droplet,) = case.emulator.droplets.every.values()
    droplet.off = True
    assert [machine.state for machine in case.provider().observe()] == [MachineState.STOPPED]
    case.provider().start(make_hub().name)
    assert [machine.state for machine in case.provider().observe()] == [MachineState.RUNNING]


def test_the_price_is_that_of_the_first_size_that_can_be_had(case: Case) -> None:
    assert case.provider().price(make_hub()) == Price("s-1vcpu-1gb", Decimal("0.00893"), Decimal("6.0"))
    case.switches.unlisted = {("fra1", "s-1vcpu-1gb"), ("ams3", "s-1vcpu-1gb")}
    assert case.provider().price(make_hub()) == Price("s-1vcpu-2gb", Decimal("0.01786"), Decimal("12.0"))
