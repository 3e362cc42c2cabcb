"""What is not as it should be though traffic flows: news that does not arrive, fixes in vain, clocks, disks, ends of validity, releases. Pure."""

from collections.abc import Iterator

from spokewire.errors import Code
from spokewire.network.findings import (
    ALIVE,
    TRIED_WITHIN_S,
    Examination,
    Finding,
    Kind,
    list_tried,
    make_finding,
    name_some,
)
from spokewire.network.hub_findings import CLOCK_DIFFERS_S, find_common_offset
from spokewire.network.issues import list_issues
from spokewire.network.names import MachineName
from spokewire.network.status import NodeStatus, Outcome
from spokewire.network.story import tell_span

LATE_S = 60.0
"""Twice what a loop, or the confirmation of a roster, may take."""
MANY_FIXES = 3
TRIED_LATELY_S = 300.0
REFUSED_PER_S = 1.0
"""Fewer are the Internet's scanners."""
SETTLED_S = 10.0
"""Newer settings may still be on their way."""
DISK_LOW_GB = 0.5
ENDS_SOON_S = 30 * 86400.0


def find_upkeep(seen: Examination) -> Iterator[Finding]:
    """Everything of this kind, in any order."""
    yield from _find_loops(seen)
    yield from _find_issues(seen)
    yield from _find_vain_fixes(seen)
    yield from _find_refusals(seen)
    yield from _find_stale_rosters(seen)
    yield from _find_old_settings(seen)
    yield from _find_low_disks(seen)
    yield from _find_clocks(seen)
    yield from _find_ends(seen)
    yield from _find_leftovers(seen)
    yield from _find_releases(seen)


def _find_loops(seen: Examination) -> Iterator[Finding]:
    for name, words in seen.told.items():
        late = {loop: age_s for loop, age_s in words.loops.items() if age_s > LATE_S}
        if late:
            log = f"spokewire lab logs {name}" if seen.is_lab(name) else f"journalctl -u spokewire-node on {name}"
            yield make_finding(
                Kind.LOOP_HUNG,
                [name],
                f"A loop of the agent of {name} hangs: {name_some(list(late))}.",
                f"Keep its log ({log}) and look at its disk (dmesg); after 300 s it starts again by itself.",
                code=Code.LOOP_HUNG,
                since=seen.now - max(late.values()),
                evidence=[f"{loop} has not turned for {tell_span(age_s)}." for loop, age_s in late.items()],
            )


def _find_issues(seen: Examination) -> Iterator[Finding]:
    for shared in list_issues(seen.overview):
        issue = shared.issue
        if issue.code == Code.MIXED_FAMILY:
            continue
        yield make_finding(
            Kind.ISSUE,
            shared.machines,
            f"{name_some(shared.machines)}: {issue.text}",
            issue.hint or "Look the code up in docs/reference/errors.md.",
            code=issue.code,
            since=seen.at_home(shared.machines[0], issue.since),
            evidence=[f"The issue {issue.code}, told by {name_some(shared.machines)}."],
            tried=[*issue.tried, *_list_fixes_of(seen, shared.machines, issue.code)],
        )


def _list_fixes_of(seen: Examination, machines: list[str], code: str) -> list[str]:
    return [
        f"{name}: {fix.text} ({fix.outcome}, {tell_span(words.time - fix.at)} ago)."
        for name, words in seen.told.items()
        for fix in words.fixes
        if name in machines and fix.code == code and words.time - fix.at <= TRIED_WITHIN_S
    ]


def _find_vain_fixes(seen: Examination) -> Iterator[Finding]:
    for name, words in seen.told.items():
        in_vain: dict[tuple[str, str], list[float]] = {}
        for fix in words.fixes:
            key = fix.code, fix.subject
            if fix.outcome is Outcome.CURED:
                in_vain.pop(key, None)
            elif words.time - fix.at <= TRIED_WITHIN_S:
                in_vain.setdefault(key, []).append(fix.at)
        for (code, subject), times in in_vain.items():
            if len(times) >= MANY_FIXES and _is_still_wrong(words, subject, times[-1]):
                about = "" if subject in ("", name) else f" of {subject}"
                yield make_finding(
                    Kind.FIXES_IN_VAIN,
                    [name, *([] if subject in ("", name) else [subject])],
                    f"{name} tries in vain to cure {code}{about}.",
                    "The cause is outside the agent: another program that manages interfaces or firewall rules there, or the line.",
                    since=seen.at_home(name, times[0]),
                    evidence=[f"{len(times)} attempts in the last {tell_span(words.time - times[0])} cured nothing."],
                    tried=list_tried(seen, {subject}, by={name}),
                )


def _is_still_wrong(words: NodeStatus, subject: str, newest: float) -> bool:
    """Whether what was tried in vain is still to be cured: another machine may have come back by itself, or left; of its own faults a node tries on."""
    if subject in ("", words.node):
        return words.time - newest <= TRIED_LATELY_S
    views = [*words.hubs, *words.peers]
    return any(view.name == subject and view.state not in ALIVE for view in views)


def _find_refusals(seen: Examination) -> Iterator[Finding]:
    for name, rates in seen.refused_per_s.items():
        many = {reason: rate for reason, rate in rates.items() if rate > REFUSED_PER_S}
        if many:
            yield make_finding(
                Kind.RELAY_REFUSES,
                [name],
                f"The relay of {name} refuses handshakes.",
                "If no pair is cut, nobody suffers: it is the relay's work. Else the page says what each reason means.",
                evidence=[f"{rate:.1f} a second: {reason}." for reason, rate in many.items()],
            )


def _find_stale_rosters(seen: Examination) -> Iterator[Finding]:
    ages = {name: words.time - words.started_at for name, words in seen.told.items() if words.roster_age_s is None}
    ages |= {name: words.roster_age_s for name, words in seen.told.items() if words.roster_age_s is not None}
    stale = {name: age_s for name, age_s in ages.items() if age_s > LATE_S}
    if stale:
        yield make_finding(
            Kind.ROSTER_STALE,
            list(stale),
            f"No hub confirms the roster of {name_some(list(stale))}: no news arrives there, no revocation either.",
            "Let TCP 443 of the hub through to there.",
            since=seen.now - max(stale.values()),
            evidence=[f"{name}: not for {tell_span(age_s)}." for name, age_s in stale.items()],
        )


def _find_old_settings(seen: Examination) -> Iterator[Finding]:
    """Versions are instants in milliseconds, unless the operator's clock was set back. A hub may claim any: one that is not yet does not count."""
    hubs = {hub.name: hub.settings_version for hub in seen.overview.hubs if hub.settings_version is not None}
    newest = max([seen.settings_version, *(v for v in hubs.values() if v <= seen.now * 1000)], default=0)
    if newest > (seen.now - SETTLED_S) * 1000:
        return
    old_hubs = [name for name, version in hubs.items() if version < newest]
    nodes = [name for name, words in seen.told.items() if words.settings_version < newest]
    if not old_hubs and not nodes:
        return
    todo = (
        "Run spokewire deploy: it hands the newest settings to every hub."
        if old_hubs
        else "The news does not arrive there, or cannot be put in force: cure the issue of the node, or read its log."
    )
    what = f"Older settings than the newest are in force on {name_some([*old_hubs, *nodes])}: a revocation or an access rule may be missing there."
    evidence = [f"{name} has {version}, the newest is {newest}." for name, version in hubs.items() if version < newest]
    evidence += [f"{name} has {seen.told[name].settings_version}, the newest is {newest}." for name in nodes]
    yield make_finding(Kind.SETTINGS_OLD, [*old_hubs, *nodes], what, todo, since=newest / 1000, evidence=evidence)


def _find_low_disks(seen: Examination) -> Iterator[Finding]:
    for name, words in seen.told.items():
        if words.disk_free_gb < DISK_LOW_GB:
            yield make_finding(
                Kind.DISK_LOW,
                [name],
                f"The disk of {name} is nearly full.",
                "Make room there: logs, old container images, package caches. Never remove the state folder: the key is in it.",
                code=Code.DISK,
                evidence=[f"{words.disk_free_gb * 1000:.0f} MB are free where it keeps its state."],
            )


def _find_clocks(seen: Examination) -> Iterator[Finding]:
    common_s = find_common_offset(seen)
    for name, ahead_s in seen.clocks_ahead_s.items():
        differs_s = ahead_s - common_s
        if abs(differs_s) > CLOCK_DIFFERS_S:
            side = "ahead of" if differs_s > 0 else "behind"
            yield make_finding(
                Kind.CLOCK_DIFFERS,
                [name],
                f"The clock of {name} is {abs(differs_s):.0f} s {side} the others.",
                f"Set the clock of {name} (timedatectl set-ntp true). Times that it tells are wrong until then.",
                code=Code.CLOCK_WRONG,
                evidence=[f"Compared with this computer it is {ahead_s:+.0f} s."],
            )


def _find_ends(seen: Examination) -> Iterator[Finding]:
    for name, at in seen.grants_end.items():
        left_s = at - seen.now
        if left_s < ENDS_SOON_S and name not in _list_expired_and_cut(seen):
            when = f"ends in {tell_span(left_s)}" if left_s > 0 else f"ended {tell_span(-left_s)} ago"
            yield make_finding(
                Kind.GRANT_ENDS,
                [name],
                f"The grant of {name} {when}: without one nobody lets it in.",
                f"Mint a new token (spokewire node token {name}) and start the daemon there with it.",
                since=at if left_s <= 0 else None,
            )
    for name, at in seen.certificates_end.items():
        if at - seen.now < ENDS_SOON_S:
            yield make_finding(
                Kind.CERTIFICATE_ENDS,
                [name],
                f"The certificate of the API of {name} ends in {tell_span(at - seen.now)}.",
                f"Remove tls.crt and tls.key from the state folder of {name} and restart its daemon: it makes new ones.",
            )


def _list_expired_and_cut(seen: Examination) -> set[MachineName]:
    """Those for whom it is told as the cause of their silence."""
    cut = {node.name for node in seen.overview.nodes if node.state == "disconnected"}
    return {name for name, at in seen.grants_end.items() if at <= seen.now and name in cut}


def _find_leftovers(seen: Examination) -> Iterator[Finding]:
    wanted = {machine.name for machine in seen.spec.machines}
    for name, evidence in seen.nodes.items():
        if name not in wanted and evidence.machine_state is not None:
            yield make_finding(
                Kind.LEFTOVER,
                [name],
                f"The machine {name} exists, though the spec does not want it.",
                "Run spokewire deploy: it removes what is not wanted.",
                evidence=[f"By its provider the machine is {evidence.machine_state}."],
            )


def _find_releases(seen: Examination) -> Iterator[Finding]:
    releases = {hub.status.name: hub.status.version for hub in seen.hubs.values() if hub.status is not None}
    releases |= {name: words.version for name, words in seen.told.items()}
    others = {name: release for name, release in releases.items() if release != seen.release}
    if others:
        yield make_finding(
            Kind.RELEASES_DIFFER,
            list(others),
            f"Not the same release as this computer's {seen.release}: {name_some(list(others))}.",
            "Bring all machines to one release; SIGUSR1 ends a daemon and leaves its tunnel to the next one.",
            evidence=[f"{name} has {release}." for name, release in others.items()],
        )
