"""What is altered by hand, or dies, on a node or a hub is as before within seconds; and an agent that was killed is missed by nobody."""

import time
from collections.abc import Callable

import pytest

from tests.lab import breakage
from tests.lab.conftest import MakeNetwork
from tests.lab.promises.promise import FIRST_ANSWER_S, ROUNDS, Promise, Record, keep, keep_word
from tests.lab.promises.pulse import HUB, STEADY_S, Pulse, answer
from tests.lab.world import DAEMON, Network, nodes, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.promise]

STRUCK, STILL = "node-1", "node-2"
ADDRESS = {STRUCK: "10.88.0.11", STILL: "10.88.0.12", HUB: "10.88.0.1"}
ALTERED_S = 2.0
DEVICE_S = 3.0
WATCH_S = 1.2
HUB_WATCH_S = 2.5
"""Longer than a daemon takes from one look at its tunnel to the next: what a hub does then may be felt by all."""
AWAY_S = 10.0
"""Longer than the others take to notice, and to try to mend it a second and a third time."""
START_S = 90
"""Waited for, not promised: half a second on an idle machine, twenty on one that has ten times more to do than it can."""

Break = Callable[[Network, str], None]


@pytest.fixture(scope="module")
def network(make_module_network: MakeNetwork) -> Network:
    made = make_module_network(nodes(count=3))
    made.deploy()
    answer(made, STRUCK, STILL)
    return made


@pytest.fixture(scope="module")
def pulses(network: Network) -> tuple[Pulse, Pulse]:
    """Traffic in both directions between two nodes, and from both to the hub."""
    there = Pulse(network, STRUCK, {name: ADDRESS[name] for name in (STILL, HUB)})
    back = Pulse(network, STILL, {name: ADDRESS[name] for name in (STRUCK, HUB)})
    for pulse in (there, back):
        pulse.wait_for_flow()
    return there, back


def strike(pulses: tuple[Pulse, Pulse], deed: Callable[[], None], watch_s: float = WATCH_S) -> float:
    """Break something, and return how long it took until all traffic flowed for good."""
    for pulse in pulses:
        pulse.wait_for_flow()
    since = time.time()
    deed()
    figures = [pulse.measure(name, since, watch_s) for pulse, name in zip(pulses, (STILL, STRUCK), strict=True)]
    figures += [pulse.measure(HUB, since, watch_s) for pulse in pulses]
    print(f"measured: {[round(figure, 2) for figure in figures]}, late {max(p.late(since) for p in pulses):.2f} s")
    return max(figures)


def remove_peer_of(peer: str) -> Break:
    return lambda network, machine: breakage.remove_peer(network, machine, network.public_key(peer))


@pytest.mark.parametrize("machine", [STRUCK, HUB])
@pytest.mark.parametrize(
    ("what", "limit_s", "deed"),
    [
        ("the interface is deleted (ip link del)", ALTERED_S, breakage.delete_interface),
        ("the interface loses its address", ALTERED_S, breakage.remove_address),
        ("a peer is removed by hand", ALTERED_S, None),
        ("all nft rules are flushed", ALTERED_S, breakage.flush_rules),
        ("wireguard-go is killed", DEVICE_S, breakage.kill_device),
    ],
    ids=["interface deleted", "address removed", "peer removed", "rules flushed", "wireguard-go killed"],
)
def test_traffic_flows_again_after(
    network: Network,
    pulses: tuple[Pulse, Pulse],
    record_property: Record,
    *,
    machine: str,
    what: str,
    limit_s: float,
    deed: Break | None,
) -> None:
    if deed is None:
        deed = remove_peer_of(STILL if machine == STRUCK else STRUCK)
    made = deed
    watch_s = HUB_WATCH_S if machine == HUB else WATCH_S
    figures = [strike(pulses, lambda: made(network, machine), watch_s) for _ in range(ROUNDS)]
    keep(record_property, Promise(f"{'hub' if machine == HUB else 'node'}: {what}", limit_s), figures)


@pytest.mark.parametrize("machine", [STRUCK, HUB])
@pytest.mark.parametrize("deed", [breakage.delete_table, breakage.flush_rules], ids=["table deleted", "rules flushed"])
def test_the_firewall_is_as_before_after(network: Network, record_property: Record, machine: str, deed: Break) -> None:
    before, figures = breakage.rules(network, machine), []
    assert "chain" in before
    for _ in range(ROUNDS):
        since = time.time()
        deed(network, machine)
        wait_until(lambda: breakage.rules(network, machine) == before, 20, "the rules are as before")
        figures.append(time.time() - since)
    what = "our nft table is deleted" if deed is breakage.delete_table else "all nft rules are flushed"
    who = "hub" if machine == HUB else "node"
    keep(record_property, Promise(f"{who}: {what}: until it stands again", ALTERED_S), figures)


def test_an_agent_that_is_killed_and_started_again_is_not_missed(
    network: Network, pulses: tuple[Pulse, Pulse], record_property: Record
) -> None:
    """The longest time between two answers: nothing is interrupted, but a daemon that starts takes a core from those who answer."""

    def kill_and_start() -> None:
        breakage.kill_daemon(network, STRUCK)
        breakage.start_daemon(network, STRUCK)

    figures = []
    for _ in range(ROUNDS):
        since = time.time()
        strike(pulses, kill_and_start, watch_s=4.0)
        figures.append(max(p.longest_gap_s(name, since) for p in pulses for name in p.targets))
    keep(record_property, Promise("agent killed (kill -9) and restarted, wireguard-go lives on", 2.0), figures)


def test_no_packet_is_lost_while_an_agent_is_away_for_long(
    network: Network, pulses: tuple[Pulse, Pulse], record_property: Record
) -> None:
    """Its WireGuard lives on, be it in the kernel or not: who mends what works breaks it."""
    found = []
    for _ in range(ROUNDS):
        for pulse in pulses:
            pulse.wait_for_flow()
        since, counts, states = time.time(), [received(network, STILL, STRUCK)], set[str]()
        breakage.kill_daemon(network, STRUCK)
        while time.time() < since + AWAY_S:
            time.sleep(0.5)
            counts.append(received(network, STILL, STRUCK))
            states.add(asked(network, STILL, STRUCK))
        start(network, STRUCK)
        time.sleep(STEADY_S)
        found += [pulse.lost_since(name, since) for pulse, name in zip(pulses, (STILL, STRUCK), strict=True)]
        assert counts == sorted(counts), "the session was kept: a peer that is added again begins at 0"
        assert "disconnected" in states, "health is echoes, whatever else arrives"
    sent, lost = (sum(figures) for figures in zip(*found, strict=True))
    assert sent > AWAY_S * 20, "traffic ran"
    measured = f"{lost} of {sent} questions lost"
    keep_word(record_property, f"agent killed (kill -9) for {AWAY_S:g} s", "no packet lost", measured, is_kept=not lost)


def test_an_agent_that_is_killed_with_its_wireguard_go_and_started_again(
    network: Network, pulses: tuple[Pulse, Pulse], record_property: Record
) -> None:
    """Counted from the first answer of its status server: before that it is Python that starts."""
    figures, starts = [], []
    for _ in range(ROUNDS):
        for pulse in pulses:
            pulse.wait_for_flow()
        breakage.kill_all_of_ours(network, STRUCK)
        starts.append(breakage.time_start(network, STRUCK))
        back_at = time.time()
        figures.append(max(p.measure(name, back_at, WATCH_S) for p, name in zip(pulses, (STILL, STRUCK), strict=True)))
    promise = Promise("agent and wireguard-go killed together (a container) and restarted", 2.0)
    keep(record_property, promise, figures)
    keep(
        record_property, Promise("status server's first answer, agent started without a tunnel", FIRST_ANSWER_S), starts
    )


def test_nothing_is_left_of_an_agent_that_was_killed_restarted_and_then_stopped(
    network: Network, record_property: Record
) -> None:
    """Once with its wireguard-go left alone, once with it gone too; a stop must find and undo what the killed one made."""
    machine = "node-3"
    for kill in (breakage.kill_daemon, breakage.kill_all_of_ours):
        made = traces(network, machine)
        assert len(made) >= 5, "the look finds what a running agent makes"
        kill(network, machine)
        start(network, machine)
        network.signal_daemon(machine, "TERM")
        wait_until(lambda: network.exec(machine, "pgrep", "-f", "-x", DAEMON, expect=None).status == 1, 20, "it ends")
        left = traces(network, machine)
        how = "alone" if kill is breakage.kill_daemon else "with its wireguard-go"
        measured = f"{len(made)} traces while it runs, {len(left)} after it has ended"
        fault = f"agent killed {how}, restarted, then stopped"
        keep_word(record_property, fault, "nothing left behind", measured, is_kept=not left)
        start(network, machine)


def start(network: Network, machine: str) -> None:
    """Start the agent, and wait until it says that it is connected."""
    breakage.start_daemon(network, machine)
    wait_until(lambda: asked(network, machine) == "connected", START_S, f"{machine} is connected")


def asked(network: Network, machine: str, peer: str = "") -> str:
    """The state that a node's status server tells, of itself or of a peer; "" while it does not answer."""
    told = network.exec(machine, "curl", "-s", "-m", "2", "http://127.0.0.1:8000/status", expect=None)
    if told.status != 0:
        return ""
    return next((str(p["state"]) for p in told.data["peers"] if p["name"] == peer), str(told.data["state"]))


def received(network: Network, machine: str, peer: str) -> int:
    """The bytes that a machine's WireGuard has counted of a peer since it was added."""
    listed = network.exec(machine, "wg", "show", breakage.INTERFACE, "transfer").out.splitlines()
    words = next(words for line in listed if (words := line.split())[0] == network.public_key(peer))
    return int(words[1])


def traces(network: Network, machine: str) -> list[str]:
    """What of ours is on a machine beside its state folder."""
    links = network.exec(machine, "ip", "-o", "link").out.splitlines()
    found = [line for line in links if breakage.INTERFACE in line]
    found += [line for line in network.exec(machine, "nft", "list", "tables").out.splitlines() if "spokewire" in line]
    found += network.exec(machine, "pgrep", "-f", "-x", f"{DAEMON}|{breakage.DEVICE}", expect=None).out.split()
    found += network.exec(machine, "ls", "/run/wireguard", expect=None).out.split()
    return found
