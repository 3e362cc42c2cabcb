"""What is done about silence in the tunnel: the rungs of `network/ladder.py`, and routes that lead elsewhere."""

import asyncio
from collections import deque
from collections.abc import Callable

from spokewire.errors import Code, SpokewireError
from spokewire.host import clock
from spokewire.host.logs import log
from spokewire.network.documents import Member
from spokewire.network.ladder import BUDGET, Fault, Rung, choose_rung
from spokewire.network.names import WireGuardKey
from spokewire.network.status import Issue, State
from spokewire.node.board import Board
from spokewire.node.fixes import Fixes
from spokewire.node.probe import Prober
from spokewire.node.watched import Watched
from spokewire.wireguard.tunnel import Tunnel

LOOK_INTERVAL_S = 0.25
"""How often silence is looked for while an answer is missing."""
CALM_INTERVAL_S = 1.0
"""And while none is: well below what counts as silence."""
SILENT_HUB_S = 1.5
"""One echo a second, and half a second of jitter."""
SILENCE_ISSUE, ROUTE_ISSUE = "tunnel-silent", "route-diverted"
"""Under these names the board keeps them."""
MISSED_S = 0.8
LEAST_MISSED = 4
"""So many echoes to a hub unanswered for so long, and it is asked by its API: if it has rebooted, it is followed anew at once, and shakes hands then."""
SUSPECT_PAUSE_S = 1.0
"""On a line that loses packets answers are missing all the time."""
COUNT_INTERVAL_S = 0.25
"""From one count of what arrives to the next: two are made before a path is left that only an agent has gone silent on (`paths.SILENT_S`)."""
ROUTES_LOOKED_UP = 64
"""Of silent machines, at each look."""
ROUTES_EVERY = 8
"""Looks from one look at the routes to the next."""


class SilenceWatch:
    """Looks for silence, and tries what may end it."""

    def __init__(
        self, prober: Prober, tunnel: Tunnel, board: Board, fixes: Fixes, api_answered_at: Callable[[], float | None]
    ) -> None:
        """`api_answered_at`: when a hub's API took something from us last, in monotonic seconds."""
        self.look_again = asyncio.Event()
        """Set when `reconcile` has something to do for us."""
        self.report_now = asyncio.Event()
        """Set when the hub should hear of us."""
        self._silent: set[str] = set()
        self._prober = prober
        self._tunnel = tunnel
        self._board = board
        self._fixes = fixes
        self._api_answered_at = api_answered_at
        self._forced: set[WireGuardKey] = set()
        self._remade_at: deque[float] = deque(maxlen=BUDGET)
        self._looks = 0
        self._counted_at = -COUNT_INTERVAL_S
        self._suspects: set[str] = set()
        self._suspected_at = -SUSPECT_PAUSE_S

    def take_forced(self) -> set[WireGuardKey]:
        """The peers with which to shake hands anew; each is told once."""
        forced, self._forced = self._forced, set()
        return forced

    def forget(self, peer: WireGuardKey) -> None:
        """Let the next `reconcile` shake hands with a peer anew."""
        self._forced.add(peer)
        self.look_again.set()

    async def step(self) -> None:
        """Shake hands anew with peers that nothing is heard of, look at what came of it before, and climb on. Then wait for `wait_s`."""
        machines = list(self._prober.watched.values())
        alive = {w.name for w in machines if w.silence.asked_at is None and w.silence.forced == 0}
        self._fixes.look(alive.__contains__)
        await self._count()
        for watched in self._prober.force_handshakes():
            self._force(watched, "peer is silent: shaking hands again")
        self._look_at_suspects(machines, clock.monotonic())
        self._ask_hubs(machines, clock.monotonic())
        self._climb(machines, clock.monotonic())
        self._looks += 1
        if self._looks % ROUTES_EVERY == 0:
            await self._look_at_routes(
                [w for w in machines if w.health.state is State.DISCONNECTED or w.silence.forced]
            )

    def wait_s(self) -> float:
        """How long to wait after a `step`."""
        is_calm = not self._fixes.awaited and all(
            watched.silence.asked_at is None and not watched.silence.forced for watched in self._prober.watched.values()
        )
        return CALM_INTERVAL_S if is_calm else LOOK_INTERVAL_S

    def hub_found(self, hub: Member) -> None:
        """A hub's API answers (again). If its echoes do not, it may have rebooted and lost our session, or never have had it.

        WireGuard itself would notice only after 15 s of silence (KEEPALIVE_TIMEOUT and REKEY_TIMEOUT, paper section 6.1), so the next
        `reconcile` makes the peer anew, which shakes hands at once.
        """
        watched = next((w for w in self._prober.watched.values() if w.name == hub.name), None)
        if watched is None:
            return
        now, silence, peer = clock.monotonic(), watched.silence, watched.target.peer
        age_s = watched.trail.last_answer_age_s(now)
        if age_s is None and peer is not None and not self._has_shaken_hands(peer):
            # We called before it knew us, and WireGuard repeats a call that got lost only after five seconds. There is no session to lose.
            log.info("hub knows us now: shaking hands again", machine=watched.name)
            self.forget(peer)
            return
        if age_s is None:
            # An agent that was just started has asked just now.
            age_s = 0.0 if silence.asked_at is None else now - silence.asked_at
        flows = silence.flowed_at is not None and now - silence.flowed_at < SILENT_HUB_S
        if age_s > SILENT_HUB_S and not flows:
            self._force(watched, "hub is back, its echoes are not: shaking hands again")

    def _has_shaken_hands(self, peer: WireGuardKey) -> bool:
        return self._tunnel.handshake_age_s(peer) is not None

    async def _count(self) -> None:
        """Where packets arrive, a new handshake would only lose some: see whether they do, before one is forced."""
        now = clock.monotonic()
        if now - self._counted_at >= COUNT_INTERVAL_S and self._prober.wants_counts():
            self._counted_at = now
            self._prober.note_arrivals(await self._tunnel.count())

    def _look_at_suspects(self, machines: list[Watched], now: float) -> None:
        """When an answer is missing that was not missing before, somebody may have altered a peer by hand, of which the kernel tells nobody."""
        suspects = {w.name for w in machines if w.is_suspect(now)}
        if suspects - self._suspects and now - self._suspected_at >= SUSPECT_PAUSE_S:
            self._suspected_at = now
            self.look_again.set()
        self._suspects = suspects

    def _ask_hubs(self, machines: list[Watched], now: float) -> None:
        """Report to a hub that falls silent: if it has rebooted, its end of the stream is gone, which a report finds out and a stream never."""
        silent = {w.name for w in machines if w.target.is_hub and _has_missed(w, now)}
        if silent - self._silent:
            self.report_now.set()
        self._silent = silent

    def _force(self, watched: Watched, why: str) -> None:
        log.info(why, machine=watched.name)
        if watched.target.peer is not None:
            self._fixes.tried(
                "tunnel-silent" if watched.target.is_hub else "peer-silent", watched.name, "a new handshake"
            )
            self._forced.add(watched.target.peer)
            self.look_again.set()
            if watched.target.is_hub:
                # It may be the hub that refuses us: our report tells it that we are alive, and silent in the tunnel.
                self.report_now.set()

    def _climb(self, machines: list[Watched], now: float) -> None:
        hubs = [w for w in machines if w.target.is_hub]
        silent = [w for w in hubs if w.health.state is State.DISCONNECTED]
        if not hubs or len(silent) < len(hubs):
            self._board.close_issue(SILENCE_ISSUE)
            return
        hub = silent[0]
        fault = Fault(
            silent_since=max(w.silence.heard_at for w in hubs),
            handshakes=hub.silence.forced,
            is_alone=all(w.health.state in (State.DISCONNECTED, State.STARTING) for w in machines),
            api_answered_at=self._api_answered_at(),
        )
        rung = choose_rung(fault, tuple(self._remade_at), now)
        if rung is Rung.DEVICE:
            log.warning("the tunnel stays silent though the hub's API answers: making the interface anew")
            self._remade_at.append(now)
            self._fixes.tried(
                "tunnel-silent", hub.name, "the interface was made anew, and with it wireguard-go if that is behind it"
            )
            self._tunnel.remake()
            self.look_again.set()
        if rung is not Rung.WAIT:
            self._board.open_issue(SILENCE_ISSUE, self._describe(hub, fault, now))

    def _describe(self, hub: Watched, fault: Fault, now: float) -> Issue:
        remade = sum(at >= fault.silent_since for at in self._remade_at)
        tried = [f"new handshakes with {hub.name}, its address looked up anew: {fault.handshakes}"]
        tried += [f"the interface made anew, {remade} of at most {BUDGET} times an hour"] if remade else []
        return Issue(
            code=Code.TUNNEL_SILENT,
            text=f"Nothing comes through the tunnel from {hub.name}.",
            hint=f"{hub.name} answers on TCP 443, so UDP is lost on the way: let UDP 51820 to it through, here and at the hub's firewall."
            if fault.api_answers
            else f"{hub.name} does not answer on TCP 443 either: it is down, or this machine has no line to it.",
            since=clock.wall() - (now - fault.silent_since),
            subject=hub.name,
            tried=tried,
        )

    async def _look_at_routes(self, silent: list[Watched]) -> None:
        """Of machines that are silent: do packets to them enter our interface at all?"""
        diverted: list[tuple[Watched, str]] = []
        for watched in silent[:ROUTES_LOOKED_UP]:
            try:
                way = await asyncio.to_thread(self._tunnel.links.find_way, watched.address)
            except SpokewireError as error:
                log.debug("route not seen", address=watched.address, error=error.message)
                continue
            if way != self._tunnel.interface:
                diverted.append((watched, way))
        if not diverted:
            self._board.close_issue(ROUTE_ISSUE)
            return
        first, way = diverted[0]
        more = f", and {len(diverted) - 1} others' elsewhere too" if len(diverted) > 1 else ""
        self._board.open_issue(
            ROUTE_ISSUE,
            Issue(
                code=Code.ROUTE_DIVERTED,
                text=f"A route of this machine sends the packets for {first.name} ({first.address}) to {way} instead of {self._tunnel.interface}{more}.",
                hint=f"Look at it (ip route get {first.address}; ip rule) and remove it, or tell the program that set it: it is not ours.",
                since=clock.wall(),
                subject=first.name,
            ),
        )


def _has_missed(hub: Watched, now: float) -> bool:
    since = hub.trail.unanswered_since
    return since is not None and hub.trail.unanswered >= LEAST_MISSED and now - since >= MISSED_S
