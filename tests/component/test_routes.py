"""Which of a hub's addresses a machine uses: the first that it has a route to."""

import pytest

from spokewire.host.routes import choose_url, has_route

NOWHERE = "https://[fe80::1]:443"
"""A link-local address without a link: no machine has a route to it."""
HERE = "https://127.0.0.1:443"


@pytest.mark.parametrize(
    ("host", "routed"), [("127.0.0.1", True), ("hub.example.com", True), ("fe80::1", False), ("", True)]
)
def test_a_route_is_looked_up_without_sending_anything(host: str, routed: bool) -> None:
    assert has_route(host) is routed


@pytest.mark.parametrize(
    ("urls", "chosen"),
    [
        ((HERE,), HERE),
        ((NOWHERE, HERE), HERE),
        ((HERE, "https://127.0.0.2:443"), HERE),
        ((NOWHERE,), NOWHERE),
        ((NOWHERE, "https://[::1", HERE), "https://[::1"),
        (("https://hub.example.com", HERE), "https://hub.example.com"),
    ],
)
def test_the_first_url_with_a_route_is_used_and_the_first_of_all_if_none_has_one(
    urls: tuple[str, ...], chosen: str
) -> None:
    assert choose_url(urls) == chosen
