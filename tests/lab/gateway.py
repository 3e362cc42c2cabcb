"""Phala's gateway, and serving in a lab's internet."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.docker.internet import OPERATOR, Internet
from tests.emulators.authority import Authority
from tests.emulators.phala.emulator import PhalaEmulator
from tests.emulators.serve import serve
from tests.emulators.service import Call


class Gateway:
    """What leads from the internet to port 8000 of a CVM: https://INSTANCE-8000.DOMAIN, as Phala's does."""

    def __init__(self, phala: PhalaEmulator, names: Path) -> None:
        self._phala, self._names = phala, names

    def tell(self, number: int, call: Call) -> None:
        """Keep the names of all instances where the operator's resolver finds them."""
        found = [
            f"{OPERATOR} {c.instance_id}-8000.{c.made_from.host.domain}" for c in self._phala.cvms if c.instance_id
        ]
        self._names.write_text("\n".join(["127.0.0.1 localhost", *found, ""]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: look up whose the name is, ask there, pass the answer on."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        instance = request.headers.get("host", "").partition("-8000.")[0]
        url = next(
            (self._phala.backend.status_url(c.name) for c in self._phala.cvms if c.instance_id == instance), None
        )
        if url is None:
            await Response("no such instance", 404)(scope, receive, send)
            return
        try:
            async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
                answer = await client.get(f"{url}{request.url.path}?{request.url.query}")
        except httpx.HTTPError:
            await Response("no connection to the app", 502)(scope, receive, send)
            return
        await Response(answer.content, answer.status_code, media_type="application/json")(scope, receive, send)


@contextmanager
def serve_inside(internet: Internet, app: ASGIApp, authority: Authority, port: int) -> Iterator[str]:
    """Serve at the operator's address, in threads that are in the lab's internet themselves."""
    serving = serve(app, authority, OPERATOR, port)
    served = internet.inside(serving.__enter__)
    try:
        yield served.url
    finally:
        serving.__exit__(None, None, None)
