"""What is wrong with hubs, and with the operator's own view of them. Pure."""

from collections.abc import Iterator

from spokewire.network.evidence import Answer
from spokewire.network.findings import (
    ALIVE,
    API_CODES,
    Examination,
    Finding,
    Kind,
    Severity,
    list_tried,
    make_finding,
    name_some,
)
from spokewire.network.names import MachineName
from spokewire.network.overview import HubOverview
from spokewire.network.redundancy import VIA
from spokewire.network.spec import ProviderName
from spokewire.network.status import State

CLOCK_DIFFERS_S = 10.0
"""Requests are refused beyond a minute; far below it histories contradict each other already."""


def find_hubs(seen: Examination) -> Iterator[Finding]:
    """Everything that is wrong with hubs themselves."""
    for hub in seen.overview.hubs:
        kind = _classify(seen, hub)
        if kind is not None:
            yield _describe(seen, hub, kind)
    for item in seen.overview.missing:
        if item.name in seen.hub_names and _is_host(seen, item.name):
            unseen = HubOverview(name=item.name, address=None, overlay_ip=None, state=State.DISCONNECTED, reason="")
            yield _describe(seen, unseen, _classify(seen, unseen) or Kind.HUB_AWAY)
        elif item.name in seen.hub_names:
            what = f"The hub {item.name} does not exist."
            evidence = _tell_provider(seen, item.name)
            missing = make_finding(
                Kind.HUB_MISSING, [item.name], what, "Run spokewire deploy: it makes the hub.", evidence=evidence
            )
            yield _weigh(seen, missing)
    yield from _find_differing(seen)


def _find_differing(seen: Examination) -> Iterator[Finding]:
    """Hubs that do not show what other hubs do: they were not told, or they withhold it."""
    for name, machines in seen.lacking.items():
        others = [hub for hub, evidence in seen.hubs.items() if hub != name and evidence.status is not None]
        yield make_finding(
            Kind.HUB_DIFFERS,
            [name],
            f"{name} shows another roster than {name_some(others)}: the newest record of {name_some(list(machines))} is not in it.",
            f"Run spokewire deploy: it hands every document to every hub. If that changes nothing, {name} withholds them: make it anew.",
            evidence=[f"{machine}: another hub has a record that {name} does not show." for machine in machines],
        )


def _weigh(seen: Examination, finding: Finding) -> Finding:
    """While another hub works, traffic flows without this one: it is one path less."""
    alone = all(seen.is_alone(name) for name in finding.machines)
    return finding if alone else finding.model_copy(update={"severity": Severity.WARNING})


def _is_host(seen: Examination, name: str) -> bool:
    """Whether it is a host of the operator's own: no provider can say that it exists."""
    return any(hub.name == name and hub.provider is ProviderName.HOST for hub in seen.spec.hubs)


def find_operator(seen: Examination) -> Iterator[Finding]:
    """What is wrong with the computer that this runs on."""
    asked = [hub for hub in seen.hubs.values() if hub.status is None and hub.machine_state != "stopped" and hub.address]
    answers = [node.answer for node in seen.nodes.values() if node.answer is not Answer.UNKNOWN]
    nobody_answers = set(answers) <= {Answer.TIMEOUT} and not any(hub.status for hub in seen.hubs.values())
    if nobody_answers and asked and answers:
        yield make_finding(
            Kind.OPERATOR_OFFLINE,
            [],
            "This computer reaches neither a hub nor a node, so its own connection is what to suspect first.",
            "Look whether this computer is online and may use TCP 443 and TCP 8000, then run this again.",
            evidence=[f"No answer from {name_some([*seen.hubs, *seen.nodes])}."],
        )
    offset_s = find_common_offset(seen)
    if abs(offset_s) > CLOCK_DIFFERS_S:
        side = "behind" if offset_s > 0 else "ahead of"
        agreeing = [name for name, ahead_s in seen.clocks_ahead_s.items() if abs(ahead_s - offset_s) <= CLOCK_DIFFERS_S]
        yield make_finding(
            Kind.OPERATOR_CLOCK,
            [],
            f"The clock of this computer is {abs(offset_s):.0f} s {side} the machines'.",
            "Set this computer's clock (timedatectl set-ntp true).",
            evidence=[f"The same time on {name_some(list(agreeing))}."],
        )


def find_common_offset(seen: Examination) -> float:
    """By how much the clocks of most are ahead of the operator's, in seconds; of two clocks nobody can say which is wrong."""
    offsets = sorted([0.0, *seen.clocks_ahead_s.values()])
    return offsets[len(offsets) // 2] if len(offsets) > 2 else 0.0  # noqa: PLR2004


def _classify(seen: Examination, hub: HubOverview) -> Kind | None:
    evidence = seen.hubs[MachineName(hub.name)]
    if evidence.status is not None:
        if hub.state is State.DEGRADED and not any(hub.reason.startswith(issue.text) for issue in hub.issues):
            # It misses its nodes' echoes; why is told of the nodes.
            return None
        known = {State.CONNECTED: None, State.STARTING: Kind.HUB_STARTING}
        return known.get(hub.state, Kind.HUB_NOT_RELAYING)
    if evidence.machine_state == "stopped":
        return Kind.HUB_OFF
    if _list_by_echo(seen, hub.name, alive=True):
        told = list(seen.told)
        return Kind.HUB_API_AWAY if told and _list_without_api(seen, hub.name) == told else Kind.HUB_UNSEEN
    relays = any(
        peer.state in ALIVE and (len(seen.hub_names) == 1 or peer.path == f"{VIA}{hub.name}")
        for node in seen.overview.nodes
        for peer in node.peers
    )
    return Kind.HUB_DAEMON_DEAD if relays else Kind.HUB_AWAY


def _describe(seen: Examination, hub: HubOverview, kind: Kind) -> Finding:
    name = hub.name
    log = f"spokewire lab logs {name}" if seen.is_lab(name) else f"journalctl -u spokewire-hub on {name}"
    kill = f"spokewire lab restart {name}" if seen.is_lab(name) else "systemctl kill --signal=KILL spokewire-hub"
    what, todo = {
        Kind.HUB_OFF: (f"The hub {name} is switched off.", "Run spokewire deploy: it starts what is switched off."),
        Kind.HUB_AWAY: (
            f"The hub {name} is away: nothing comes from it.",
            f"Look whether the machine runs and whether its UDP 51820 and TCP 443 are open; its log: {log}.",
        ),
        Kind.HUB_NOT_RELAYING: (
            f"The daemon of {name} runs, but cannot keep its tunnel: {hub.reason}",
            next((issue.hint for issue in hub.issues if issue.hint), "") or f"Read its log: {log}.",
        ),
        Kind.HUB_DAEMON_DEAD: (
            f"The daemon of {name} is dead, while its kernel relays on.",
            f"Read its last words ({log}), then start it: it takes over the tunnel as it is.",
        ),
        Kind.HUB_API_AWAY: (
            f"The API of {name} answers nobody, while its daemon answers echoes.",
            f"Let TCP 443 of {name} through its firewalls; if it is open, keep its log ({log}) and end its daemon hard ({kill}): a stop would take the tunnel down.",
        ),
        Kind.HUB_UNSEEN: (
            f"The API of {name} does not answer this computer, while nodes have no trouble with it.",
            f"Let this computer through to TCP 443 of {name}. Nodes notice within some ten seconds: run this again before.",
        ),
        Kind.HUB_STARTING: (f"The hub {name} is starting: {hub.reason}", "Wait for it, or run spokewire deploy."),
    }[kind]
    since = _find_since(seen, name) if hub.since is None else seen.at_home(name, hub.since)
    evidence = [*_tell_provider(seen, name), *_tell_echoes(seen, name), *_tell_api(seen, name)]
    if kind is Kind.HUB_AWAY and _is_host(seen, name):
        todo += f" If it has never run, start it there with its token (spokewire node token {name})."
    code = next((issue.code for issue in hub.issues if hub.reason.startswith(issue.text)), "")
    tried = list_tried(seen, {name})
    finding = make_finding(kind, [name], what, todo, code=code, since=since, evidence=evidence, tried=tried)
    return _weigh(seen, finding)


def _find_since(seen: Examination, hub: str) -> float | None:
    """When nodes began to miss what the hub's daemon does."""
    lost = [
        seen.at_home(name, issue.since)
        for name, words in seen.told.items()
        for issue in words.issues
        if issue.code in API_CODES and seen.is_about(issue.text, hub)
    ]
    first = seen.first_loss_of(hub)
    return min([*lost, *([] if first is None else [first])], default=None)


def _tell_provider(seen: Examination, name: str) -> list[str]:
    evidence = seen.hubs.get(MachineName(name))
    state = None if evidence is None else evidence.machine_state
    error = [] if evidence is None or evidence.status is not None or not evidence.error else [evidence.error]
    return [*([] if state is None else [f"By its provider the machine is {state}."]), *error]


def _tell_echoes(seen: Examination, hub: str) -> list[str]:
    well, ill = _list_by_echo(seen, hub, alive=True), _list_by_echo(seen, hub, alive=False)
    among = sorted({node.name for node in seen.overview.nodes if any(peer.state in ALIVE for peer in node.peers)})
    lines = [f"Its echoes come back to {name_some(well)}."] if well else []
    lines += [f"No echo of it comes back to {name_some(ill)}."] if ill else []
    lines += [f"Traffic between nodes flows all the same, as seen by {name_some(among)}."] if ill and among else []
    return lines if well or ill else ["No node could be asked."] if seen.overview.nodes else []


def _tell_api(seen: Examination, hub: str) -> list[str]:
    if seen.hubs[MachineName(hub)].status is not None:
        return []
    without = _list_without_api(seen, hub)
    within = [name for name in seen.told if name not in without]
    lines = [f"No way to its API either for {name_some(without)}."] if without else []
    return lines + ([f"{name_some(within)}: no complaint about its API."] if within else [])


def _list_by_echo(seen: Examination, hub: str, *, alive: bool) -> list[str]:
    return [name for name, view in seen.views_of.get(hub, []) if (view.state in ALIVE) is alive]


def _list_without_api(seen: Examination, hub: str) -> list[str]:
    return [name for name, words in seen.told.items() if seen.lacks_api(words, hub)]
