import pytest

from spokewire.api.limits import MAX_CLIENTS, TokenBucket, name_client


def test_a_burst_is_admitted_and_then_no_more() -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0)
    assert [bucket.admit("a", 0.0) for _ in range(5)] == [True, True, True, False, False]


def test_waiting_earns_requests_at_the_rate_and_no_more_than_a_burst() -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0)
    for _ in range(4):
        bucket.admit("a", 0.0)
    assert not bucket.admit("a", 0.4)
    assert bucket.admit("a", 0.5)
    assert not bucket.admit("a", 0.5)
    assert [bucket.admit("a", 1000.0) for _ in range(4)] == [True, True, True, False]


def test_being_refused_costs_nothing() -> None:
    bucket = TokenBucket(rate=1.0, burst=1.0)
    bucket.admit("a", 0.0)
    refused = [bucket.admit("a", second / 100) for second in range(1, 100)]
    assert not any(refused)
    assert bucket.admit("a", 1.01)


def test_one_client_does_not_use_up_anothers_share() -> None:
    bucket = TokenBucket(rate=1.0, burst=1.0)
    assert bucket.admit("a", 0.0)
    assert bucket.admit("b", 0.0)
    assert not bucket.admit("a", 0.0)


def test_a_flood_of_addresses_does_not_fill_the_memory_and_forgets_the_longest_silent_first() -> None:
    bucket = TokenBucket(rate=0.001, burst=1.0)
    bucket.admit("first", 0.0)
    bucket.admit("second", 0.0)
    for number in range(MAX_CLIENTS - 2):
        bucket.admit(f"flood-{number}", 1.0)
    assert not bucket.admit("first", 2.0)
    bucket.admit("one more", 2.0)
    assert not bucket.admit("first", 2.0)
    assert bucket.admit("second", 2.0)
    assert len(bucket._levels) == MAX_CLIENTS


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("2001:db8::5", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::5", "2001:db8:0:1::/64"),
        ("", ""),
    ],
)
def test_all_addresses_of_one_ipv6_network_share_a_limit(address: str, client: str) -> None:
    assert name_client(address) == client


def test_a_client_that_would_be_refused_is_known_without_counting() -> None:
    bucket = TokenBucket(rate=1.0, burst=2.0)
    assert [bucket.is_empty("a", 0.0) for _ in range(5)] == [False] * 5
    assert [bucket.admit("a", 0.0) for _ in range(3)] == [True, True, False]
    assert [bucket.is_empty("a", now) for now in (0.0, 0.5, 1.0)] == [True, True, False]
    assert not bucket.is_empty("b", 0.0)
