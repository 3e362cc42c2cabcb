"""The kinds of relay. By itself, so that an agent need not know what else a spec may say."""

from enum import StrEnum


class Relay(StrEnum):
    """How the hub carries packets between nodes."""

    ROUTED = "routed"
    SEALED = "sealed"
