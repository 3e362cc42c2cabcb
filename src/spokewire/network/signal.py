"""Signals: what two nodes tell each other of their paths, through the tunnel between them. Pure.

A datagram on the echo's port: magic `SPWS` (4), version (1), then JSON of at most MAX_BYTES. It comes through the tunnel, so that WireGuard vouches for
its sender; it is still read as strictly as anything else.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spokewire.network.punching import MAX_PLACES

MAX_BYTES = 1200
"""With the heads below any MTU of ours."""
MAX_HUBS = 16
"""So many legs fit beside a word on direct paths, whatever they say. Of further hubs nothing is told, which counts as if they worked."""
_HEAD = b"SPWS\x01"

PlaceText = Annotated[str, Field(max_length=60, pattern=r"^(\[[0-9A-Fa-f:.]+\]|[0-9.]+):[0-9]{1,5}$")]
KeyText = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
HubNumber = Annotated[int, Field(ge=1, le=2**20)]


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class LegTold(_Shape):
    """How the sender and one hub hear each other."""

    hub: HubNumber
    """Its host number in the address plan."""
    alive: bool
    loss_pct: float = Field(default=0.0, ge=0.0, le=100.0)
    rtt_ms: float | None = Field(default=None, ge=0.0, le=60_000.0)


class DirectTold(_Shape):
    """Where the sender may be reached without a hub, and how a probe to it is to be signed. Telling it is consent."""

    places: tuple[PlaceText, ...] = Field(default=(), strict=False, max_length=MAX_PLACES)
    key: KeyText
    round: int = Field(ge=0, le=2**31)
    taken: bool = False
    """The sender sends directly now. If it leads, the other end is to do the same, or packets of before would call the sender back to the hub; if it follows, it does."""


class Signal(_Shape):
    """What a node tells another."""

    kind: Literal["paths"] = "paths"
    legs: tuple[LegTold, ...] = Field(default=(), strict=False, max_length=MAX_HUBS)
    chosen: HubNumber | None = None
    """The hub that the sender wants the pair's packets to go through."""
    direct: DirectTold | None = None


def format_signal(signal: Signal) -> bytes:
    """Write a signal. Where all does not fit into MAX_BYTES, the last of the places are left out."""
    data = _HEAD + signal.model_dump_json(exclude_defaults=True).encode()
    direct = signal.direct
    if len(data) <= MAX_BYTES or direct is None or not direct.places:
        return data
    fewer = direct.model_copy(update={"places": direct.places[:-1]})
    return format_signal(signal.model_copy(update={"direct": fewer}))


def parse_signal(data: bytes) -> Signal | None:
    """Read a signal; None for anything else."""
    if not data.startswith(_HEAD) or len(data) > MAX_BYTES:
        return None
    try:
        return Signal.model_validate_json(data[len(_HEAD) :])
    except (ValidationError, RecursionError):
        return None
