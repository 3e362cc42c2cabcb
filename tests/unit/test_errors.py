import pytest

from spokewire.errors import HTTP_STATUS, Code, Fault, InputError, PermanentError, SpokewireError, TemporaryError


@pytest.mark.parametrize(
    ("kind", "exit_status", "http_status"), [(InputError, 2, 400), (TemporaryError, 75, 503), (PermanentError, 1, 500)]
)
def test_each_kind_of_error_has_the_exit_status_that_the_commands_promise(
    kind: type[SpokewireError], exit_status: int, http_status: int
) -> None:
    error = kind(Code.DISK, "The disk is full.", hint="Make room.")
    assert (error.exit_status, error.http_status) == (exit_status, http_status)
    assert (str(error), error.message, error.hint, error.code) == (
        "The disk is full.",
        "The disk is full.",
        "Make room.",
        "disk",
    )
    assert error.faults == ()


def test_a_code_with_an_http_status_of_its_own_has_it_whatever_the_kind() -> None:
    for code, status in HTTP_STATUS.items():
        assert InputError(code, "").http_status == TemporaryError(code, "").http_status == status
        assert 400 <= status < 600


def test_codes_are_stable_words_for_programs() -> None:
    assert len({str(code) for code in Code}) == len(Code)
    for code in Code:
        assert str(code) == code.name.lower().replace("_", "-")


def test_a_fault_reads_as_a_sentence_with_its_place() -> None:
    assert str(Fault("nodes[0].count", "-1 is not allowed", "0 or more")) == (
        "nodes[0].count: -1 is not allowed; expected 0 or more"
    )
    assert str(Fault("network", "missing")) == "network: missing"


def test_an_error_carries_every_fault_in_order() -> None:
    faults = [Fault("a", "x"), Fault("b", "y")]
    assert InputError(Code.SPEC_INVALID, "m", faults=faults).faults == tuple(faults)
