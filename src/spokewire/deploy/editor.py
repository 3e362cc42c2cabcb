"""Editing the user's spokewire.toml without losing comments or order."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spokewire.errors import Code, InputError, PermanentError
from spokewire.host import files
from spokewire.network.cloudspec import CVM_KEYS
from spokewire.network.spec import NetworkSpec, ProviderName
from spokewire.network.specfile import parse_spec

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

TEMPLATE = """\
# A Spokewire network. Reference: docs/reference/spec.md

[network]
name = "{name}"
cidr = "10.88.0.0/24"
relay = "sealed"

[[hubs]]
name = "hub-1"
provider = "{provider}"

[[nodes]]
name = "node"              # node-1 to node-3
count = 3
provider = "{provider}"
"""
LAB_NAT = 'nat = "port-restricted"    # none | full-cone | port-restricted | symmetric | udp-blocked\n'


def load_spec(path: Path) -> NetworkSpec:
    """Load and parse a spec; InputError if there is none or it is wrong."""
    return parse_spec(read_spec(path))


def read_spec(path: Path) -> str:
    """Read a spec's text; InputError if there is none or it is no text."""
    if path.is_dir():
        raise InputError(Code.SPEC_INVALID, f"{path} is a folder.", hint="Name the spec in it with --config.")
    try:
        text = files.read(path)
    except PermanentError as error:
        if isinstance(error.__cause__, UnicodeDecodeError):
            raise InputError(Code.SPEC_INVALID, f"{path} is not text in UTF-8.", hint="TOML is.") from error
        raise
    if text is None:
        raise InputError(
            Code.SPEC_MISSING, f"There is no {path}.", hint="Make one (spokewire init) or name another with --config."
        )
    return text


def add_node(path: Path, name: str, provider: str, nat: str | None) -> NetworkSpec:
    """Add one node to a spec; nothing is written if the result would be wrong. A node on Phala is made as the first such table of the spec says."""
    import tomlkit
    from tomlkit.items import AoT

    document = tomlkit.parse(files.read(path) or "")
    nodes = document.setdefault("nodes", tomlkit.aot())
    table = tomlkit.table()
    table.update({"name": name, "provider": provider} | ({} if nat is None else {"nat": nat}))
    if provider == ProviderName.PHALA:
        table.update(_find_like(nodes))
    if not isinstance(nodes, AoT):
        raise InputError(
            Code.SPEC_INVALID, "nodes is written inline in the spec.", hint="Write it as [[nodes]] tables."
        )
    table.trivia.indent = "\n"
    nodes.append(table)
    return _store(path, document)


def _find_like(nodes: Any) -> dict[str, Any]:
    """What the first table of a node on Phala says of its machine, but for its names and tags."""
    first: Any = next((table for table in nodes if table.get("provider") == ProviderName.PHALA), {})
    return {key: first[key].unwrap() for key in CVM_KEYS if key in first}


def remove_node(path: Path, name: str) -> NetworkSpec:
    """Remove one node from a spec: its own table, the last of a count, or by a `skip` in the middle of a count."""
    import tomlkit

    document = tomlkit.parse(files.read(path) or "")
    nodes: Any = document.get("nodes", [])
    for position, table in enumerate(nodes):
        if "count" not in table and table["name"] == name:
            del nodes[position]
            break
        base, _, number = name.rpartition("-")
        if "count" in table and table["name"] == base and number.isdigit() and 1 <= int(number) <= table["count"]:
            if int(number) == table["count"]:
                table["count"] = int(number) - 1
            else:
                table["skip"] = [*table.get("skip", []), name]
            break
    return _store(path, document)


def _store(path: Path, document: "TOMLDocument") -> NetworkSpec:
    import tomlkit

    text = tomlkit.dumps(document)
    spec = parse_spec(text)
    files.write(path, text, files.PUBLIC)
    return spec
