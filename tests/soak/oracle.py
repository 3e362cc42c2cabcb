"""The oracle: compares what a status says with what is true. Written from docs/howto/read-a-status.md and docs/reference, not from the code.

Every comparison yields for how long the truth has contradicted the field at that instant. A status may lag by the promised five seconds; longer is a lie.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.soak.truth import World

LIMIT_S = 5.0
"""The promise: within five seconds of each change."""
SLACK_S = 1.0
"""Two cores run six agents, the traffic, and the readers: a status may be late by so much more."""
CLEAN_S = 75.0
"""Loss is judged by the last minute, so a line that mends stays degraded that long."""
CALM_S = 35.0
"""An issue goes away when its cause is gone; what is retried with growing waits finds that out later."""
ECHO_S = 2.0
"""By how much the newest echo may be younger than the newest answer of our own traffic."""
CLOCK_S = 2.5
"""How old a node's status may be when it arrives."""
EXITS = {"connected": 0, "degraded": 3, "starting": 75, "disconnected": 1}
ALIVE = ("connected", "degraded")
FLAT = 1e6
"""For how long a field is wrong that may not be wrong at any time."""


@dataclass(frozen=True)
class Finding:
    """One comparison. `wrong_s`: for how long the truth has contradicted it; 0: it is right."""

    rule: str
    subject: str
    at: float
    wrong_s: float
    told: str

    @property
    def is_lie(self) -> bool:
        return self.wrong_s > LIMIT_S + SLACK_S


@dataclass
class Verdict:
    """What came of all comparisons."""

    compared: Counter[str] = field(default_factory=Counter)
    worst_s: dict[str, Finding] = field(default_factory=dict)
    lies: list[Finding] = field(default_factory=list)

    def add(self, findings: Iterator[Finding]) -> None:
        for finding in findings:
            self.compared[finding.rule] += 1
            if finding.is_lie:
                self.lies.append(finding)
            elif finding.wrong_s > self.worst_s.get(finding.rule, Finding("", "", 0, 0, "")).wrong_s:
                self.worst_s[finding.rule] = finding

    @property
    def episodes(self) -> list[list[Finding]]:
        """Lies of one rule about one subject that follow each other within ten seconds are one."""
        found: list[list[Finding]] = []
        for lie in sorted(self.lies, key=lambda lie: (lie.rule, lie.subject, lie.at)):
            newest = found[-1][-1] if found else None
            if newest and (newest.rule, newest.subject) == (lie.rule, lie.subject) and lie.at - newest.at < 10:
                found[-1].append(lie)
            else:
                found.append([lie])
        return sorted(found, key=lambda episode: episode[0].at)


def judge_state(state: str, *, alive_s: float, dead_s: float, clean_s: float = 0.0) -> float:
    """For how long a state has been wrong about something that echoes do (`alive_s`) or do not (`dead_s`) reach."""
    match state:
        case "connected":
            return dead_s
        case "degraded":
            return max(dead_s, min(alive_s, clean_s) - CLEAN_S)
        case "disconnected":
            return alive_s
        case "starting":
            return max(alive_s, dead_s)
        case _:
            return FLAT


def judge_node(world: World, node: str, at: float, status: Mapping[str, Any] | None, error: str) -> Iterator[Finding]:
    """Compare one answer of a node's own status server, which came at `at`; `status` None: none came."""
    own_s = world.up_s(node, at)
    if status is None:
        yield Finding("the status server answers", node, at, own_s, error)
        return
    yield Finding("the status server answers", node, at, world.down_s(node, at), "an answer of a dead agent")
    for entry in [*status["hubs"], *status["peers"]]:
        yield from judge_entry(world, node, entry, at, own_s)
    names = {entry["name"] for entry in [*status["hubs"], *status["peers"]]}
    wanted = {*world.hubs, *world.nodes} - {node}
    yield Finding("hubs and peers are all there", node, at, own_s if names != wanted else 0.0, str(sorted(names)))
    told = f"{status['state']}: {status['reason']}"
    yield Finding("node state", node, at, min(own_s, _judge_node_state(world, node, status["state"], at)), told)
    yield from judge_reason(world, node, status, at, own_s)
    facts = {
        "node": (status["node"], node),
        "overlay_ip": (status["overlay_ip"], world.nodes[node]),
        "settings_version": (status["settings_version"], world.settings_version),
    }
    for rule, (found, right) in facts.items():
        yield Finding(rule, node, at, own_s if found != right else 0.0, f"{found!r} instead of {right!r}")
    count = 0 if status["wg"] is None else status["wg"]["peer_count"]
    yield Finding("wg.peer_count", node, at, min(own_s, world.calm_s(at)) if count != len(wanted) else 0.0, str(count))
    yield from judge_issues(world, node, status["issues"], at, own_s)
    late_s = at - status["time"]
    yield Finding(
        "time", node, at, FLAT if not -0.1 <= late_s <= CLOCK_S and own_s > LIMIT_S else 0.0, f"{late_s:.1f} s old"
    )


def judge_entry(
    world: World, node: str, entry: Mapping[str, Any], at: float, own_s: float, teller: str = ""
) -> Iterator[Finding]:
    """Compare what a node says of a hub or peer. `own_s`: for how long its agent has been running; `teller`: who passes it on."""
    other = entry["name"]
    subject, look = f"{teller}{node} about {other}", world.look(node, other, at)
    alive_s, dead_s = world.alive_s(node, other, at), world.dead_s(node, other, at)
    told = f"{entry['state']}: {entry['reason']} (last echo {entry['last_echo_age_s']} s ago)"
    wrong_s = judge_state(entry["state"], alive_s=alive_s, dead_s=dead_s, clean_s=look.clean_s)
    yield Finding("state of a hub or peer", subject, at, min(own_s, wrong_s), told)
    silent_s = world.silent_s(node, other, at)
    yield judge_age(subject, at, entry["last_echo_age_s"], min(alive_s, own_s), silent_s)
    rtt_ms = entry["rtt_ms"]
    is_odd = rtt_ms is None if entry["state"] == "connected" else rtt_ms is not None and not 0 < rtt_ms <= 2000
    yield Finding("rtt_ms", subject, at, FLAT if is_odd else 0.0, str(rtt_ms))
    loss_pct = entry["loss_1m_pct"]
    is_overstated = loss_pct is not None and loss_pct > 20 and look.clean_s > CLEAN_S and alive_s > CLEAN_S
    yield Finding("loss_1m_pct", subject, at, FLAT if is_overstated else 0.0, str(loss_pct))
    path_s = _judge_path(world, (teller, node, other, entry["path"]), at)
    yield Finding("path", subject, at, min(own_s, path_s), entry["path"])
    yield Finding("since", subject, at, FLAT if entry["since"] > at + 0.1 else 0.0, str(entry["since"]))


def _judge_path(world: World, told: tuple[str, str, str, str], at: float) -> float:
    """A hub is reached directly; a peer by the hub at whose endpoint WireGuard itself has it. `told`: by whom, of which pair, and the path.

    WireGuard is looked at twice a second, and may have tried a path in between: it is wrong from when it was told first without having been seen.
    While the other end's agent does not run, its WireGuard may go on sending by a hub that this end has left for want of echoes, and take the endpoint
    back with every packet (docs/high-availability.md, limits): of that time nothing is asked.
    """
    _, node, other, path = told
    if other in world.hubs:
        return 0.0 if path == "direct" else FLAT
    hub = path.removeprefix("via ")
    if hub not in world.hubs:
        return FLAT
    wrong_s = world.paths[node, other].wrong_s(at, hub)
    if not wrong_s or world.told_at.get(told, -FLAT) < at - wrong_s:
        world.told_at[told] = at
    return min(wrong_s, at - world.told_at[told], world.up_s(other, at))


def judge_age(subject: str, at: float, age_s: float | None, alive_s: float, silent_s: float) -> Finding:
    """An echo must be fresh where traffic flows, and cannot be where none does."""
    if silent_s > ECHO_S and age_s is not None and age_s < silent_s - ECHO_S:
        return Finding("last_echo_age_s", subject, at, FLAT, f"{age_s} s, but nothing passed for {silent_s:.1f} s")
    wrong_s = min(alive_s, alive_s if age_s is None else age_s)
    return Finding("last_echo_age_s", subject, at, wrong_s, f"{age_s} s, though traffic flowed for {alive_s:.1f} s")


def judge_reason(
    world: World, node: str, status: Mapping[str, Any], at: float, own_s: float, told_dead: Collection[str] = ()
) -> Iterator[Finding]:
    """A reason may name only machines that it is true of. `told_dead`: hubs that are told as dead themselves."""
    others = {*world.hubs, *world.nodes} - {node}
    working, _, named = status["reason"].partition("echoes come back from ")
    words = status["reason"].replace(",", " ").replace(":", " ").replace(";", " ").split()
    for other in sorted(others & set(words)):
        alive_s, clean_s = world.alive_s(node, other, at), world.look(node, other, at).clean_s
        match status["state"]:
            case "connected" if other in told_dead and other in working:
                wrong_s = world.alive_s(node, other, at)
            case "connected":
                wrong_s = world.dead_s(node, other, at)
            case "degraded" if other in named.replace(",", " ").split() and other not in working:
                wrong_s = world.dead_s(node, other, at)
            case "degraded" if "although" not in words:
                wrong_s = min(alive_s, clean_s) - CLEAN_S
            case _:
                wrong_s = alive_s
        told = f"{status['state']}: {status['reason']}"
        yield Finding("reason names the right machine", f"{node} about {other}", at, min(own_s, wrong_s), told)


def judge_issues(
    world: World, machine: str, issues: Sequence[Mapping[str, Any]], at: float, own_s: float
) -> Iterator[Finding]:
    """Where nothing has been wrong for a while, no issue may be left; and each names its code and begins in the past."""
    wrong_s = min(own_s, world.calm_s(at)) - CALM_S if issues else 0.0
    yield Finding("issues", machine, at, wrong_s, "; ".join(f"{issue['code']}: {issue['text']}" for issue in issues))
    is_odd = any(not issue["code"] or not issue["text"] or issue["since"] > at + 0.1 for issue in issues)
    yield Finding("issue fields", machine, at, FLAT if is_odd else 0.0, str(issues))


def judge_operator(
    world: World, at: float, ended: float, status: int, overview: Mapping[str, Any]
) -> Iterator[Finding]:
    """Compare one `spokewire status --json`, begun at `at`: what was true at its begin or at its end is right."""
    for first, second in zip(
        _judge_overview(world, at, status, overview), _judge_overview(world, ended, status, overview), strict=True
    ):
        yield first if first.wrong_s <= second.wrong_s else second


def _judge_overview(world: World, at: float, status: int, overview: Mapping[str, Any]) -> Iterator[Finding]:
    who = "the operator"
    yield Finding("exit status", who, at, 0.0 if EXITS[overview["state"]] == status else FLAT, f"{status}")
    yield Finding("missing", who, at, FLAT if overview["missing"] else 0.0, str(overview["missing"]))
    names = {entry["name"] for entry in [*overview["hubs"], *overview["nodes"]]}
    yield Finding("all machines are there", who, at, 0.0 if names == {*world.hubs, *world.nodes} else FLAT, str(names))
    for hub in overview["hubs"]:
        up_s, down_s = world.up_s(hub["name"], at), world.down_s(hub["name"], at)
        wrong_s = judge_state(hub["state"], alive_s=up_s, dead_s=down_s, clean_s=0.0)
        yield Finding("hub state", f"{who} about {hub['name']}", at, wrong_s, f"{hub['state']}: {hub['reason']}")
        yield from judge_issues(world, hub["name"], hub["issues"], at, up_s)
    told_dead = {hub["name"] for hub in overview["hubs"] if hub["state"] != "connected"}
    for node in overview["nodes"]:
        yield from _judge_listed(world, node, at, told_dead)
    told = f"{overview['state']}: {overview['reason']}"
    yield Finding("network state", who, at, _judge_network_state(world, overview["state"], at), told)
    wrong = {entry["name"] for entry in [*overview["hubs"], *overview["nodes"]] if entry["state"] != "connected"}
    named = overview["reason"].partition("not connected: ")[2].partition(";")[0]
    is_odd = {name for name in named.split(", ") if name} != wrong
    yield Finding("reason names the right machines", who, at, FLAT if is_odd else 0.0, told)


def _judge_listed(world: World, node: Mapping[str, Any], at: float, told_dead: Collection[str]) -> Iterator[Finding]:
    """A hub that is told as dead is a fault of its own: a node that another one carries is well (docs/howto/read-a-status.md)."""
    name, subject = node["name"], f"the operator about {node['name']}"
    up_s, down_s = world.up_s(name, at), world.down_s(name, at)
    told = f"{node['state']}: {node['reason']}"
    wrong_s = _judge_node_state(world, name, node["state"], at, told_dead)
    if node["state"] == "degraded" and "does not reach" in node["reason"]:
        wrong_s = down_s
    wrong_s = max(wrong_s, down_s if node["state"] in ALIVE else 0.0) if down_s else min(wrong_s, up_s)
    yield Finding("node state as the operator sees it", subject, at, wrong_s, told)
    yield from judge_reason(world, name, node, at, up_s, told_dead)
    why = world.why_down(name, at) if down_s else ""
    yield Finding("reason names the fault", subject, at, down_s if why and why not in told else 0.0, f"{told} ({why})")
    alive_s, silent_s = min(world.hub_alive_s(name, at), up_s), min(world.silent_s(name, h, at) for h in world.hubs)
    yield judge_age(subject, at, node["last_echo_age_s"], alive_s, silent_s)
    ip = node["overlay_ip"]
    yield Finding("overlay_ip", subject, at, 0.0 if ip == world.nodes[name] else FLAT, str(ip))
    version = node["settings_version"]
    is_odd = version not in (world.settings_version, None)
    yield Finding(
        "settings_version", subject, at, FLAT if is_odd else up_s if version is None and alive_s else 0.0, str(version)
    )
    for entry in node["peers"]:
        yield from judge_entry(world, name, entry, at, down_s or up_s, "the operator: ")
    yield from judge_issues(world, name, node["issues"], at, up_s)


def _judge_node_state(
    world: World, node: str, state: str, at: float, told_dead: Collection[str] = frozenset()
) -> float:
    """Connected: echoes come back from every hub but those that are told as dead, and from one. Degraded: it works, but something is wrong. Disconnected: nothing gets through."""
    others = [*world.hubs, *(name for name in world.nodes if name != node)]
    dead_s = {hub: world.dead_s(node, hub, at) for hub in world.hubs}
    hub_dead_s = max([min(dead_s.values()), *(dead_s[hub] for hub in world.hubs if hub not in told_dead)])
    hub_alive_s = world.hub_alive_s(node, at)
    match state:
        case "connected":
            return hub_dead_s
        case "degraded":
            return min(world.dead_s(node, other, at) for other in others)
        case "disconnected":
            return max(world.alive_s(node, other, at) for other in others)
        case _:
            return max(hub_dead_s, hub_alive_s)


def _judge_network_state(world: World, state: str, at: float) -> float:
    pairs = [(node, other) for node in world.nodes for other in (*world.hubs, *world.nodes) if other != node]
    if state == "connected":
        return max(world.dead_s(*pair, at) for pair in pairs)
    if state == "degraded":
        clean_s = min(world.look(*pair, at).clean_s for pair in pairs)
        return min(clean_s, *(world.alive_s(*pair, at) for pair in pairs)) - CLEAN_S
    return max(world.alive_s(*pair, at) for pair in pairs)
