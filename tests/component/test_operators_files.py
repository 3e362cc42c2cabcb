"""What the operator keeps, and the edits of spokewire.toml."""

import json
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from spokewire.cli.main import run
from spokewire.deploy.editor import TEMPLATE, add_node, load_spec, remove_node
from spokewire.deploy.keeper import Keeper, State, make_token, mint
from spokewire.deploy.templates import fill_release, write_cloud_spec
from spokewire.errors import Code, InputError, PermanentError, TemporaryError
from spokewire.host import clock
from spokewire.network.cloudspec import CvmSpec
from spokewire.network.names import MachineName
from spokewire.network.specfile import parse_spec
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


CLOUD_NODES = """
[release]
image = "registry.example.com/spokewire@sha256:%s"

[[nodes]]
name = "shop"
count = 2
provider = "phala"
tags = ["web"]
instance_types = ["tdx.medium", "tdx.large"]  # in this order
disk_gb = 40
compose = "docker-compose.yml"
environment = ["DB_PASSWORD"]
""" % ("a" * 64)


def test_a_node_on_phala_is_added_like_the_first_one_there_but_for_its_tags(spec: Path) -> None:
    spec.write_text(SPEC + CLOUD_NODES)
    added = add_node(spec, "shop-9", "phala", None)
    assert added.find("shop-9").cvm == added.find("shop-1").cvm
    assert added.find("shop-9").tags == ()
    assert comments(spec.read_text()) == comments(SPEC + CLOUD_NODES)
    laptop = add_node(spec, "tablet", "host", None)
    assert laptop.find("tablet").cvm is None


def test_the_first_node_on_phala_is_added_with_the_defaults(spec: Path) -> None:
    spec.write_text(SPEC + CLOUD_NODES.partition("[[nodes]]")[0])
    assert add_node(spec, "shop", "phala", None).find("shop").cvm == CvmSpec()


def test_the_spec_for_both_clouds_lacks_only_the_release_and_everything_that_it_offers_is_accepted() -> None:
    text = write_cloud_spec("shop", "0.1.0")
    with pytest.raises(InputError) as unfilled:
        parse_spec(text)
    assert [fault.place for fault in unfilled.value.faults] == [
        "release.wheel",
        "release.wheel_sha256",
        "release.image",
    ]
    plain = parse_spec(fill_release(text))
    assert [machine.provider for machine in plain.machines] == ["digitalocean", "phala", "phala", "phala"]
    everything = re.sub(r"^# (?=\w+ = |\[\[)", "", text, flags=re.MULTILINE)
    assert [machine.name for machine in parse_spec(everything).machines][-1] == "laptop"
    cvm = parse_spec(everything).nodes[0].cvm
    assert cvm is not None
    assert (cvm.compose, cvm.environment, cvm.env_file) == ("docker-compose.yml", ("DB_PASSWORD",), "secrets.env")


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


def test_init_for_the_clouds_says_what_is_left_to_fill_in_and_nothing_is_made_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "spokewire.toml"
    assert run(["init", "shop", "--clouds", "--config", str(path)]) == 0
    assert "fill in [release]" in capsys.readouterr().out
    assert run(["deploy", "--json", "--config", str(path)]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert {fault["place"] for fault in error["faults"]} == {"release.wheel", "release.wheel_sha256", "release.image"}
    assert run(["init", "--provider", "phala", "--config", str(tmp_path / "other.toml")]) == 2
    assert "--clouds" in capsys.readouterr().err
