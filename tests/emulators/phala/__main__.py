"""Phala Cloud, emulated, for use by hand: `python -m tests.emulators.phala --port 8444 --folder /tmp/emulator`.

Its CVMs run nothing: machines need a network of their own to be reached in. `python -m tests.emulators` has both clouds with real machines, and a shell beside them.
"""

import argparse
import threading
from pathlib import Path

from tests.emulators.authority import Authority, make_authority
from tests.emulators.machines import NullCvms
from tests.emulators.phala.emulator import KEY, PhalaEmulator
from tests.emulators.serve import serve


def main() -> None:
    """Say what a client needs to be told, then serve until Ctrl-C. Its CVMs run nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8444)
    parser.add_argument("--folder", type=Path, required=True, help="where the throw-away authority is, or will be")
    parser.add_argument("--looks", type=int, default=3, help="how often a CVM is `starting` before it is `running`")
    chosen = parser.parse_args()
    # Another emulator's authority is taken, so that a client can be told to trust both.
    authority = Authority(*(chosen.folder / name for name in ("ca.crt", "server.crt", "server.key")))
    if not authority.ca_file.exists():
        authority = make_authority(chosen.folder, ("localhost", chosen.host))
    emulator = PhalaEmulator(NullCvms(looks=chosen.looks))
    with serve(emulator, authority, chosen.host, chosen.port) as served:
        print(f"export PHALA_CLOUD_API_PREFIX={served.url}/api/v1 SSL_CERT_FILE={authority.ca_file}")
        print(f"export PHALA_CLOUD_API_KEY={KEY}")
        print(f"# curl --cacert {authority.ca_file} {served.url}/_emulator/cvms", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
