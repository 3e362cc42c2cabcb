import pytest

from spokewire.network.names import interface_name, is_machine_name, is_network_name, natural_order


@pytest.mark.parametrize(
    ("text", "is_network", "is_machine"),
    [
        ("a", True, True),
        ("demo", True, True),
        ("node-1", True, True),
        ("a-b-c", True, True),
        ("abcdefghijkl", True, True),
        ("abcdefghijklm", False, True),
        ("a" * 32, False, True),
        ("a" * 33, False, False),
        ("", False, False),
        ("1node", False, False),
        ("-node", False, False),
        ("node-", False, False),
        ("Node", False, False),
        ("no de", False, False),
        ("node_1", False, False),
        ("node.1", False, False),
        ("knötchen", False, False),
        ("node\n", False, False),
        ("../etc", False, False),
        ("a;b", False, False),
    ],
)
def test_a_name_is_lower_case_letters_digits_and_hyphens(text: str, is_network: bool, is_machine: bool) -> None:
    assert is_network_name(text) is is_network
    assert is_machine_name(text) is is_machine


def test_the_longest_network_name_still_makes_an_interface_name_that_linux_takes() -> None:
    longest = "a" * 12
    assert is_network_name(longest)
    assert interface_name(longest) == "wg-aaaaaaaaaaaa"
    assert len(interface_name(longest)) <= 15


@pytest.mark.parametrize(
    "ordered",
    [
        ["node-1", "node-2", "node-10", "node-100"],
        ["a", "a-1", "b"],
        ["a1b2", "a1b10", "a2b1"],
        ["alpha-9", "beta-1"],
    ],
)
def test_names_are_listed_as_people_count(ordered: list[str]) -> None:
    backwards = ordered[::-1]
    assert sorted(backwards, key=natural_order) == ordered
