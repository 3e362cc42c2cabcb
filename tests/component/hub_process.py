"""A process that serves a hub's API as the daemon does, until it is told to stop: `python -m tests.component.hub_process FOLDER`, the root key on its standard input."""

import asyncio
import sys
from pathlib import Path

from spokewire.api.serve import listen
from spokewire.host.loops import Ending, run_until_stopped
from spokewire.hub import api
from spokewire.network.keys import parse_private_key
from tests.component.made import Network
from tests.component.served import hub_record, make_parts, make_tls


async def serve(folder: Path, network: Network) -> None:
    hub, tls = network.grant("hub-1", 1, role="hub"), make_tls(folder)
    listener = listen(0, tls, "127.0.0.1")
    port = listener.sock.getsockname()[1]
    record = hub_record(hub, port, tls.certificate_file.read_text())
    parts = make_parts(network, hub, folder, record=record)
    parts.membership.take(record)
    parts.membership.take(network.settings())
    parts.membership.applied(parts.membership.version)
    print(port, flush=True)

    async def close(_: Ending) -> None:
        parts.membership.close()

    await run_until_stopped({"api": listener.serve(api.build(parts), 256), "parent": end_with_parent()}, close)


async def end_with_parent() -> None:
    """End when the test that started this process is gone, however it went: its end of our standard input closes."""
    closed, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(sys.stdin, closed.set)
    await closed.wait()
    sys.exit("the test is gone")


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), Network(parse_private_key(sys.stdin.readline().strip()))))
