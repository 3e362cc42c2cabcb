"""What a client of an emulator is given in tests: a clock that costs no time, and a transport that dies when it is told to."""

import threading
from dataclasses import dataclass, field

import httpx

from spokewire.cloud.waiting import Clock
from tests.emulators.authority import Authority


@dataclass
class SwiftClock:
    """Time passes only when somebody sleeps. One for the client and its emulator together."""

    now: float = 1_800_000_000.0
    slept: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> float:
        """What time it is."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self.now += seconds
            self.slept.append(seconds)

    def clock(self) -> Clock:
        """The same for the client."""
        return Clock(monotonic=self.read, wall=self.read, sleep=self.sleep)


class Killed(BaseException):
    """The process dies: nothing of ours catches this."""


class Mortal(httpx.BaseTransport):
    """A transport that kills its client after the n-th request was carried out, before the answer is seen. Never, with `dies_after` 0."""

    def __init__(self, authority: Authority, dies_after: int = 0) -> None:
        self._inner = httpx.HTTPTransport(verify=authority.client_context())
        self._dies_after = dies_after
        self.sent = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and perhaps die."""
        self.sent += 1
        response = self._inner.handle_request(request)
        if self.sent == self._dies_after:
            response.close()
            raise Killed(f"after {request.method} {request.url.path}")
        return response

    def close(self) -> None:
        """Hang up."""
        self._inner.close()
