"""The clock of this machine: a jump is told and allowed for, one that differs from the hub's is an issue."""

from collections.abc import Callable

from spokewire.host import clock
from spokewire.host.logs import log
from spokewire.network.clocks import Reading, Told, find_jump_s, find_wrong, tell_jump
from spokewire.network.events import EventCode
from spokewire.node.board import Board
from spokewire.node.fixes import Fixes
from spokewire.node.probe import Prober

STEP_S = 1.0
ISSUE = "clock-wrong"
"""Under this name the board keeps it."""


class ClockWatch:
    """Compares the wall clock with the steady one, and with what the hub told."""

    def __init__(self, name: str, prober: Prober, board: Board, fixes: Fixes, told: Callable[[], Told | None]) -> None:
        """`told`: what a hub said last."""
        self._name = name
        self._prober = prober
        self._board = board
        self._fixes = fixes
        self._told = told
        self._reading = Reading(*clock.read())

    async def step(self) -> None:
        """Read both clocks. Call it every STEP_S.

        Nothing is done to running sessions: they do not know the time. Handshakes that others refuse because of it are theirs to mend: they forget what
        they knew of us when they hear nothing of us (`network/handshakes.py`).
        """
        before, self._reading = self._reading, Reading(*clock.read())
        jump_s = find_jump_s(before, self._reading)
        if jump_s:
            log.warning("clock-jumped", change=tell_jump(jump_s))
            self._board.clock_set(jump_s)
            self._prober.clock_set(jump_s)
            self._fixes.noted(EventCode.CLOCK_JUMPED, self._name, tell_jump(jump_s))
        issue = find_wrong(self._name, self._told(), self._reading, self._board.issues.get(ISSUE))
        if issue is None:
            self._board.close_issue(ISSUE)
        else:
            self._board.open_issue(ISSUE, issue)
