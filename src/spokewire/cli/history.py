"""`spokewire history`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from spokewire.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from spokewire.cli.context import Context
    from spokewire.deploy.recall import Recalled
    from spokewire.network.story import Sentence

MAX_NAMED = 3
"""So many nodes are named as those who saw something; more are counted."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    examples = ("spokewire history", "spokewire history node-2 --since 1h", "spokewire history --since 7d --json")
    app.command(epilog=options.example(*examples))(history)


def history(
    node: Annotated[str | None, typer.Argument(help="Only what this node tells.", metavar="NODE")] = None,
    since: Annotated[str, typer.Option(help="How far back: 90s, 30m, 1h, 7d.", metavar="LENGTH")] = "1d",
    config: options.Config = options.DEFAULT_CONFIG,
    as_json: options.Json = False,
) -> int:
    """Tell what happened: every change of a state with its cause, what was tried, and what cured it."""
    import asyncio

    from spokewire.cli.context import Context
    from spokewire.network.events import parse_span

    span_s = parse_span(since)
    context = Context(config, as_json=as_json)
    context.enter_lab()
    return asyncio.run(run(context, node, since, span_s))


async def run(context: "Context", node: str | None, since: str, span_s: float) -> int:
    """Ask, print, and return the exit status: 0 all nodes answered, 3 some, 1 none."""
    from spokewire.deploy.recall import recall
    from spokewire.errors import Code, InputError
    from spokewire.host import clock
    from spokewire.network.story import merge_sentences, tell_story

    _ = context.spec
    if not context.keeper.has_key():
        raise InputError(Code.NOT_DEPLOYED, "Nothing is deployed from here.", hint="Run: spokewire deploy.")
    recalled = await recall(context.operator(), node, since, span_s)
    story = merge_sentences([*tell_story(recalled.histories.values()), *recalled.sentences])
    context.output.result(_describe(context.spec.name, clock.wall() - span_s, story, recalled))
    if not context.output.as_json:
        for line in _lines(story, recalled, _local_zone(clock.wall()), is_alone=node is not None):
            context.output.say(line)
    for name, reason in recalled.silent.items():
        context.output.note(f"{name} tells nothing: {reason}.")
    return 0 if not recalled.silent else 3 if recalled.histories else 1


def _describe(network: str, since: float, story: "Sequence[Sentence]", recalled: "Recalled") -> dict[str, Any]:
    return {
        "network": network,
        "since": since,
        "story": [{"at": s.at, "subject": s.subject, "seen_by": list(s.nodes), "text": s.text} for s in story],
        "nodes": [told.model_dump(mode="json") for told in recalled.histories.values()],
        "silent": [{"name": name, "reason": reason} for name, reason in recalled.silent.items()],
    }


def _lines(story: "Sequence[Sentence]", recalled: "Recalled", zone: "tzinfo", *, is_alone: bool) -> "Iterator[str]":
    """The story for people: a line for each day, below it one for each sentence, then the echoes."""
    from datetime import datetime

    day = ""
    for sentence in story:
        at = datetime.fromtimestamp(sentence.at, zone)
        if day != f"{at:%Y-%m-%d %Z}":
            day = f"{at:%Y-%m-%d %Z}"
            yield day
        yield f"{at:%H:%M:%S} {sentence.text}{'' if is_alone else _witnesses(sentence)}"
    if not story:
        yield "Nothing happened."
    for name, told in recalled.histories.items():
        if not told.complete:
            yield f"{name} has more to tell: these are its newest {len(told.events)} events."
        for echoes in told.echoes:
            came = echoes.sent - echoes.lost
            times = (
                ""
                if echoes.rtt_ms_avg is None
                else f", {echoes.rtt_ms_avg:.1f} ms on average, {echoes.rtt_ms_max:.1f} ms at most"
            )
            begin = datetime.fromtimestamp(echoes.since, zone)
            yield f"{name} to {echoes.subject}: {came} of {echoes.sent} echoes came back since {begin:%Y-%m-%d %H:%M}{times}"
        if told.problem is not None:
            yield f"{name}: {told.problem.text} {told.problem.hint}"


def _witnesses(sentence: "Sentence") -> str:
    """Who saw it, where that is not the machine itself."""
    nodes = [node for node in sentence.nodes if node != sentence.subject]
    if not nodes or len(nodes) < len(sentence.nodes):
        return ""
    return f" (seen by {', '.join(nodes) if len(nodes) <= MAX_NAMED else f'{len(nodes)} nodes'})"


def _local_zone(now: float) -> "tzinfo":
    from datetime import UTC, datetime

    return datetime.fromtimestamp(now, UTC).astimezone().tzinfo or UTC
