"""A hub's relay and nothing else: `python -m tests.lab.trunk_hub FOLDER NUMBER`, in a network namespace of its own.

`FOLDER/hears.json` says, by hub, where WireGuard would hear which node, and who is away; `FOLDER/roster` holds the documents.
"""

import asyncio
import json
import socket
import sys
from collections.abc import Collection
from pathlib import Path

from spokewire.host import sysctl
from spokewire.host.journal import Journal
from spokewire.host.turns import Turns
from spokewire.hub.relaying import Relaying, Senses
from spokewire.network.names import WireGuardKey
from spokewire.network.roster import Roster, merge
from spokewire.relay.rules import Outside
from tests.builders import NOW, ROOT

PORT = 51820
RECONCILE_S = 0.2


def place(number: int) -> str:
    return f"203.0.113.{number}"


async def run(folder: Path, number: int) -> None:
    own = folder / f"hub-{number}"
    own.mkdir()
    merged = merge(Roster(ROOT.public_key()), (folder / "roster").read_text().split(), NOW)
    assert not merged.refusals
    hub = next(hub for hub in merged.roster.hubs(NOW) if hub.grant.number == number)

    def hears() -> tuple[dict[WireGuardKey, str], Collection[int]]:
        endpoints, away = json.loads((folder / "hears.json").read_text())[str(number)]
        return endpoints, away

    senses = Senses(lambda: hears()[0], lambda: hears()[1])
    key, journal = WireGuardKey(hub.record.wireguard_key), Journal(own / "journal.json")
    relaying = Relaying("demo", key, own, journal, senses, Turns())
    sysctl.write("net/ipv4/ip_forward", "1")
    async with asyncio.TaskGroup() as tasks:
        for job in (relaying.follow(), relaying.follow_hubs(), relaying.forward()):
            tasks.create_task(job)
        while True:
            await relaying.reconcile(merged.roster, Outside(place(number), None, PORT), NOW)
            switch = relaying.switch
            counted = {"forwarded": switch.forwarded, "trunked": dict(switch.trunked), "refused": dict(switch.refused)}
            written = own / "status.new"
            written.write_text(json.dumps(counted))
            written.rename(own / "status.json")
            await asyncio.sleep(RECONCILE_S)


if __name__ == "__main__":
    # As a hub's WireGuard would: else the kernel tells every sender that nobody listens here.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("0.0.0.0", PORT))
        asyncio.run(run(Path(sys.argv[1]), int(sys.argv[2])))
