"""From echoes to a state: pure, with `now` as an argument."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from spokewire.network.status import PeerStatus, State

WINDOW_S = 10.0
ANSWER_TIMEOUT_S = 2.0
"""An echo that takes longer is lost: no path worth the name has a round trip of two seconds."""
SILENCE_S = 3.5
"""Three echoes in a row, one a second, and half a second of jitter: then nothing comes back."""
LOSS_DEGRADED_PCT = 15.0
"""Above what a single lost echo makes of a window of ten."""
LOSS_RECOVERED_PCT = 5.0
"""Below the threshold that degrades, so that a loss in between changes nothing."""
MIN_SAMPLES = 5
"""With fewer echoes one lost packet would look like heavy loss."""


@dataclass(frozen=True)
class Sample:
    """One echo sent at `sent_at` (monotonic seconds); `rtt_ms` is None until, and unless, it came back."""

    sequence: int
    sent_at: float
    rtt_ms: float | None = None


@dataclass
class EchoWindow:
    """The echoes of the last ten seconds to one machine."""

    started_at: float
    samples: deque[Sample] = field(default_factory=deque)
    last_answer_at: float | None = None

    def sent(self, sequence: int, now: float) -> None:
        """Note an echo that leaves now, and forget old ones."""
        self.samples.append(Sample(sequence, now))
        while self.samples and self.samples[0].sent_at < now - WINDOW_S - ANSWER_TIMEOUT_S:
            self.samples.popleft()

    def answered(self, sequence: int, now: float) -> bool:
        """Note an answer; False if nothing waits for it (a duplicate, a stray, or too late)."""
        for position, sample in enumerate(self.samples):
            if sample.sequence == sequence and sample.rtt_ms is None and now - sample.sent_at <= ANSWER_TIMEOUT_S:
                self.samples[position] = replace(sample, rtt_ms=(now - sample.sent_at) * 1000)
                if self.last_answer_at is None or now - self.last_answer_at > SILENCE_S:
                    self._forget_silence(sample.sent_at)
                self.last_answer_at = now
                return True
        return False

    def _forget_silence(self, until: float) -> None:
        """Drop the echoes that were lost before the path came (back): the state has told that silence already; it is no loss of this path."""
        self.samples = deque(sample for sample in self.samples if sample.sent_at >= until)

    def rtt_ms(self) -> float | None:
        """Median round trip of the window."""
        times = sorted(sample.rtt_ms for sample in self.samples if sample.rtt_ms is not None)
        middle = len(times) // 2
        return (times[middle] + times[~middle]) / 2 if times else None

    def loss_pct(self, now: float) -> float | None:
        """Share of the window's echoes that are lost; those still on their way do not count. None without any."""
        due = [
            sample for sample in self.samples if sample.rtt_ms is not None or now - sample.sent_at > ANSWER_TIMEOUT_S
        ]
        if not due:
            return None
        return 100.0 * sum(sample.rtt_ms is None for sample in due) / len(due)

    def last_answer_age_s(self, now: float) -> float | None:
        """Seconds since an answer came; None if none ever did."""
        return None if self.last_answer_at is None else now - self.last_answer_at


@dataclass(frozen=True)
class Health:
    """A state with its reason."""

    state: State
    reason: str


def judge_echo(window: EchoWindow, before: State, now: float) -> Health:
    """Judge one machine by its echoes. `before` gives the dead band: losses between the two thresholds change nothing."""
    age = window.last_answer_age_s(now)
    if age is None:
        waited = now - window.started_at
        if waited <= SILENCE_S:
            return Health(State.STARTING, "no echo has come back yet")
        return Health(State.DISCONNECTED, f"no echo has ever come back in {waited:.0f} s")
    if age > SILENCE_S:
        return Health(State.DISCONNECTED, f"no echo for {age:.0f} s")
    loss = window.loss_pct(now)
    if loss is not None and len(window.samples) >= MIN_SAMPLES:
        threshold = LOSS_RECOVERED_PCT if before is State.DEGRADED else LOSS_DEGRADED_PCT
        if loss > threshold:
            return Health(State.DEGRADED, f"{loss:.0f} % of the echoes are lost")
    return Health(State.CONNECTED, "echoes come back")


def judge_node(hubs: Sequence[PeerStatus], peers: Sequence[PeerStatus], blocking: str) -> Health:
    """Judge a node by its hubs and peers. `blocking` names what stops it from keeping its tunnel; "" if nothing does.

    Echoes outrank everything: while they come back, a blocked node is connected, and what blocks it is an issue. A single silent peer is that
    peer's state, not this node's: it may simply be switched off.
    """
    alive = [hub for hub in hubs if hub.state in (State.CONNECTED, State.DEGRADED)]
    if not alive:
        return _judge_cut_off(hubs, blocking)
    worse = [hub for hub in hubs if hub.state is not State.CONNECTED]
    if worse:
        return Health(State.DEGRADED, "; ".join(f"{hub.name}: {hub.reason}" for hub in worse))
    silent = [peer for peer in peers if peer.state is State.DISCONNECTED]
    if len(silent) > 1 and len(silent) == len(peers):
        return Health(State.DEGRADED, f"the hub answers, but none of {len(peers)} peers does")
    return Health(State.CONNECTED, "echoes come back from " + ", ".join(hub.name for hub in alive))


def _judge_cut_off(hubs: Sequence[PeerStatus], blocking: str) -> Health:
    if blocking:
        return Health(State.DISCONNECTED, blocking)
    if not hubs:
        return Health(State.STARTING, "no hub is known yet")
    if all(hub.state is State.STARTING for hub in hubs):
        return Health(State.STARTING, "no echo has come back from a hub yet")
    return Health(State.DISCONNECTED, "; ".join(_tell_silence(hub) for hub in hubs))


def _tell_silence(hub: PeerStatus) -> str:
    """A tunnel that once came up and fell silent is another fault than one that never got a packet through."""
    never_heard = hub.last_handshake_age_s is None and hub.last_echo_age_s is None
    never = ", and no WireGuard handshake ever: UDP seems to be blocked on the way" if never_heard else ""
    return f"{hub.name}: {hub.reason}{never}"
