"""The hub's API over real TLS: what each route answers to the right caller and to the wrong one."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from spokewire.api.client import connect
from spokewire.api.messages import MAX_BODY_BYTES
from spokewire.errors import Code, InputError
from spokewire.hub.api import REQUEST_BURST
from spokewire.network.documents import verify_member
from tests.component.made import Machine, Network, make_public_key
from tests.component.served import insecure, serve_hub, speak

ROUTES = [
    ("POST", "/v1/records", {"record": "x"}),
    ("GET", "/v1/roster", None),
    ("POST", "/v1/reports", {"document": "x"}),
    ("PUT", "/v1/settings", {"settings": "x"}),
    ("GET", "/v1/status", None),
    ("POST", "/v1/tests", {"request": "x"}),
]
OPERATORS_ONLY = [("GET", "/v1/status", None), ("POST", "/v1/tests", {"request": "x"})]


def check_problem(response: httpx.Response, status: int, code: Code) -> dict[str, Any]:
    """Every refusal has the same shape: a status, a code for programs, a sentence and a hint for people."""
    body: dict[str, Any] = json.loads(response.content)
    assert (response.status_code, body["code"]) == (status, code), body
    assert response.headers["content-type"] == "application/problem+json"
    assert body["status"] == status
    assert body["detail"]
    assert body["hint"]
    return body


def wrong_proofs(network: Network, node: Machine) -> list[tuple[str, dict[str, str], int, Code]]:
    stranger = Network().grant("node-1")
    expired = network.grant("node-1", lifetime_s=-1)
    borrowed = Machine(network, node.grant, node.grant_text, stranger.key)
    return [
        ("none", {}, 401, Code.PROOF_MISSING),
        ("another scheme", {"Authorization": "Basic eDp5"}, 401, Code.PROOF_MISSING),
        ("garbage", {"Authorization": "Bearer garbage"}, 401, Code.PROOF_INVALID),
        ("for another hub", node.proof("hub-2"), 401, Code.PROOF_INVALID),
        ("for another network", node.proof(network=stranger.network.id), 401, Code.PROOF_INVALID),
        ("stale", node.proof(age_s=3600), 401, Code.CLOCK_SKEW),
        ("from the future", node.proof(age_s=-3600), 401, Code.CLOCK_SKEW),
        ("of a foreign root", stranger.network.proof(), 401, Code.PROOF_INVALID),
        ("of a foreign grant", stranger.proof(), 401, Code.PROOF_INVALID),
        ("of an expired grant", expired.proof(), 401, Code.PROOF_INVALID),
        ("with another's grant", borrowed.proof(), 401, Code.PROOF_INVALID),
        ("a record instead", {"Authorization": f"Bearer {node.record()}"}, 401, Code.PROOF_INVALID),
    ]


def test_no_route_but_the_public_ones_answers_without_a_good_proof(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, hub.http() as http:
            node = hub.network.grant("node-1")
            for method, path, body in ROUTES:
                for what, headers, status, code in wrong_proofs(hub.network, node):
                    response = await http.request(method, path, headers=headers, json=body)
                    assert check_problem(response, status, code), what
                    assert response.headers["www-authenticate"] == "Bearer"

    asyncio.run(scenario())


def test_only_the_operator_sees_the_status_and_starts_tests(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, hub.http() as http:
            node = hub.network.grant("node-1")
            hub.membership.take(node.record())
            for method, path, body in OPERATORS_ONLY:
                check_problem(await http.request(method, path, headers=node.proof(), json=body), 403, Code.FORBIDDEN)
            seen = await http.get("/v1/status", headers=hub.network.proof())
            assert seen.status_code == 200
            assert [view["name"] for view in seen.json()["nodes"]] == ["node-1"]

    asyncio.run(scenario())


def test_anybody_may_ask_who_the_hub_is_and_whether_it_lives(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, hub.http() as http:
            introduction = (await http.get("/v1/hub")).json()
            member = verify_member(introduction["record"], hub.network.root.public_key(), hub.network.id, 0)
            assert member.name == "hub-1"
            assert (await http.get("/healthz")).text == "ok\n"
            metrics = await http.get("/metrics")
            assert 'spokewire_hub_state{state="connected"} 1.0' in metrics.text

    asyncio.run(scenario())


def test_a_node_joins_by_handing_in_its_record_and_again_changes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub:
            node = hub.network.grant("node-1")
            async with connect(hub.url, node.identity) as client:
                assert (await client.submit_record(node.record())).changed
                assert not (await client.submit_record(node.record())).changed
                assert (await client.submit_report(node.report())).changed
            async with connect(hub.url, hub.network.operator) as client:
                status = await client.fetch_status()
                assert [view.report is not None for view in status.nodes] == [True]
                assert node.record() in await client.fetch_roster()

    asyncio.run(scenario())


def test_a_token_used_on_a_second_machine_is_refused_and_the_first_keeps_its_place(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, hub.http() as http:
            node = hub.network.grant("node-1")
            hub.membership.take(node.record())
            before = hub.membership.roster.documents()
            clone = node.record(2, wireguard_key=make_public_key())
            response = await http.post("/v1/records", headers=node.proof(), json={"record": clone})
            assert "in use by another machine" in check_problem(response, 409, Code.GRANT_IN_USE)["detail"]
            assert hub.membership.roster.documents() == before

    asyncio.run(scenario())


def test_a_newer_token_takes_the_place_of_an_older_one_and_not_the_other_way(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, hub.http() as http:
            old, new = hub.network.grant("node-1"), hub.network.grant("node-1", later_ms=1000)
            for machine in (old, new):
                response = await http.post("/v1/records", headers=machine.proof(), json={"record": machine.record()})
                assert response.json() == {"accepted": True, "changed": True}
            back = await http.post("/v1/records", headers=old.proof(), json={"record": old.record(2)})
            check_problem(back, 409, Code.DOCUMENT_STALE)
            check_problem(await http.get("/v1/roster", headers=old.proof()), 403, Code.FORBIDDEN)

    asyncio.run(scenario())


def test_a_revoked_node_gets_nothing_any_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, hub.http() as http:
            node = hub.network.grant("node-1")
            hub.membership.take(node.record())
            async with connect(hub.url, hub.network.operator) as client:
                assert (await client.put_settings(hub.network.settings(2, node))).changed
            bodies = {"/v1/records": {"record": node.record(2)}, "/v1/reports": {"document": node.report()}}
            for method, path, body in ROUTES:
                sent = bodies.get(path, body)
                check_problem(await http.request(method, path, headers=node.proof(), json=sent), 403, Code.REVOKED)
            assert node.record() not in hub.membership.roster.documents()

    asyncio.run(scenario())


def test_a_machine_speaks_for_itself_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, hub.http() as http:
            node, other = hub.network.grant("node-1", 11), hub.network.grant("node-2", 12)
            hub.membership.take(node.record())
            hub.membership.take(other.record())
            wrong: list[tuple[str, dict[str, str], dict[str, str]]] = [
                ("/v1/reports", node.proof(), {"document": other.report()}),
                ("/v1/reports", node.proof(), {"document": other.result("t" * 16, "node-1")}),
                ("/v1/reports", hub.network.proof(), {"document": node.report()}),
            ]
            for path, headers, body in wrong:
                check_problem(await http.post(path, headers=headers, json=body), 403, Code.FORBIDDEN)
            stranger = hub.network.grant("node-3", 13)
            unjoined = await http.post("/v1/reports", headers=stranger.proof(), json={"document": stranger.report()})
            check_problem(unjoined, 403, Code.FORBIDDEN)
            unknown = await http.post("/v1/records", headers=stranger.proof(), json={"record": other.record(2)})
            check_problem(unknown, 403, Code.FORBIDDEN)

    asyncio.run(scenario())


def test_documents_with_a_broken_chain_are_refused_with_a_code_and_change_nothing(tmp_path: Path) -> None:
    def damage(text: str) -> str:
        head, payload, signature = text.split(".")
        return f"{head}.{payload}.{signature[:-4]}AAAA"

    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, hub.http() as http:
            network, foreign = hub.network, Network()
            node, before = network.grant("node-1"), hub.membership.roster.documents()
            cases: list[tuple[str, str, dict[str, str], int, Code]] = [
                ("POST", "/v1/records", {"record": foreign.grant("node-1").record()}, 400, Code.DOCUMENT_CHAIN),
                ("POST", "/v1/records", {"record": damage(node.record())}, 400, Code.DOCUMENT_SIGNATURE),
                ("POST", "/v1/records", {"record": "a.b.c"}, 400, Code.DOCUMENT_MALFORMED),
                ("POST", "/v1/records", {"record": network.settings()}, 400, Code.DOCUMENT_CHAIN),
                ("PUT", "/v1/settings", {"settings": foreign.settings(9)}, 400, Code.DOCUMENT_SIGNATURE),
                ("PUT", "/v1/settings", {"settings": node.record()}, 400, Code.DOCUMENT_KIND),
                ("POST", "/v1/tests", {"request": foreign.request(("node-1", "node-2"))}, 400, Code.DOCUMENT_SIGNATURE),
            ]
            for method, path, body, status, code in cases:
                check_problem(await http.request(method, path, headers=network.proof(), json=body), status, code)
            assert hub.membership.roster.documents() == before

    asyncio.run(scenario())


def test_old_settings_are_never_taken_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, connect(hub.url, hub.network.operator) as client:
            await client.put_settings(hub.network.settings(7))
            with pytest.raises(InputError) as refused:
                await client.put_settings(hub.network.settings(6))
            assert refused.value.code is Code.DOCUMENT_STALE
            assert hub.membership.roster.version == 7

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        pytest.param("GET", "/v1/nothing", b"", 404, Code.NOT_FOUND, id="a path that does not exist"),
        pytest.param("GET", "/v1/hub/", b"", 404, Code.NOT_FOUND, id="a slash too many"),
        pytest.param("GET", "/v1/%2e%2e/hub", b"", 404, Code.NOT_FOUND, id="a path with dots"),
        pytest.param("DELETE", "/v1/hub", b"", 405, Code.REQUEST_INVALID, id="another method"),
        pytest.param("BREW", "/v1/hub", b"", 405, Code.REQUEST_INVALID, id="a method that does not exist"),
        pytest.param("POST", "/v1/records", b"{", 400, Code.REQUEST_INVALID, id="half of JSON"),
        pytest.param("POST", "/v1/records", b"", 400, Code.REQUEST_INVALID, id="no body"),
        pytest.param("POST", "/v1/records", b"[]", 400, Code.REQUEST_INVALID, id="another shape"),
        pytest.param("POST", "/v1/records", b'{"record": 1}', 400, Code.REQUEST_INVALID, id="another type"),
        pytest.param("POST", "/v1/records", b'{"record": "\\ud800"}', 400, Code.REQUEST_INVALID, id="half a character"),
        pytest.param("POST", "/v1/records", b'{"\\ud800": 1}', 400, Code.REQUEST_INVALID, id="half a key"),
        pytest.param("POST", "/v1/records", b"\xff\xfe", 400, Code.REQUEST_INVALID, id="no text"),
        pytest.param("POST", "/v1/records", b"[" * 100_000, 400, Code.REQUEST_INVALID, id="nested without end"),
        pytest.param("POST", "/v1/records", b"x" * (MAX_BODY_BYTES + 1), 413, Code.TOO_LARGE, id="too large"),
        pytest.param(
            "POST", "/v1/records", b'{"record": "%s"}' % (b"x" * 20_000), 400, Code.REQUEST_INVALID, id="a long record"
        ),
    ],
)
def test_a_request_that_makes_no_sense_gets_a_problem_document(
    tmp_path: Path, method: str, path: str, content: bytes, status: int, code: Code
) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, hub.http() as http:
            headers = {"Content-Type": "application/json"} | hub.network.proof()
            check_problem(await http.request(method, path, headers=headers, content=content), status, code)
            assert (await http.get("/healthz")).status_code == 200

    asyncio.run(scenario())


def test_a_refusal_does_not_grow_with_what_was_sent(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub, hub.http() as http:
            for body in ({f"key-{n}": n for n in range(20_000)}, {"k" * 300_000: 1}):
                response = await http.post("/v1/records", json=body)
                check_problem(response, 400, Code.REQUEST_INVALID)
                assert len(response.content) < 8192

    asyncio.run(scenario())


def test_who_asks_too_often_is_told_to_wait_and_others_are_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve_hub(tmp_path) as hub:
            heads = [
                b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.%d" % (n % 250) for n in range(1000)
            ]
            answers = await speak(hub.port, b"\r\n\r\n".join(heads) + b"\r\nConnection: close\r\n\r\n")
            served, refused = (answers.count(b"HTTP/1.1 %d" % status) for status in (200, 429))
            assert served + refused == 1000
            assert REQUEST_BURST <= served < 900, "a header must not make many clients of one"
            told = answers.partition(b"HTTP/1.1 429")[2].partition(b"HTTP/1.1")[0]
            assert all(words in told for words in (b"retry-after: 1", b"application/problem+json", b'"rate-limited"'))
            other = httpx.AsyncHTTPTransport(verify=insecure(), local_address="127.0.0.9")
            async with httpx.AsyncClient(base_url=hub.url, transport=other) as elsewhere:
                assert (await elsewhere.get("/healthz")).status_code == 200

    asyncio.run(scenario())


def test_what_proves_a_caller_is_neither_logged_nor_repeated(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> tuple[str, list[str]]:
        async with serve_hub(tmp_path) as hub, hub.http() as http:
            node, said = hub.network.grant("node-1"), ""
            proofs = [node.proof(), node.proof("hub-2"), node.proof(age_s=3600), hub.network.proof()]
            for method, path, body in [*ROUTES, ("GET", "/v1/nothing", None), ("PATCH", "/v1/status", None)]:
                for proof in proofs:
                    async with http.stream(method, path, headers=proof, json=body) as response:
                        said += str(response.headers)
                        if response.status_code != 200:
                            said += (await response.aread()).decode()
            secrets = [proof["Authorization"].rpartition(".")[2] for proof in proofs]
            return said, [*secrets, (tmp_path / "tls.key").read_text().splitlines()[1]]

    said, secrets = asyncio.run(scenario())
    out, err = capfd.readouterr()
    assert "proof-invalid" in said
    assert [secret for secret in secrets if secret in said + out + err] == []
