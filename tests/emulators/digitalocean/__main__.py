"""DigitalOcean, emulated, for use by hand: `python -m tests.emulators.digitalocean --port 8443 --folder /tmp/emulator`.

Its droplets run nothing: machines need a network of their own to be reached in. `python -m tests.emulators` has both clouds with real machines, and a shell beside them.
"""

import argparse
import threading
import time
from pathlib import Path

from tests.emulators.authority import make_authority
from tests.emulators.digitalocean.emulator import TOKEN, DigitalOcean
from tests.emulators.serve import serve


def main() -> None:
    """Say what a client needs to be told, then serve until Ctrl-C. Its droplets run nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8443)
    parser.add_argument("--folder", type=Path, required=True, help="where the throw-away authority is kept")
    chosen = parser.parse_args()
    authority = make_authority(chosen.folder, ("localhost", chosen.host))
    emulator = DigitalOcean(time.time)
    with serve(emulator, authority, chosen.host, chosen.port) as served:
        print(f"export SPOKEWIRE_DIGITALOCEAN_ENDPOINT={served.url} SSL_CERT_FILE={authority.ca_file}")
        print(f"export DIGITALOCEAN_TOKEN={TOKEN}")
        print(f"# curl --cacert {authority.ca_file} {served.url}/_emulator/log", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
