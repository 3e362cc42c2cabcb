"""Who takes part when the relay's switch is tried: members, strangers, where they may be, and what they may say."""

from hypothesis import strategies as st

from spokewire.relay.labels import Install
from spokewire.relay.switch import ForHub, Forward
from tests.property.relay_model import FOR_HUB, PER_PAIR, SPARE, Key, Noted, Outcome, Passed, Place

HUB_KEY = b"H" * 32
NUMBERS = [11, 12, 13, 14, 15]
PLACES: list[Place] = [
    *((bytes([203, 0, 113, host]), 4001) for host in (1, 2, 3, 4)),
    *((bytes(15) + bytes([host]), 4001) for host in (1, 2)),
    (bytes([203, 0, 113, 1]), 4002),
]
"""Where members may be: all but the last of them begin with IPv4."""
NOWHERE: Place = (bytes([198, 51, 100, 9]), 4001)
STRANGER = 99

numbers = st.sampled_from(NUMBERS)
pairs = st.sampled_from([(one, other) for one in NUMBERS for other in NUMBERS if one != other])
speakers = st.sampled_from([*NUMBERS, *NUMBERS, STRANGER])
indices = st.integers(0, 3) | st.sampled_from([0x01020304, 0xFFFFFFFF])
fillings = st.binary(min_size=1, max_size=2)
garblings = st.sampled_from(["cut", "longer", "reserved", "type", "mac1"])


def key(number: int, generation: int) -> Key:
    return bytes([number, generation]) * 16


def limit(members: int) -> int:
    return PER_PAIR * members + SPARE


recipients = st.builds(key, numbers, st.sampled_from([0, 0, 1])) | st.sampled_from([HUB_KEY, b"?" * 32])
reports = st.dictionaries(numbers, st.sampled_from(PLACES), max_size=3)


def describe(decision: object) -> Outcome:
    """The switch's decision in the oracle's words."""
    match decision:
        case Forward((to,), installs, False):
            return Passed((to.address, to.port), next(map(_tell, installs), None))
        case Install():
            return Noted(_tell(decision))
        case ForHub():
            return FOR_HUB
        case _:
            return str(decision)


def _tell(install: Install) -> tuple[tuple[int, int], int]:
    return (install.label.source, int(install.label.index)), install.target
