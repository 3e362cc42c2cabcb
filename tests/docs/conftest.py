"""The documentation's tests need the lab's fixtures: they skip, with the reason, where there can be no lab."""

from tests.lab.conftest import cache, make_network

__all__ = ["cache", "make_network"]
