"""The node's metrics as they are served: on the public port, under its limits, without secrets."""

from pathlib import Path

from spokewire.node.board import Board
from tests.component.test_node_status import ask, make_board
from tests.exposed import parse_page


def test_a_node_serves_its_metrics_beside_its_status(tmp_path: Path) -> None:
    board, secrets = make_board(tmp_path)
    board.transferred = lambda _: (1000, 2000)
    [answer] = ask(board.status, "/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    page = parse_page(answer.text)
    assert page["spokewire_node_state"].value(state="connected") == 1
    assert page["spokewire_node_hub_rtt_seconds"].value(hub="hub-1") == 0.004
    assert page["spokewire_node_peer_state"].value(peer="node-2", state="connected") == 1
    assert page["spokewire_node_peer_transmit_bytes_total"].value(peer="node-2") == 2000
    assert page["process_resident_memory_bytes"].value() > 1e6  # type: ignore[operator]
    assert [secret for secret in secrets if secret in answer.text] == []


def test_metrics_are_served_before_anything_else_is_known(tmp_path: Path) -> None:
    [answer] = ask(Board(tmp_path).status, "/metrics")
    assert parse_page(answer.text)["spokewire_node_state"].value(state="starting") == 1


def test_metrics_count_against_the_same_limit_as_everything_else(tmp_path: Path) -> None:
    answers = ask(Board(tmp_path).status, *["/status", "/metrics"] * 75)
    assert {answer.status_code for answer in answers[:100]} == {200}
    assert 429 in {answer.status_code for answer in answers[100:]}
