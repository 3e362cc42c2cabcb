"""Several hubs in a spec, and direct paths."""

import pytest

from spokewire.network.spec import NetworkSpec
from tests.builders import SPEC_TEXT, make_spec, spec_faults

SECOND = "[[hubs]]\nname = 'hub-2'\n"


def many(count: int) -> str:
    return SPEC_TEXT + "".join(f"[[hubs]]\nname = 'hub-{number}'\n" for number in range(2, count + 1))


def usage(spec: NetworkSpec) -> list[tuple[str, int, bool]]:
    return [(str(hub.name), hub.weight, hub.drain) for hub in spec.hubs]


def test_hubs_are_equal_and_none_drains_unless_the_spec_says_so() -> None:
    assert usage(make_spec(SPEC_TEXT + SECOND)) == [("hub-1", 10, False), ("hub-2", 10, False)]
    spec = make_spec(SPEC_TEXT + SECOND + "weight = 0\n[[hubs]]\nname = 'hub-3'\nweight = 100\ndrain = true\n")
    assert usage(spec) == [("hub-1", 10, False), ("hub-2", 0, False), ("hub-3", 100, True)]


def test_a_network_has_at_most_ten_hubs() -> None:
    assert len(make_spec(many(10)).hubs) == 10
    assert spec_faults(many(11)) == {"hubs": "11 hubs; expected 1 to 10"}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (SECOND + "drain = true\n", "hubs", "the only hub drains"),
        (SECOND + "drain = true\n[[hubs]]\nname = 'hub-3'\ndrain = true\n", "hubs", "every hub drains"),
        (SECOND + "weight = 101\n", "hubs[0].weight", "101 is not allowed; expected less than or equal to 100"),
        (SECOND + "weight = -1\n", "hubs[0].weight", "greater than or equal to 0"),
        (SECOND + "weight = 1.5\n", "hubs[0].weight", "1.5 is not allowed"),
        (SECOND + "drain = 1\n", "hubs[0].drain", "expected true or false"),
    ],
)
def test_a_hub_that_cannot_be_used_as_the_spec_says_is_one_fault(text: str, place: str, words: str) -> None:
    faults = spec_faults(SPEC_TEXT.replace('[[hubs]]\nname = "hub-1"\n', "") + text)
    assert list(faults) == [place]
    assert words in faults[place]


def test_direct_paths_are_for_sealed_networks() -> None:
    def with_network(*lines: str) -> str:
        return SPEC_TEXT.replace('name = "demo"', "\n".join(['name = "demo"', *lines]))

    assert not make_spec().direct
    assert make_spec(with_network("direct = true")).direct
    assert not make_spec(with_network("direct = false", "relay = 'routed'")).direct
    refused = spec_faults(with_network("direct = true", "relay = 'routed'"))
    assert refused == {"network.direct": 'not allowed here; expected relay = "sealed" with it, or no direct'}
    assert list(spec_faults(with_network("direct = 'yes'", "relay = 'routed'"))) == ["network.direct"]
