"""The networks of the truth test are those of the lab tests."""

from tests.lab.conftest import cache, make_network

__all__ = ["cache", "make_network"]
