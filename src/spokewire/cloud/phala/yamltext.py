"""YAML as a graph of nodes, so that a file can be added to without its values being read into Python and written back.

A scalar keeps its own spelling: whether `22:22`, `yes` or `010` is text, a number or a truth value is for the program that reads the file, and
YAML 1.1 (PyYAML, the specification's appendix) and YAML 1.2 (Docker's reader) differ about it. Anchors and merge keys stay what they are.
"""

from collections.abc import Iterator
from typing import Any

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode
from yaml.composer import Composer
from yaml.emitter import Emitter
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner
from yaml.serializer import Serializer

from spokewire.errors import Fault

_TEXT, _MAPPING = "tag:yaml.org,2002:str", "tag:yaml.org,2002:map"
_PLAIN = "plain"
"""How a scalar without quotes and without a tag is marked until its graph is complete."""
_UNLIMITED = 1_000_000_000
"""Lines are never folded: a fold is a change of the text that somebody may look at."""


class YamlFaultError(Exception):
    """The text is no YAML document that a mapping could be made of."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    def __init__(self, stream: str) -> None:
        Reader.__init__(self, stream)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is ScalarNode and implicit[0]:
            return _PLAIN
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


class _Stream:
    """Where PyYAML writes to."""

    def __init__(self) -> None:
        self.chunks: list[str] = []

    def write(self, data: str) -> None:
        self.chunks.append(data)


class _Dumper(Emitter, Serializer, BaseResolver):
    def __init__(self, stream: _Stream) -> None:
        Emitter.__init__(self, stream, allow_unicode=True, width=_UNLIMITED, line_break="\n")
        Serializer.__init__(self)
        BaseResolver.__init__(self)

    def choose_scalar_style(self) -> Any:
        # PyYAML puts every scalar with a tag in quotes; `!!int "3"` is not what was written.
        if isinstance(self.event, yaml.ScalarEvent) and self.event.style is None and not any(self.event.implicit):
            self.analysis: Any = self.analysis or self.analyze_scalar(self.event.value)
            if self.analysis.allow_block_plain:
                return ""
        return super().choose_scalar_style()


def parse_graph(text: str, place: str) -> Node | None:
    """Parse one document; None if it is empty. YamlFaultError says in which line what is wrong."""
    try:
        root: Node | None = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = place if mark is None else f"{place}:{mark.line + 1}"
        raise YamlFaultError(Fault(where, error.problem or error.context or "not valid YAML", "valid YAML")) from None
    except yaml.YAMLError as error:
        raise YamlFaultError(Fault(place, " ".join(str(error).split()), "valid YAML")) from None
    except RecursionError:
        raise YamlFaultError(Fault(place, "nested too deeply", "a file that people can read")) from None
    for node in walk(root) if root is not None else []:
        if isinstance(node, ScalarNode):
            _settle(node)
        elif isinstance(node, MappingNode):
            _refuse_doubles(node, place)
    return root


def write_graph(root: Node) -> str:
    """Write a graph as a document; the same graph is always the same text."""
    for node in walk(root):
        if isinstance(node, yaml.CollectionNode):
            node.flow_style = False
    stream = _Stream()
    dumper = _Dumper(stream)
    dumper.open()
    dumper.serialize(root)
    dumper.close()
    return "".join(stream.chunks)


def make_node(value: object) -> Node:
    """The graph of a value of our own: text in quotes, mappings, lists, and None for nothing."""
    match value:
        case None:
            return ScalarNode(_TEXT, "null")
        case str():
            return ScalarNode(_TEXT, value, style='"')
        case dict():
            pairs = [(ScalarNode(_TEXT, key), make_node(item)) for key, item in value.items()]
            return MappingNode(_MAPPING, pairs)
        case list():
            return SequenceNode("tag:yaml.org,2002:seq", [make_node(item) for item in value])
        case _:
            raise TypeError(f"no YAML is made of {type(value).__name__}")


def with_entry(mapping: MappingNode, key: str, value: Node) -> MappingNode:
    """A mapping with one entry set: in its place if the key is there, else at the end. The given one, which an alias may also name, stays as it is."""
    pairs = [(k, value if k.value == key else v) for k, v in mapping.value]
    if all(k.value != key for k, _ in mapping.value):
        pairs.append((ScalarNode(_TEXT, key), value))
    return MappingNode(mapping.tag, pairs)


def entries(mapping: MappingNode) -> dict[str, Node]:
    """What a mapping means: its own entries before those that merge keys bring (the merge type of YAML 1.1)."""
    found: dict[str, Node] = {}
    pending, seen = [mapping], set[int]()
    while pending:
        current = pending.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        for key, value in current.value:
            if key.value == "<<" and isinstance(key, ScalarNode) and key.style is None:
                sources = value.value if isinstance(value, SequenceNode) else [value]
                pending += [source for source in sources if isinstance(source, MappingNode)]
            elif isinstance(key, ScalarNode):
                found.setdefault(key.value, value)
    return found


def line_of(node: Node) -> int:
    """In which line of the file a node begins, counted from 1."""
    return 1 if node.start_mark is None else int(node.start_mark.line) + 1


def is_nothing(node: Node) -> bool:
    """Whether a node is YAML's null, as an entry without a value is."""
    return isinstance(node, ScalarNode) and node.style is None and node.value in {"null", "Null", "NULL", "~"}


def walk(root: Node) -> Iterator[Node]:
    """Every node of a graph once, also of one with aliases to itself."""
    pending, seen = [root], set[int]()
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node, MappingNode):
            pending += [part for pair in node.value for part in pair]
        elif isinstance(node, SequenceNode):
            pending += node.value


def _settle(node: ScalarNode) -> None:
    """Give a scalar the tag and style with which it is written as it was read."""
    if node.tag == _PLAIN:
        node.tag, node.style = _TEXT, None
        if not node.value:
            node.value = "null"
        if "\n" in node.value:
            node.style = '"'
    elif node.tag == _TEXT and node.style not in {"'", "|"}:
        # A folded scalar, or one with the tag !!str: in quotes it is the same text, however it is read.
        node.style = '"'


def _refuse_doubles(mapping: MappingNode, place: str) -> None:
    seen: set[str] = set()
    for key, _ in mapping.value:
        if isinstance(key, ScalarNode):
            if key.value in seen and key.value != "<<":
                raise YamlFaultError(
                    Fault(f"{place}:{line_of(key)}", f"{key.value[:80]!r} is there twice", "each key once")
                )
            seen.add(key.value)
