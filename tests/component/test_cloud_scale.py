"""Twenty nodes at once, within what the vendors' interfaces take: beyond it the emulators answer 429, as the real ones do."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.component.clouds import near_spec
from tests.component.test_cloud_deploy_crash import Desk
from tests.emulators.direct import Life
from tests.emulators.service import Call, Emulator, RefusedError, Reply

NODES = 20
DIGITALOCEAN_A_MINUTE = 250
"""DigitalOcean's burst limit (docs.digitalocean.com, API reference, "Rate Limit")."""
PHALA_A_MINUTE = 100
"""Phala states none; its own tools honour 429. This is far less than an unhindered deploy would send."""


@dataclass
class Limit:
    """Answers 429 to what is more than so many requests within a minute."""

    a_minute: int
    now: Callable[[], float]
    refused: int = 0
    _times: deque[float] = field(default_factory=deque)

    def judge(self, call: Call) -> None:
        """Count a request; one that is refused is not carried out, and does not count."""
        now = self.now()
        while self._times and now - self._times[0] >= 60:
            self._times.popleft()
        if len(self._times) >= self.a_minute:
            self.refused += 1
            wait_s = str(int(60 - (now - self._times[0])) + 1)
            raise RefusedError(Reply(429, {"id": "too_many_requests", "message": "Slow down"}, {"retry-after": wait_s}))
        self._times.append(now)


def limit(emulator: Emulator, a_minute: int, now: Callable[[], float]) -> Limit:
    """Give an emulator a limit."""
    limit, allowed = Limit(a_minute, now), emulator.authorize

    def authorize(call: Call) -> None:
        limit.judge(call)
        allowed(call)

    emulator.authorize = authorize  # type: ignore[method-assign]
    return limit


def test_twenty_nodes_are_made_in_parallel_within_the_vendors_limits_and_each_says_what_it_waits_for(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path / "desk")
    desk.spec.write_text(near_spec(NODES))
    desk.phala.switches.machine_limit = 50
    limits = [
        limit(desk.digitalocean, DIGITALOCEAN_A_MINUTE, desk.swift.read),
        limit(desk.phala, PHALA_A_MINUTE, desk.swift.read),
    ]
    began = desk.swift.now
    said = defaultdict[str, list[str]](list)
    life = Life()
    asyncio.run(desk.carry_out(life, lambda name, words: said[name].append(words)))

    assert len(desk.machines) == NODES + 1
    assert set(desk.asked().values()) == {1}
    took_s, calls = desk.swift.now - began, len(desk.digitalocean.log) + len(desk.phala.log)
    print(
        f"measured: {NODES} nodes in {took_s:.0f} s of the clouds' time, {calls} requests, {limits[1].refused} refused with 429"
    )
    assert limits[0].refused == 0
    assert took_s < 900
    for name in (f"node-{number}" for number in range(1, NODES + 1)):
        assert any(words.startswith("provisioning tdx.small on ") for words in said[name]), said[name]
        assert any(words.startswith("committing it to ") for words in said[name]), said[name]
    assert any(words.startswith("waiting to be active") for words in said["hub-1"])
    hosts = [cvm.made_from.host.name for cvm in desk.phala.living()]
    assert max(hosts.count(name) for name in hosts) - min(hosts.count(name) for name in hosts) <= 1
