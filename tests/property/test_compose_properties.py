"""Any compose file either keeps all that it says beside the agent, or is refused with what is wrong and where."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from spokewire.cloud.phala.compose import MAX_BYTES, NAMES, SERVICE, VOLUME, Marker, join_agent, read_marker
from spokewire.cloud.phala.variables import find_used
from spokewire.errors import Code, InputError
from tests.builders import attempt
from tests.property.strategies import hostile_text, mutations

MARKER = Marker("demo", "k" * 43)
USERS = """
x-a: &a {restart: always, e: [1, yes, '22:22', 22:22]}
services:
  web: {<<: *a, image: "nginx", ports: ["80:80", 443]}
  db:
    image: postgres
    command: >
      folded text

        indented
    environment: {A: , B: ~, C: 010}
volumes: {data: }
"""
printable = st.characters(blacklist_categories=["Cs", "Cc", "Cn"], blacklist_characters="\ufeff\u2028\u2029\x85")
texts = st.text(printable, max_size=12) | st.text(alphabet=" \n\t:#-'\"&*!|>%@`[]{},?=<~ye0.1", max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False) | texts
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(printable, max_size=6), inner, max_size=3),
    max_leaves=8,
)
names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
services = st.dictionaries(
    names, st.dictionaries(names.filter(lambda n: n not in {"ports", "expose"}), values, max_size=4), max_size=4
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "services": services,
        "volumes": st.dictionaries(names, st.none() | st.just({}), max_size=3),
        "x-y": values,
    },
)


def join(text: str, variables: tuple[str, ...] = ()) -> str:
    return join_agent(text, "compose.yml", "image@sha256:0", MARKER, variables)


def refusal(text: str, variables: tuple[str, ...]) -> InputError:
    with pytest.raises(InputError) as caught:
        join(text, variables)
    return caught.value


def used_in(value: object) -> list[str]:
    """The variables that docker compose would look for: in values, not in keys."""
    if isinstance(value, dict):
        return [name for item in value.values() for name in used_in(item)]
    if isinstance(value, list):
        return [name for item in value for name in used_in(item)]
    return find_used(value) if isinstance(value, str) else []


@given(
    documents, st.sampled_from([True, False, None]), st.sampled_from([None, '"', "'", "|", ">"]), st.integers(20, 90)
)
def test_whatever_a_file_says_is_said_afterwards(
    document: dict[str, Any], flow: bool | None, style: str | None, width: int
) -> None:
    text = yaml.safe_dump(
        document, default_flow_style=flow, default_style=style, width=width, allow_unicode=True, sort_keys=False
    )
    expected = yaml.safe_load(text) or {}
    variables = tuple(dict.fromkeys(used_in(expected)))
    joined = join(text, variables)
    after = yaml.safe_load(joined)
    assert after.pop(NAMES, []) == list(variables)
    assert after["services"].pop(SERVICE)["network_mode"] == "host"
    assert VOLUME in after["volumes"]
    del after["volumes"][VOLUME]
    assert after == {"services": {}, "volumes": {}} | expected
    assert join(text, variables) == joined
    assert read_marker(joined) == MARKER
    for name in variables:
        others = tuple(other for other in variables if other != name)
        assert name in str(refusal(text, others).faults)


def check(outcome: str | InputError) -> None:
    if isinstance(outcome, InputError):
        assert outcome.code is Code.SPEC_INVALID
        assert outcome.faults
        assert all(fault.place.startswith("compose.yml") and fault.problem for fault in outcome.faults)
        return
    assert len(outcome.encode()) <= MAX_BYTES
    assert read_marker(outcome) == MARKER
    # What was written can be read, and read again it gives the same.
    assert isinstance(attempt(join, outcome), InputError)


@given(hostile_text)
def test_any_text_is_joined_or_refused_with_a_place(text: str) -> None:
    check(attempt(join, text))


@given(mutations(USERS))
def test_a_file_with_typing_mistakes_is_joined_or_refused_with_a_place(text: str) -> None:
    check(attempt(join, text))
