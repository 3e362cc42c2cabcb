"""Handshakes that came a moment before their sender, or their target, was found: WireGuard would repeat them only in five seconds. Pure."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from spokewire.relay.messages import Initiation, Response, parse_message
from spokewire.relay.places import Endpoint
from spokewire.relay.switch import Decision, Forward, Refusal

MAX_HELD = 256
HOLD_S = 1.0


def is_early(decision: Decision) -> bool:
    """Whether a message may have come a moment before its sender or its target was found."""
    if isinstance(decision, Forward):
        return decision.is_awaited
    return decision in (Refusal.UNKNOWN_SOURCE, Refusal.NO_TARGET)


@dataclass
class Held:
    """Messages with where they came from and when, in monotonic seconds; of too many the oldest are forgotten."""

    _messages: deque[tuple[bytes, Endpoint, float]] = field(default_factory=lambda: deque(maxlen=MAX_HELD))

    def keep(self, message: bytes, source: Endpoint, now: float) -> None:
        """Keep a message for HOLD_S."""
        self._messages.append((message, source, now))

    def note(self, message: bytes) -> None:
        """Forget what a message that has passed answers.

        Its target was found elsewhere: an initiation that is over already would only end the handshakes of today.
        """
        answer = parse_message(message) if self._messages else None
        if isinstance(answer, Response):
            kept = [held for held in self._messages if not _is_answered(held[0], answer)]
            self._messages = deque(kept, maxlen=MAX_HELD)

    def take(self, now: float) -> Iterator[tuple[bytes, Endpoint]]:
        """Take out all; what is too old is left out."""
        held, self._messages = self._messages, deque(maxlen=MAX_HELD)
        return ((message, source) for message, source, since in held if now - since <= HOLD_S)


def _is_answered(held: bytes, answer: Response) -> bool:
    question = parse_message(held)
    return isinstance(question, Initiation) and question.sender == answer.receiver
