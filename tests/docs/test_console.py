"""The comparison of shown with printed output must be able to fail."""

import pytest

from tests.docs.console import Step, matches, parse_steps


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (["4 of 4 machines are ready."], "4 of 4 machines are ready.\n", True),
        (["4 of 4 machines are ready."], "3 of 4 machines are ready.\n", False),
        (["node-1  ok 1.2 ms"], "node-1     ok 130 ms  \n", True),
        (["a  9.8 s"], "a  never\n", True),
        (["hub  10.88.0.1"], "hub  10.88.0.2\n", False),
        (["first", "…", "last"], "first\nany\nthing\nlast\n", True),
        (["first", "…", "last"], "first\nlast\n", True),
        (["first", "…", "last"], "first\nany\n", False),
        (["node-2  … the machine is off"], "node-2  x y  the machine is off\n", True),
        (["node-2  … the machine is off"], "node-3  x y  the machine is off\n", False),
        ([], "more than shown\n", False),
        (["less than printed"], "less than printed\nand more\n", False),
    ],
)
def test_output_is_compared_by_its_shape_and_not_by_measured_values(shown: list[str], printed: str, same: bool) -> None:
    assert matches(tuple(shown), printed) is same


def test_a_console_block_is_read_as_commands_with_their_machines_and_their_output() -> None:
    block = "$ one\nout 1\nout 2\nhub$ cat > x <<END\na = 1\n$ no prompt\nEND\nfound\n"
    assert parse_steps(block) == [
        Step("", "one", ("out 1", "out 2")),
        Step("hub", "cat > x <<END\na = 1\n$ no prompt\nEND", ("found",)),
    ]
