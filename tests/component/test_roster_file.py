"""A roster file that is damaged is no reason not to start."""

from pathlib import Path

import pytest

from spokewire.network.roster import Roster
from spokewire.node.sync import RosterFile
from tests.builders import NOW, ROOT, make_roster


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00" * 4096, id="zeros, as after a power cut"),
        pytest.param(b"\xff\xfe\x80", id="no text"),
        pytest.param(b'["eyJ', id="cut short"),
        pytest.param(b'{"a": 1}', id="another shape"),
        pytest.param(b"[" * 100_000, id="deeply nested"),
        pytest.param(b'["x.y.z", 7, null, "eyJhbGciOiJub25lIn0.e30."]', id="no documents"),
    ],
)
def test_a_node_with_a_damaged_roster_file_starts_with_an_empty_roster(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "roster.json"
    path.write_bytes(content)
    loaded = RosterFile(path).load(Roster(ROOT.public_key()), NOW)
    assert loaded.members(NOW) == Roster(ROOT.public_key()).members(NOW)
    assert loaded.version == 0


def test_of_a_roster_file_with_one_damaged_document_the_others_are_kept(tmp_path: Path) -> None:
    file, path = RosterFile(tmp_path / "roster.json"), tmp_path / "roster.json"
    whole = make_roster()
    file.store(whole)
    text = path.read_text()
    path.write_text('["damaged.document.x", ' + text[1:])
    loaded = file.load(Roster(ROOT.public_key()), NOW)
    assert {member.name for member in loaded.members(NOW)} == {member.name for member in whole.members(NOW)}
