"""Handshakes that came a moment before their sender, or their target, was found: WireGuard would repeat them only in five seconds. Pure."""

from collections import deque
from dataclasses import dataclass, field

from spokewire.relay.messages import Initiation, Response, parse_message
from spokewire.relay.places import Endpoint
from spokewire.relay.switch import Decision, Forward, Refusal

MAX_HELD = 256
HOLD_S = 1.0


@dataclass(frozen=True, slots=True)
class Heard:
    """A message with where it came from and when, in monotonic seconds."""

    message: bytes
    source: Endpoint
    at: float


def is_early(decision: Decision) -> bool:
    """Whether a message may have come a moment before its sender or its target was found."""
    if isinstance(decision, Forward):
        return decision.is_awaited
    return decision in (Refusal.UNKNOWN_SOURCE, Refusal.NO_TARGET)


@dataclass
class Held:
    """Messages that wait; of too many the oldest are forgotten."""

    _waiting: deque[Heard] = field(default_factory=lambda: deque(maxlen=MAX_HELD))

    def keep(self, heard: Heard) -> None:
        """Keep a message until it is HOLD_S old."""
        self._waiting.append(heard)

    def note(self, message: bytes) -> None:
        """Forget what a message that has passed answers.

        Its target was found elsewhere: an initiation that is over already would only end the handshakes of today.
        """
        answer = parse_message(message) if self._waiting else None
        if isinstance(answer, Response):
            kept = [held for held in self._waiting if not _is_answered(held.message, answer)]
            self._waiting = deque(kept, maxlen=MAX_HELD)

    def take(self, now: float) -> list[Heard]:
        """Take out all; what is too old is left out. What is still too early may be kept again: its sender may be found before its target."""
        held, self._waiting = self._waiting, deque(maxlen=MAX_HELD)
        return [one for one in held if now - one.at <= HOLD_S]


def _is_answered(held: bytes, answer: Response) -> bool:
    question = parse_message(held)
    return isinstance(question, Initiation) and question.sender == answer.receiver
