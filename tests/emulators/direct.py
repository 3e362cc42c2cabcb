"""An emulator without a network between: its client's requests are carried out on the spot, until the client's process dies."""

import threading
from dataclasses import dataclass, field

import httpx
from starlette.requests import Request

from tests.emulators.clients import Killed
from tests.emulators.service import Emulator


@dataclass
class Life:
    """One process, as the clouds see it: after its n-th request to any of them it is dead, and so are all its threads. Never, with `ends_after` 0."""

    ends_after: int = 0
    sent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self) -> None:
        """Count a request that is about to be sent; the dead send none."""
        with self._lock:
            if 0 < self.ends_after <= self.sent:
                raise Killed("it is dead")
            self.sent += 1

    @property
    def is_over(self) -> bool:
        """Whether the answer of the last request still reaches anybody."""
        return 0 < self.ends_after <= self.sent


@dataclass
class Direct(httpx.BaseTransport):
    """A transport to an emulator in the same process."""

    emulator: Emulator
    life: Life

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and perhaps die before the answer is seen."""
        self.life.count()
        scope = {
            "type": "http",
            "method": request.method,
            "path": request.url.path,
            "raw_path": request.url.raw_path,
            "query_string": request.url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": "https",
            "server": (request.url.host, 443),
        }
        reply, response = self.emulator._answer(Request(scope), request.read())
        if self.life.is_over:
            raise Killed(f"after {request.method} {request.url.path}")
        if reply.cut:
            raise httpx.RemoteProtocolError("the connection was cut", request=request)
        return httpx.Response(response.status_code, headers=response.raw_headers, content=bytes(response.body))
