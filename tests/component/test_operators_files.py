"""What the operator keeps, and the edits of spokewire.toml."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from spokewire.deploy.editor import TEMPLATE, add_node, load_spec, remove_node
from spokewire.deploy.keeper import Keeper, State, make_token, mint
from spokewire.errors import Code, InputError, PermanentError, TemporaryError
from spokewire.host import clock
from spokewire.network.names import MachineName
from spokewire.network.token import parse_token
from tests.component.made import Network

SPEC = """\
# Our network, do not touch before Friday.
[network]
name = "demo"   # short on purpose

[[hubs]]
name = "hub-1"
provider = "lab"

# The workers.
[[nodes]]
name = "node"
count = 5       # one each weekday
provider = "lab"
nat = "symmetric"

# Anna's machine.
[[nodes]]
name = "laptop"
provider = "host"
tags = ["people"]
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spokewire.toml"
    path.write_text(SPEC)
    return path


def names(path: Path) -> list[str]:
    return [str(node.name) for node in load_spec(path).nodes]


def comments(text: str) -> list[str]:
    return [line.partition("#")[2].strip() for line in text.splitlines() if "#" in line]


def test_an_added_node_comes_last_and_every_comment_stays(spec: Path) -> None:
    add_node(spec, "phone", "host", None)
    add_node(spec, "extra", "lab", "full-cone")
    assert names(spec)[-3:] == ["laptop", "phone", "extra"]
    assert comments(spec.read_text()) == comments(SPEC)
    assert spec.read_text().startswith(SPEC.rstrip("\n"))


def test_a_node_can_be_added_to_a_spec_that_has_none(tmp_path: Path) -> None:
    path = tmp_path / "spokewire.toml"
    path.write_text(SPEC.partition("# The workers.")[0])
    add_node(path, "first", "host", None)
    assert names(path) == ["first"]


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("node-5", ["node-1", "node-2", "node-3", "node-4", "laptop"]),
        ("node-2", ["node-1", "node-3", "node-4", "node-5", "laptop"]),
        ("node-1", ["node-2", "node-3", "node-4", "node-5", "laptop"]),
        ("laptop", ["node-1", "node-2", "node-3", "node-4", "node-5"]),
        ("node-6", ["node-1", "node-2", "node-3", "node-4", "node-5", "laptop"]),
        ("node", ["node-1", "node-2", "node-3", "node-4", "node-5", "laptop"]),
    ],
)
def test_a_removed_node_goes_alone_and_the_others_keep_their_names(spec: Path, name: str, left: list[str]) -> None:
    remove_node(spec, name)
    assert names(spec) == left
    kept = [comment for comment in comments(SPEC) if not (name == "laptop" and comment == "Anna's machine.")]
    assert set(kept) <= set(comments(spec.read_text()))


def test_all_of_a_count_can_be_removed_in_any_order(spec: Path) -> None:
    for name in ("node-3", "node-5", "node-1", "node-4", "node-2"):
        remove_node(spec, name)
        assert name not in names(spec)
    assert names(spec) == ["laptop"]


@pytest.mark.parametrize(
    ("name", "provider", "nat"),
    [("laptop", "host", None), ("Bad Name", "host", None), ("new", "moon", None), ("new", "host", "symmetric")],
)
def test_an_edit_that_would_make_the_spec_wrong_changes_nothing(
    spec: Path, name: str, provider: str, nat: str | None
) -> None:
    with pytest.raises(InputError) as refused:
        add_node(spec, name, provider, nat)
    assert refused.value.code is Code.SPEC_INVALID
    assert refused.value.faults
    assert spec.read_text() == SPEC


def test_a_spec_that_is_missing_says_how_to_make_one_and_the_template_is_right(tmp_path: Path) -> None:
    path = tmp_path / "spokewire.toml"
    with pytest.raises(InputError) as missing:
        load_spec(path)
    assert (missing.value.code, "spokewire init" in missing.value.hint) == (Code.SPEC_MISSING, True)
    path.write_text(TEMPLATE.format(name="home", provider="lab"))
    assert names(path) == ["node-1", "node-2", "node-3"]


def test_the_root_key_is_made_once_and_is_for_its_owner_only(spec: Path) -> None:
    keeper = Keeper(spec)
    with pytest.raises(InputError) as missing:
        keeper.load_key()
    assert missing.value.code is Code.NOT_DEPLOYED
    key = keeper.load_or_make_key()
    assert keeper.load_or_make_key().private_bytes_raw() == key.private_bytes_raw()
    assert Keeper(spec).load_key().private_bytes_raw() == key.private_bytes_raw()
    path = keeper.folder / "root.key"
    assert [stat.S_IMODE(place.stat().st_mode) for place in (path, keeper.folder)] == [0o600, 0o700]
    path.write_text("not a key")
    with pytest.raises(PermanentError) as damaged:
        keeper.load_key()
    assert (damaged.value.code, "not a key" in str(damaged.value)) == (Code.KEY_FILE, False)
    keeper.remove()
    assert not keeper.has_key()


def test_the_cache_keeps_what_verifies_and_drops_the_rest(spec: Path) -> None:
    keeper = Keeper(spec)
    root, wanted = keeper.load_or_make_key(), load_spec(spec)
    text, key = mint(wanted, wanted.find("laptop"), 16, root, days=1)
    foreign = Network().grant("node-1").grant_text
    keeper.store_state(State(grant_texts={MachineName("laptop"): text, MachineName("node-1"): foreign}, settings="s"))
    state = keeper.load_state()
    assert (list(state.grants), state.settings) == (["laptop"], "s")
    grant = state.grants[MachineName("laptop")]
    assert (grant.tags, grant.number, grant.role) == (("people",), 16, "node")
    token = parse_token(make_token(root, text, key, [("https://192.0.2.1",)]), clock.wall())
    assert (token.grant, token.hub_urls) == (grant, (("https://192.0.2.1",),))
    again = replace(state, grant_texts={})
    keeper.store_state(again)
    assert keeper.load_state().grants == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"grants": []}', '{"grants": {"a": 1}}', "null", "[" * 100_000])
def test_a_damaged_cache_is_an_empty_one(spec: Path, text: str) -> None:
    keeper = Keeper(spec)
    keeper.load_or_make_key()
    (keeper.folder / "state.json").write_text(text)
    assert keeper.load_state().grants == {}


def test_the_cache_holds_no_private_key(spec: Path) -> None:
    keeper = Keeper(spec)
    root, wanted = keeper.load_or_make_key(), load_spec(spec)
    text, key = mint(wanted, wanted.find("laptop"), 16, root)
    keeper.store_state(State(grant_texts={MachineName("laptop"): text}))
    kept = (keeper.folder / "state.json").read_text()
    secrets = (make_token(root, text, key, []).split(".")[1], (keeper.folder / "root.key").read_text().strip())
    assert json.loads(kept)["grants"] == {"laptop": text}
    assert [secret for secret in secrets if secret in kept] == []


def test_two_commands_cannot_change_the_network_at_once(spec: Path) -> None:
    first, second = Keeper(spec).lock(), Keeper(spec).lock()
    first.acquire()
    with pytest.raises(TemporaryError) as busy:
        second.acquire()
    assert busy.value.code is Code.BUSY
    first.release()
    second.acquire()
    second.release()
