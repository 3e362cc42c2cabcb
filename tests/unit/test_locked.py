"""What a hub installs beside our wheel is locked by hash, in the wheel itself, and is what uv.lock says."""

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATTERN = re.compile(r"^([a-z0-9-]+)==(\S+)(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
REFRESH = "run tools/lock"


def read_locked() -> dict[str, tuple[str, frozenset[str]]]:
    """Version and hashes by name."""
    text = (ROOT / "src" / "spokewire" / "locked.txt").read_text()
    return {m[1]: (m[2], frozenset(re.findall(r"--hash=(\S+)", m[3]))) for m in PATTERN.finditer(text)}


def read_lock() -> dict[str, dict[str, Any]]:
    """The packages of uv.lock, by name."""
    with (ROOT / "uv.lock").open("rb") as file:
        return {package["name"]: package for package in tomllib.load(file)["package"]}


def find_needed(packages: dict[str, dict[str, Any]]) -> set[str]:
    """All that spokewire needs at run time, directly or not."""
    found, pending = set[str](), [("spokewire", frozenset[str]())]
    while pending:
        name, extras = pending.pop()
        package = packages[name]
        needs = list(package.get("dependencies", []))
        for extra in extras:
            needs += package.get("optional-dependencies", {}).get(extra, [])
        for need in needs:
            if need["name"] not in found or need.get("extra"):
                found.add(need["name"])
                pending.append((need["name"], frozenset(need.get("extra", []))))
    return found


def test_every_package_that_we_need_is_locked_and_no_other() -> None:
    assert set(read_locked()) == find_needed(read_lock()), REFRESH


def test_versions_and_hashes_are_those_of_uv_lock() -> None:
    packages = read_lock()
    for name, (version, hashes) in read_locked().items():
        package = packages[name]
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert version == package["version"], REFRESH
        assert hashes == {file["hash"] for file in files}, REFRESH
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in hashes)
        assert package.get("wheels"), f"{name} would have to be built on the hub"
