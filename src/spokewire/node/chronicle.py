"""A node's history on disk: its tables, what is written to them, what is read, and what is thrown away.

Echoes are kept twice, by the minute for a day and by ten minutes for as long as anything is kept: both are added to in one transaction, so nothing has
to be rolled up later. All that is kept of them can be added up.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from spokewire.host.database import Database, Schema, transaction
from spokewire.network.events import EchoSummary, Event, EventCode
from spokewire.network.story import tell_start

MINUTE_S, TEN_MINUTES_S = 60, 600
KEEP_MINUTES_S = 86400.0
ROWS_PER_ANSWER = 20_000
"""How many roll-ups one question may read: about 10 ms of work."""
MACHINES_PER_ANSWER = 1000
LEAST_BYTES = 256 * 1024
DISK_SHARE = 10
"""Never more than a tenth of the disk, which is the machine's and not ours."""
_FULL, _ROOMY = 0.8, 0.7
"""The file is cut back to the second share of its bound when it reaches the first; the rest is room for the log."""
_EVENT_BYTES, _ROW_BYTES = 120, 24
"""Measured, with indexes; only estimates of how many rows to delete."""
_SLICE = 20_000
"""Rows deleted in one transaction, so that the log stays short."""

SCHEMA = Schema(
    1,
    """
CREATE TABLE event (
    id      INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    code    TEXT NOT NULL,
    subject TEXT NOT NULL,
    kind    TEXT,
    before  TEXT,
    after   TEXT,
    text    TEXT NOT NULL
) STRICT;
CREATE INDEX event_at ON event (at_ms);
CREATE TABLE machine (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE echoes (
    span_s     INTEGER NOT NULL,
    at_s       INTEGER NOT NULL,
    machine    INTEGER NOT NULL,
    sent       INTEGER NOT NULL,
    lost       INTEGER NOT NULL,
    rtt_sum_us INTEGER NOT NULL,
    rtt_max_us INTEGER NOT NULL,
    PRIMARY KEY (span_s, at_s, machine)
) STRICT, WITHOUT ROWID;
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
""",
)
_ADD_ECHOES = """
INSERT INTO echoes SELECT ?, ?, id, ?, ?, ?, ? FROM machine WHERE name = ?
ON CONFLICT DO UPDATE SET sent = sent + excluded.sent, lost = lost + excluded.lost,
    rtt_sum_us = rtt_sum_us + excluded.rtt_sum_us, rtt_max_us = max(rtt_max_us, excluded.rtt_max_us)
"""
_FORGET_EVENTS = "DELETE FROM event WHERE id IN (SELECT id FROM event ORDER BY id LIMIT ?) AND at_ms < ?"
_OLDEST_ECHOES = "SELECT max(at_s) FROM (SELECT at_s FROM echoes WHERE span_s = ? ORDER BY at_s LIMIT ?)"
_NEWEST_ECHOES = "SELECT * FROM echoes WHERE span_s = ? AND at_s >= ? ORDER BY at_s DESC LIMIT ?"
_SUMS = f"""
SELECT machine, min(at_s), sum(sent), sum(lost), sum(rtt_sum_us), max(rtt_max_us)
FROM ({_NEWEST_ECHOES}) GROUP BY machine LIMIT {MACHINES_PER_ANSWER}
"""  # noqa: S608 - constants of ours
_WORST = f"SELECT machine, at_s, max(100.0 * lost / sent) FROM ({_NEWEST_ECHOES}) WHERE sent > 0 GROUP BY machine"  # noqa: S608


@dataclass(frozen=True)
class Echoes:
    """What the echoes of about a minute to one machine said. Round trips are None if none came back."""

    at: float
    subject: str
    sent: int
    lost: int
    rtt_ms_avg: float | None
    rtt_ms_max: float | None


@dataclass(frozen=True)
class Told:
    """What was read: the newest events, the oldest of them first."""

    events: tuple[Event, ...] = ()
    echoes: tuple[EchoSummary, ...] = ()
    kept_since: float | None = None
    complete: bool = True


class Chronicle:
    """The history file. Everything raises as `Database.writing` does."""

    def __init__(self, path: Path, max_bytes: int, max_age_s: float) -> None:
        self.database = Database(path, SCHEMA)
        self._max_bytes, self._max_age_s = max_bytes, max_age_s

    def write(self, events: Sequence[Event], echoes: Sequence[Echoes], boot: str) -> None:
        """Add these, all or none; once it returns they are on the disk. `boot`: the id of this run of the machine's kernel."""
        with self.database.writing() as connection, transaction(connection):
            for event in events:
                words = _tell_start(connection, event, boot) if event.code == EventCode.AGENT_STARTED else event.text
                row = (round(event.at * 1000), event.code, event.subject, event.kind, event.before, event.after, words)
                connection.execute("INSERT INTO event VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", row)
            names = [(name,) for name in sorted({item.subject for item in echoes})]
            connection.executemany("INSERT OR IGNORE INTO machine (name) VALUES (?)", names)
            for span_s in (MINUTE_S, TEN_MINUTES_S):
                connection.executemany(_ADD_ECHOES, [_row(item, span_s) for item in echoes])

    def read(self, since: float, now: float, limit: int) -> Told:
        """The newest `limit` events since then, and what the echoes said since then as far as one answer goes."""
        with self.database.reading() as connection:
            if connection is None:
                return Told()
            rows = connection.execute(
                "SELECT at_ms, code, subject, kind, before, after, text FROM event WHERE at_ms >= ? ORDER BY id DESC LIMIT ?",
                (round(since * 1000), limit + 1),
            ).fetchall()
            events = tuple(event for row in reversed(rows[:limit]) if (event := _event(row)) is not None)
            [(oldest,)] = connection.execute("SELECT min(at_ms) FROM event").fetchall()
            span_s = MINUTE_S if now - since <= 2 * 3600 else TEN_MINUTES_S
            echoes = _summarize(connection, (span_s, int(since) // span_s * span_s, ROWS_PER_ANSWER))
            return Told(events, echoes, None if oldest is None else oldest / 1000, len(rows) <= limit)

    def trim(self, now: float) -> None:
        """Throw away what is too old, and what does not fit: the oldest roll-ups before events, unless events fill half of the room."""
        with self.database.writing() as connection:
            for span_s, age_s in ((MINUTE_S, min(KEEP_MINUTES_S, self._max_age_s)), (TEN_MINUTES_S, self._max_age_s)):
                connection.execute("DELETE FROM echoes WHERE span_s = ? AND at_s < ?", (span_s, int(now - age_s)))
            connection.execute(_FORGET_EVENTS, (_SLICE, round((now - self._max_age_s) * 1000)))
            bound = self.bound_bytes()
            if _used(connection) > _FULL * bound:
                while (excess := _used(connection) - _ROOMY * bound) > 0 and _drop_oldest(connection, excess, bound):
                    _give_back(connection)
            _give_back(connection)

    def bound_bytes(self) -> int:
        """How large file and log may become together."""
        return min(self._max_bytes, max(LEAST_BYTES, self.database.disk_bytes() // DISK_SHARE))


def _drop_oldest(connection: sqlite3.Connection, excess: float, bound: int) -> bool:
    """Delete the oldest of what may go first, about so many bytes; False if there is nothing left."""
    [(first, last)] = connection.execute("SELECT coalesce(min(id), 1), coalesce(max(id), 0) FROM event").fetchall()
    events: int = last - first + 1
    if events * _EVENT_BYTES <= bound / 2:
        count = min(_SLICE, max(1, int(excess / _ROW_BYTES)))
        for span_s in (TEN_MINUTES_S, MINUTE_S):
            [(until,)] = connection.execute(_OLDEST_ECHOES, (span_s, count)).fetchall()
            if until is not None:
                connection.execute("DELETE FROM echoes WHERE span_s = ? AND at_s <= ?", (span_s, until))
                return True
    count = min(_SLICE, max(1, int(excess / _EVENT_BYTES)), events)
    connection.execute("DELETE FROM event WHERE id < ?", (first + count,))
    return count > 0


def _give_back(connection: sqlite3.Connection) -> None:
    """Give free pages back to the file system, and empty the log."""
    # It gives back one page at each step, and has no rows, so that `execute` would take one step only.
    connection.executescript("PRAGMA incremental_vacuum;")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _used(connection: sqlite3.Connection) -> int:
    used = {
        name: int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    }
    return (used["page_count"] - used["freelist_count"]) * used["page_size"]


def _row(item: Echoes, span_s: int) -> tuple[int | str, ...]:
    answered = item.sent - item.lost
    total_us = 0 if item.rtt_ms_avg is None else round(item.rtt_ms_avg * 1000 * answered)
    longest_us = 0 if item.rtt_ms_max is None else round(item.rtt_ms_max * 1000)
    return span_s, int(item.at) // span_s * span_s, item.sent, item.lost, total_us, longest_us, item.subject


def _event(row: tuple[int, str, str, str | None, str | None, str | None, str]) -> Event | None:
    """None for one that a release to come has written: it would say nothing to us."""
    at_ms, code, subject, kind, before, after, text = row
    fields = {"code": code, "subject": subject, "kind": kind, "before": before, "after": after, "text": text}
    try:
        return Event.model_validate({"at": at_ms / 1000, **fields})
    except ValidationError:
        return None


def _summarize(connection: sqlite3.Connection, which: tuple[int, int, int]) -> tuple[EchoSummary, ...]:
    names: dict[int, str] = dict(connection.execute("SELECT id, name FROM machine").fetchall())
    worst = {machine: (loss, at_s) for machine, at_s, loss in connection.execute(_WORST, which)}
    found = []
    for machine, since, sent, lost, total_us, longest_us in connection.execute(_SUMS, which):
        answered = sent - lost
        loss_pct, at_s = worst.get(machine, (0.0, None))
        found.append(
            EchoSummary(
                subject=names.get(machine, ""),
                since=since,
                sent=sent,
                lost=lost,
                rtt_ms_avg=round(total_us / answered / 1000, 3) if answered else None,
                rtt_ms_max=round(longest_us / 1000, 3) if answered else None,
                worst_loss_pct=round(loss_pct, 1),
                worst_at=at_s if loss_pct else None,
            )
        )
    return tuple(sorted(found, key=lambda summary: summary.subject))


def _tell_start(connection: sqlite3.Connection, event: Event, boot: str) -> str:
    """The sentence of a start, with how the agent ended before; this run of the machine's kernel is noted for the next start."""
    before = connection.execute(
        "SELECT code, at_ms FROM event WHERE code IN (?, ?) ORDER BY id DESC LIMIT 1",
        (EventCode.AGENT_STARTED, EventCode.AGENT_STOPPED),
    ).fetchone()
    known = connection.execute("SELECT value FROM fact WHERE name = 'boot'").fetchone()
    connection.execute("INSERT OR REPLACE INTO fact VALUES ('boot', ?)", (boot,))
    if before is None:
        return event.text
    [(event_ms, echoes_s)] = connection.execute(
        "SELECT (SELECT at_ms FROM event ORDER BY id DESC LIMIT 1), (SELECT max(at_s) FROM echoes WHERE span_s = ?)",
        (MINUTE_S,),
    ).fetchall()
    last_sign = max(event_ms / 1000, echoes_s or 0)
    stopped = before[0] == EventCode.AGENT_STOPPED
    ended_at = before[1] / 1000 if stopped else last_sign
    return f"{event.text}; {tell_start(event.at - ended_at, stopped=stopped, same_boot=known == (boot,))}"
