"""The first message of a WireGuard handshake, made here from the paper (section 5.4.2) with any timestamp that one likes.

Sent from a machine's own WireGuard port with its own key, with a time that is still to come, it leaves its receiver as it is after the machine's clock was set
back: WireGuard keeps the newest timestamp of each peer, and refuses what is not newer (section 5.1).
"""

import time

from tests.lab.world import Network

HUB = "203.0.113.1"
_SCRIPT = """
import base64, hashlib, hmac, os, socket, struct, sys
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
own, theirs = X25519PrivateKey.from_private_bytes(base64.b64decode(sys.argv[1])), base64.b64decode(sys.argv[2])
port, address, seconds = int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
def digest(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()
def derive(key, data, count):
    secret, found = hmac.digest(key, data, "blake2s"), [b""]
    for number in range(1, count + 1):
        found.append(hmac.digest(secret, found[-1] + bytes([number]), "blake2s"))
    return found[1:]
def seal(key, text, covered):
    return ChaCha20Poly1305(key).encrypt(bytes(12), text, covered)
once = X25519PrivateKey.generate()
public = once.public_key().public_bytes_raw()
chain = digest(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
told = digest(digest(chain, b"WireGuard v1 zx2c4 Jason@zx2c4.com"), theirs)
chain = derive(chain, public, 1)[0]
told = digest(told, public)
chain, key = derive(chain, once.exchange(X25519PublicKey.from_public_bytes(theirs)), 2)
static = seal(key, own.public_key().public_bytes_raw(), told)
told = digest(told, static)
chain, key = derive(chain, own.exchange(X25519PublicKey.from_public_bytes(theirs)), 2)
stamp = seal(key, struct.pack("!QI", (1 << 62) + 10 + seconds, 0), told)
message = struct.pack("<B3x", 1) + os.urandom(4) + public + static + stamp
message += hashlib.blake2s(message, key=digest(b"mac1----", theirs), digest_size=16).digest() + bytes(16)
assert len(message) == 148
line = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
line.sendto(struct.pack("!HHHH", port, 51820, 8 + len(message), 0) + message, (address, 0))
"""


def send_from_the_future(network: Network, machine: str, target: str, ahead_s: int = 3600) -> None:
    """Let `target` believe that `machine` has shaken hands with it by a clock that was so far ahead."""
    private, port = (
        network.exec(machine, "wg", "show", "wg-demo", what).out.strip() for what in ("private-key", "listen-port")
    )
    network.python(machine, _SCRIPT, private, network.public_key(target), port, HUB, str(int(time.time()) + ahead_s))


def forget_sessions(network: Network, machine: str) -> None:
    """Remove every WireGuard peer of a machine and add it again as it was: all of its sessions are over."""
    words: list[str] = []
    for line in network.exec(machine, "wg", "show", "wg-demo", "dump").out.splitlines()[1:]:
        key, _, endpoint, allowed, *_, keepalive = line.split("\t")
        words += ["peer", key, "remove", "peer", key, "endpoint", endpoint, "allowed-ips", allowed]
        words += ["persistent-keepalive", keepalive]
    network.exec(machine, "wg", "set", "wg-demo", *words)
