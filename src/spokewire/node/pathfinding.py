"""All that a node does for its paths: choosing among hubs, announcing handshakes to them, and looking for direct ones."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

from spokewire.errors import SpokewireError
from spokewire.host.loops import repeat
from spokewire.network.claims import find_twins
from spokewire.network.documents import Grant, Member
from spokewire.network.names import MachineName, WireGuardKey
from spokewire.network.punching import MAGIC
from spokewire.network.roster import Roster
from spokewire.network.status import Issue
from spokewire.network.topology import Choice
from spokewire.node.announced import Announced
from spokewire.node.announcing import STEP_S, Announcer
from spokewire.node.direct import Directs
from spokewire.node.paths import Paths
from spokewire.node.probe import Prober
from spokewire.relay.places import Endpoint
from spokewire.relay.sharing import SharedPort
from spokewire.wireguard.tunnel import Tunnel

PLACES_INTERVAL_S = 5.0
"""From one question to the hubs, where they see us, to the next."""

Report = Callable[[SpokewireError | None], None]


class Pathfinder:
    """The paths of one node."""

    def __init__(self, me: Grant, prober: Prober, tunnel: Tunnel, kept: Path) -> None:
        """`kept`: the file of what was announced."""
        self.found_twins: Callable[[Issue | None], None] = lambda _: None
        """Called with what is wrong where two hubs claim one endpoint."""
        self._prober = prober
        self._hubs: list[str] = []
        """Their overlay addresses."""
        self._port = SharedPort(self._sent, self._probed, MAGIC)
        self._find_port = tunnel.port
        self._directs = Directs(me, self._port, tunnel.find_local)
        self._announcer = Announcer(self._port, tunnel.endpoint, tunnel.port, Announced(kept))
        self.paths = Paths(me, prober, self._directs, tunnel.endpoint)
        prober.service.located = self._directs.located

    def choose(self, roster: Roster, me: Member | None, wall: float) -> dict[MachineName, Choice]:
        """The path of each pair, for `plan_node`. `me`: ourselves, as the roster knows us."""
        hubs, plan = roster.hubs(wall), roster.plan
        self._hubs = [] if plan is None else [str(plan.address(hub.grant.number)) for hub in hubs]
        self._announcer.know(hubs)
        self.paths.know(roster, me, wall)
        self.found_twins(find_twins(hubs, self.paths.alive, wall))
        return self.paths.choices

    def hub_back(self, key: WireGuardKey) -> None:
        """A hub answers that did not: it has missed what was announced meanwhile."""
        self._announcer.hub_back(key)

    def parts(self, note: Callable[[str], Report]) -> dict[str, Coroutine[object, object, None]]:
        """The loops, by name. `note` makes the callback by which a loop tells how it goes."""
        return {
            "announce": repeat("announce", self._announcer.step, STEP_S, report=note("announce")),
            "direct": repeat("direct", self._directs.step, self._directs.wait_s, report=note("direct")),
            "places": repeat("places", self._look_around, PLACES_INTERVAL_S, report=note("places")),
        }

    def close(self) -> None:
        """Close the sockets."""
        self._port.close()

    async def _look_around(self) -> None:
        """Find out where we may be reached. PermanentError where direct paths are wanted, but CAP_NET_RAW is missing; with several hubs `announce` says so."""
        if self._directs.is_wanted and len(self._hubs) == 1:
            self._port.open(self._find_port())
        if self._directs.is_allowed:
            for hub in self._hubs:
                self._prober.service.ask_where(hub, 0)
        await asyncio.to_thread(self._directs.look_around)

    def _sent(self, message: bytes, to: Endpoint) -> None:
        self._announcer.hear(message, to)

    def _probed(self, data: bytes, source: Endpoint) -> None:
        self._directs.probed(data, source)
