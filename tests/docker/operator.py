"""The operator of a network under test: a folder with a spec, and our commands run in a lab's internet."""

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from spokewire.api import local
from spokewire.network.keys import format_public_key
from spokewire.network.token import parse_token
from tests.docker.internet import Internet

LIMIT_S = 300.0
"""A first boot takes half a minute on an idle machine; this is for one on which ten others run tests."""


class Operator:
    """All machines are hosts of the operator's own: they join with a token, whoever started them."""

    def __init__(self, internet: Internet, folder: Path, hub_address: str, nodes: int) -> None:
        self.internet, self.folder = internet, folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "spokewire.toml").write_text(
            f"""[network]
name = "demo"
cidr = "10.88.0.0/24"

[[hubs]]
name = "hub-1"
provider = "host"
address = "{hub_address}"

[[nodes]]
name = "node"
count = {nodes}
provider = "host"
"""
        )

    def run(self, *command: str, expect: int | None = 0) -> str:
        """Run a command; it must end with the expected status (None: any)."""
        done = self.internet.run(command, self.folder)
        assert expect is None or done.returncode == expect, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def token(self, name: str) -> str:
        """Mint a token."""
        return self.run("node", "token", name).strip()

    def root_key(self) -> str:
        """The network's root public key, as a token has it."""
        return format_public_key(parse_token(self.token("hub-1"), time.time()).root)

    def wait(self, url: str, limit_s: float = LIMIT_S) -> float:
        """Wait until something at a URL says that it is well; return the seconds that it took."""
        return self._wait(url, limit_s, healthy=True)

    def wait_for_answer(self, url: str, limit_s: float = LIMIT_S) -> float:
        """Wait until something at a URL answers at all."""
        return self._wait(url, limit_s, healthy=False)

    def deploy(self) -> None:
        """Deploy until every machine is there."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            done = self.internet.run(["deploy", "--timeout", "30"], self.folder)
            if done.returncode == 0:
                return
            assert done.returncode in {3, 75}, f"{done.returncode}: {done.stdout}{done.stderr}"
            assert time.monotonic() < deadline, done.stdout + done.stderr

    def prove(self) -> Any:
        """Prove every pair; the result."""
        proof = json.loads(self.run("test", "--json"))
        assert proof["ok"] is True
        return proof

    def fetch(self, url: str) -> Any:
        """What a status server answers, in JSON."""

        def ask() -> Any:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.loads(answer.read())

        return self.internet.inside(ask)

    def _wait(self, url: str, limit_s: float, *, healthy: bool) -> float:
        begun = time.monotonic()
        while True:
            said = self.internet.inside(lambda: local.ask(url, 2))
            if said.ok or (not healthy and not said.words.startswith("no answer")):
                return time.monotonic() - begun
            assert time.monotonic() - begun < limit_s, f"{url}: {said.words}"
            time.sleep(0.05)
