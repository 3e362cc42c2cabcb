"""The API against requests that nobody would write by hand, made from its own description and from raw bytes."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from spokewire.api.messages import Problem
from spokewire.hub import api
from tests.component.made import Machine, Network
from tests.component.served import hub_record, make_parts, make_tls

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
SUBMISSIONS = [("POST", "/v1/records"), ("POST", "/v1/reports"), ("PUT", "/v1/settings"), ("POST", "/v1/tests")]
QUESTIONS = [("GET", "/v1/hub"), ("GET", "/healthz"), ("GET", "/metrics"), ("GET", "/v1/status")]
"""All but the roster, which never ends: its refusals are in `test_hub_api`."""
patient = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@dataclass(frozen=True)
class Fuzzed:
    """An API that never says that it is asked too often, and callers and documents that it knows."""

    app: FastAPI
    network: Network
    node: Machine
    documents: tuple[str, ...]

    @property
    def callers(self) -> list[dict[str, str]]:
        return [{}, {"Authorization": "Bearer x"}, self.network.proof(), self.node.proof()]

    def ask(self, method: str, path: str, headers: dict[str, str], content: bytes = b"") -> httpx.Response:
        """One request, without a server; a defect comes back as status 500."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="https://hub") as http:
                return await http.request(method, path, headers=headers, content=content)

        return asyncio.run(ask())


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    folder: Path = tmp_path_factory.mktemp("fuzz")
    network, ticks = Network(), itertools.count(step=1000)
    hub, node = network.grant("hub-1", 1, role="hub"), network.grant("node-1")
    record = hub_record(hub, 443, make_tls(folder).certificate_file.read_text())
    parts = replace(make_parts(network, hub, folder, record=record), monotonic=lambda: float(next(ticks)))
    documents = (record, network.settings(), node.record(), node.report(), node.result("t" * 16, "node-2"))
    for text in documents[:3]:
        parts.membership.take(text)
    yield Fuzzed(api.build(parts), network, node, (*documents, network.request(("node-8", "node-9"))))
    parts.membership.close()


def operation(fuzzed: Fuzzed, method: str, path: str) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", fuzzed.app)[path][method]


@pytest.mark.parametrize(("method", "path"), SUBMISSIONS + QUESTIONS)
def test_answers_are_what_the_description_promises(fuzzed: Fuzzed, method: str, path: str) -> None:
    described = operation(fuzzed, method, path)
    cases = described.as_strategy(generation_mode=POSITIVE)
    if (method, path) in SUBMISSIONS:
        cases |= described.as_strategy(generation_mode=NEGATIVE)

    @patient
    @given(case=cases, headers=st.sampled_from(fuzzed.callers))
    def check(case: Any, headers: dict[str, str]) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    check()


@pytest.mark.parametrize(("method", "path"), SUBMISSIONS)
def test_genuine_documents_with_one_thing_changed_are_taken_or_refused_as_described(
    fuzzed: Fuzzed, method: str, path: str
) -> None:
    described = operation(fuzzed, method, path)
    [field] = fuzzed.app.openapi()["components"]["schemas"][_shape(fuzzed, method, path)]["properties"]

    @patient
    @given(text=_altered(fuzzed.documents), headers=st.sampled_from(fuzzed.callers[2:]))
    def check(text: str, headers: dict[str, str]) -> None:
        case = described.Case(body={field: text}, media_type="application/json")
        case.call_and_validate(headers=headers, checks=CHECKS)

    check()


def test_raw_bytes_in_a_body_are_answered_with_a_problem_and_change_nothing(fuzzed: Fuzzed) -> None:
    def nodes() -> Any:
        return fuzzed.ask("GET", "/v1/status", fuzzed.network.proof()).json()["nodes"]

    before = nodes()
    nested = st.recursive(st.none() | st.booleans() | st.floats() | st.text(), _nest, max_leaves=20)
    bodies = st.binary() | nested.map(lambda value: json.dumps(value).encode())
    kinds = st.sampled_from(["application/json", "text/plain", "multipart/form-data; boundary=x", "x", ""])

    @patient
    @given(st.sampled_from(SUBMISSIONS), bodies, kinds, st.sampled_from(fuzzed.callers))
    def check(target: tuple[str, str], body: bytes, kind: str, caller: dict[str, str]) -> None:
        response = fuzzed.ask(*target, {"Content-Type": kind} | caller, body)
        assert 400 <= response.status_code < 500
        assert response.headers["content-type"] == "application/problem+json"
        assert Problem.model_validate_json(response.content).hint

    check()
    assert nodes() == before


def test_any_path_and_any_authorization_is_answered_without_a_defect(fuzzed: Fuzzed) -> None:
    @patient
    @given(st.text(max_size=50), st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
    def check(path: str, authorization: str) -> None:
        encoded = "".join(f"%{byte:02x}" for byte in path.encode(errors="surrogatepass"))
        for target in (f"/v1/x{encoded}", "/v1/status"):
            response = fuzzed.ask("GET", target, {"Authorization": authorization})
            assert response.status_code in (401, 404)
            assert Problem.model_validate_json(response.content).code

    check()


def test_the_description_names_no_shape_of_error_but_ours(fuzzed: Fuzzed) -> None:
    described = fuzzed.app.openapi()
    assert described["openapi"].startswith("3.")
    for path, operations in described["paths"].items():
        for method, answers in operations.items():
            for status, answer in answers["responses"].items():
                kinds = list(answer["content"])
                assert status == "200" or kinds == ["application/problem+json"], (method, path, status)
    assert "HTTPValidationError" not in described["components"]["schemas"]


def _shape(fuzzed: Fuzzed, method: str, path: str) -> str:
    body = fuzzed.app.openapi()["paths"][path][method.lower()]["requestBody"]
    return str(body["content"]["application/json"]["schema"]["$ref"]).rpartition("/")[2]


def _altered(documents: tuple[str, ...]) -> st.SearchStrategy[str]:
    def alter(text: str, place: float, cut: int, put: str) -> str:
        position = int(place * len(text))
        return text[:position] + put + text[position + cut :]

    return st.builds(
        alter, st.sampled_from(documents), st.floats(0, 1), st.integers(0, 3), st.sampled_from(["", "A", ".", "=", "é"])
    )


def _nest(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner) | st.dictionaries(st.text(), inner)
