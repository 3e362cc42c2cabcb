"""A hub that has just been made, and knows no settings yet."""

import asyncio
from pathlib import Path

from spokewire.host import clock
from spokewire.host.identity import load_identity
from spokewire.hub.main import Hub
from spokewire.hub.record import Settings
from tests.component.made import Network

LIMIT_S = 10.0


def test_nobody_waits_for_a_hub_that_has_no_settings_to_carry_out(tmp_path: Path) -> None:
    """The operator asks it for its roster before handing it the settings: each deploy would take as long as that waits."""
    token = Network().grant("hub-1", 1, role="hub").token()
    hub = Hub(Settings("192.0.2.1", tmp_path), load_identity(tmp_path, "hub", token))

    async def scenario() -> float:
        await hub.reconcile()
        begun = clock.monotonic()
        await hub.membership.wait_until_applied(LIMIT_S)
        return clock.monotonic() - begun

    assert asyncio.run(scenario()) < LIMIT_S / 10
    hub.membership.close()
