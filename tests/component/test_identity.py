"""Who a machine is: its token, given once and kept."""

import stat
from pathlib import Path

import pytest

from spokewire.errors import Code, InputError
from spokewire.host.identity import describe_node, load_identity, refresh_record
from spokewire.network.documents import Record, verify
from spokewire.network.keys import format_public_key
from spokewire.network.names import WireGuardKey
from tests.component.made import Machine, Network, make_public_key


def refuse(folder: Path, text: str | None, network: str | None = None) -> InputError:
    with pytest.raises(InputError) as refused:
        load_identity(folder, "node", text, network)
    return refused.value


def test_a_token_is_given_once_and_kept_for_its_owner_only(tmp_path: Path) -> None:
    node = Network().grant("node-1")
    given = load_identity(tmp_path, "node", node.token() + "\n")
    kept = load_identity(tmp_path, "node", None)
    assert (given.token.grant, given.folder) == (kept.token.grant, tmp_path / "made")
    assert kept.token.grant == node.grant
    path = tmp_path / "made" / "token"
    assert [stat.S_IMODE(place.stat().st_mode) for place in (path, path.parent)] == [0o600, 0o700]


def test_a_machine_that_starts_with_the_token_it_has_writes_nothing_so_a_full_disk_does_not_stop_it(
    tmp_path: Path,
) -> None:
    node = Network().grant("node-1")
    load_identity(tmp_path, "node", node.token())
    before = (tmp_path / "made" / "token").stat()
    assert load_identity(tmp_path, "node", node.token() + "\n").token.grant == node.grant
    after = (tmp_path / "made" / "token").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_newer_token_for_the_same_machine_replaces_the_kept_one(tmp_path: Path) -> None:
    network = Network()
    old, new = network.grant("node-1"), network.grant("node-1", later_ms=1000)
    load_identity(tmp_path, "node", old.token())
    load_identity(tmp_path, "node", new.token())
    assert load_identity(tmp_path, "node", None).token.grant == new.grant


def test_a_machine_that_was_made_for_one_root_key_takes_no_token_of_another(tmp_path: Path) -> None:
    mine, theirs = Network(), Network()
    right, wrong = (format_public_key(network.root.public_key()) for network in (mine, theirs))
    token = mine.grant("node-1").token()
    for given in (token, None):
        assert load_identity(tmp_path, "node", given, root_key=right).token.grant.name == "node-1"
        with pytest.raises(InputError) as refused:
            load_identity(tmp_path, "node", given, root_key=wrong)
        assert refused.value.code is Code.TOKEN_FOREIGN
    with pytest.raises(InputError, match="SPOKEWIRE_ROOT_KEY"):
        load_identity(tmp_path / "new", "node", token, root_key=wrong)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("other", ["another network of that name", "another machine"])
def test_a_token_of_somebody_else_does_not_take_the_machine_over(tmp_path: Path, other: str) -> None:
    network = Network()
    mine = network.grant("node-1")
    theirs = Network().grant("node-1") if other.endswith("name") else network.grant("node-2", 12)
    load_identity(tmp_path, "node", mine.token())
    error = refuse(tmp_path, theirs.token())
    assert (error.code, "--state-dir" in error.hint) == (Code.TOKEN_FOREIGN, True)
    assert load_identity(tmp_path, "node", None).token.grant == mine.grant


def bad_tokens(node: Machine) -> dict[str, tuple[str, Code]]:
    token = node.token()
    network, stranger = node.network, Network()
    other_key = Machine(network, node.grant, node.grant_text, stranger.root)
    other_root = Machine(stranger, node.grant, node.grant_text, node.key)
    return {
        "garbage": ("words that are no token at all", Code.TOKEN_DAMAGED),
        "cut short": (token[:-20], Code.TOKEN_DAMAGED),
        "one letter changed": (token[:40] + ("A" if token[40] != "A" else "B") + token[41:], Code.TOKEN_DAMAGED),
        "not ASCII": ("spw1.ü.12345678", Code.TOKEN_DAMAGED),
        "expired": (network.grant("node-1", lifetime_s=-5).token(), Code.TOKEN_EXPIRED),
        "with another's key": (other_key.token(), Code.TOKEN_FOREIGN),
        "with another root": (other_root.token(), Code.TOKEN_FOREIGN),
        "for the other role": (network.grant("hub-1", 1, role="hub").token(), Code.TOKEN_FOREIGN),
    }


@pytest.mark.parametrize("what", list(bad_tokens(Network().grant("node-1"))))
def test_a_bad_token_is_told_by_a_code_never_quoted_and_changes_nothing(tmp_path: Path, what: str) -> None:
    text, code = bad_tokens(Network().grant("node-1"))[what]
    error = refuse(tmp_path, text)
    assert (error.code, bool(error.hint)) == (code, True)
    assert text[5:25] not in f"{error.message} {error.hint}"
    assert list(tmp_path.iterdir()) == []


def test_a_kept_token_that_was_damaged_on_disk_says_so(tmp_path: Path) -> None:
    load_identity(tmp_path, "node", Network().grant("node-1").token())
    (tmp_path / "made" / "token").write_text("spw1.half")
    assert refuse(tmp_path, None).code is Code.TOKEN_DAMAGED


def test_a_machine_without_a_token_and_one_of_two_networks_are_told_what_to_do(tmp_path: Path) -> None:
    none = refuse(tmp_path, None)
    assert (none.code, "spokewire node token" in none.hint) == (Code.TOKEN_MISSING, True)
    for name in ("home", "work"):
        load_identity(tmp_path, "node", Network(name=name).grant("node-1").token())
    both = refuse(tmp_path, None)
    assert (both.code, "home, work" in both.message, "--network" in both.hint) == (Code.TOKEN_MISSING, True, True)
    assert load_identity(tmp_path, "node", None, "work").token.grant.network_name == "work"
    assert refuse(tmp_path, None, "elsewhere").code is Code.TOKEN_MISSING


def test_a_record_is_signed_again_only_when_it_says_something_new(tmp_path: Path) -> None:
    network = Network()
    node = network.grant("node-1")
    identity = load_identity(tmp_path, "node", node.token())
    wanted = describe_node(identity, WireGuardKey(make_public_key()))
    first = refresh_record(identity, wanted)
    assert refresh_record(identity, wanted) == first
    changed = refresh_record(identity, describe_node(identity, WireGuardKey(make_public_key())))
    sequences = [verify(Record, text, node.key.public_key()).sequence for text in (first, changed)]
    assert sequences == [1, 2]
    newer = load_identity(tmp_path, "node", network.grant("node-1", later_ms=1000).token())
    again = refresh_record(newer, describe_node(newer, WireGuardKey(make_public_key())))
    assert verify(Record, again, newer.token.grant_key.public_key()).sequence == 1
    (identity.folder / "record").write_text("damaged")
    assert refresh_record(newer, describe_node(newer, WireGuardKey(make_public_key()))).count(".") == 2


def test_nothing_that_describes_a_machine_shows_its_keys(tmp_path: Path) -> None:
    node = Network().grant("node-1")
    identity = load_identity(tmp_path, "node", node.token())
    shown = f"{identity!r} {identity.token!r} {identity.token} {node.identity!r} {node.network.operator!r}"
    secret = node.token().split(".")[1]
    assert secret[:40] not in shown
    assert node.key.private_bytes_raw().hex() not in shown
