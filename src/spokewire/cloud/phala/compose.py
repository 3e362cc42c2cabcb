"""The agent joins the user's own docker-compose file as one more service. Pure; the same words always give the same text, because it is measured.

Phala Cloud hashes the text (compose_hash), and the hash is what a remote party verifies: nothing in it depends on the machine, so that all nodes
of a network with one compose file have one hash. The network's root key stands in it, so a host that swaps the encrypted environment (it is not
authenticated) cannot make the machine join another network.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from spokewire.cloud.phala import yamltext
from spokewire.cloud.phala.variables import find_used
from spokewire.errors import Code, Fault, InputError
from spokewire.network.keys import derive_network_id, parse_public_key
from spokewire.network.names import NetworkId

SERVICE = "spokewire"
VOLUME = "spokewire-state"
TOKEN = "SPOKEWIRE_TOKEN"  # noqa: S105 - the name of the variable, not its value
NAMES = "x-spokewire-environment"
"""Where the names of the user's variables stand. Docker compose ignores what begins with `x-`."""
STATUS_PORT = 8000
MAX_BYTES = 200 * 1024
"""Of compose text and pre-launch script together, of which we send none (docs.phala.com, Phala Cloud API 0.1.0)."""

_NETWORK, _ROOT = "SPOKEWIRE_NETWORK", "SPOKEWIRE_ROOT_KEY"
_TAKEN = {
    ("tcp", STATUS_PORT): "the node's status server",
    ("udp", 51821): "the echo service",
    ("tcp", 51821): "tests of the network",
}
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*:?-([^${}]*)\}")
"""A variable of docker compose with a default."""
_PUBLISHED = re.compile(
    r"(?:(?P<address>\[[^]]*\]|[^:]*):)?(?P<first>[0-9]+)(?:-(?P<last>[0-9]+))?:[0-9-]+(?:/(?P<protocol>[a-z]+))?"
)
"""The short form of a published port that names a port of the host."""


@dataclass(frozen=True)
class Marker:
    """Whose a compose text is."""

    network: str
    root_key: str
    """The root public key, in 43 characters of base64url."""


@lru_cache(maxsize=16)
def join_agent(user_text: str | None, place: str, image: str, marker: Marker, variables: tuple[str, ...] = ()) -> str:
    """The user's compose text with the agent in it, or one of the agent alone. `variables` are those that the encrypted environment brings beside ours.

    Raises an InputError that lists what is wrong, each with `place` (the file's name) and its line.
    """
    try:
        root = None if user_text is None else yamltext.parse_graph(user_text, place)
        whole = _as_mapping(root, place)
        _refuse_unset(whole, place, variables)
        whole = _add(whole, place, image, marker)
        if variables:
            # The guest lets no other name through, and a change of the names is a change of what is measured: it shows in the text.
            whole = yamltext.with_entry(whole, NAMES, yamltext.make_node(list(variables)))
        text = yamltext.write_graph(whole)
    except yamltext.YamlFaultError as error:
        raise _invalid([error.fault]) from None
    except RecursionError:
        raise _invalid([Fault(place, "nested too deeply", "a file that people can read")]) from None
    if (size := len(text.encode())) > MAX_BYTES:
        raise _invalid([Fault(place, f"{size:,} bytes with the agent's service", f"at most {MAX_BYTES:,}")])
    return text


@lru_cache(maxsize=64)
def read_marker(text: str) -> Marker | None:
    """Whose a compose text is; None if no agent of ours is in it. All machines of a network share one text: it is read once."""
    try:
        root = yamltext.parse_graph(text, "")
    except yamltext.YamlFaultError:
        return None
    for step in ("services", SERVICE, "environment"):
        if not isinstance(root, MappingNode):
            return None
        root = yamltext.entries(root).get(step)
    if not isinstance(root, MappingNode):
        return None
    found = {key: node.value for key, node in yamltext.entries(root).items() if isinstance(node, ScalarNode)}
    return Marker(found[_NETWORK], found[_ROOT]) if {_NETWORK, _ROOT} <= set(found) else None


def identify(marker: Marker) -> NetworkId:
    """The id of the network that a marker names; what stands there, if that is no key."""
    try:
        return derive_network_id(parse_public_key(marker.root_key))
    except ValueError:
        return NetworkId(marker.root_key[:64])


def _service(image: str, marker: Marker) -> Node:
    return yamltext.make_node(
        {
            "image": image,
            "command": ["node", "run"],
            "network_mode": "host",
            "cap_add": ["NET_ADMIN", "NET_RAW"],
            "devices": ["/dev/net/tun:/dev/net/tun"],
            "volumes": [f"{VOLUME}:/var/lib/spokewire"],
            "environment": {_NETWORK: marker.network, _ROOT: marker.root_key, TOKEN: f"${{{TOKEN}}}"},
            "restart": "always",
            "healthcheck": {
                "test": ["CMD", "healthy"],
                "interval": "30s",
                "timeout": "10s",
                "start_period": "60s",
            },
            "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
        }
    )


def _as_mapping(root: Node | None, place: str) -> MappingNode:
    if root is None or yamltext.is_nothing(root):
        return MappingNode("tag:yaml.org,2002:map", [])
    if not isinstance(root, MappingNode):
        raise yamltext.YamlFaultError(
            Fault(f"{place}:{yamltext.line_of(root)}", "not a mapping", "a docker-compose file")
        )
    return root


def _add(root: MappingNode, place: str, image: str, marker: Marker) -> MappingNode:
    services, volumes = _section(root, "services", place), _section(root, "volumes", place)
    faults = list(_find_faults(services, volumes, place))
    if faults:
        raise _invalid(faults)
    root = yamltext.with_entry(root, "services", yamltext.with_entry(services, SERVICE, _service(image, marker)))
    return yamltext.with_entry(root, "volumes", yamltext.with_entry(volumes, VOLUME, yamltext.make_node(None)))


def _refuse_unset(root: MappingNode, place: str, variables: tuple[str, ...]) -> None:
    """Docker compose would put nothing in the place of a variable that has no value, and only say so in a log that nobody reads."""
    nodes = list(yamltext.walk(root))
    # Only values are interpolated.
    keys = {id(key) for node in nodes if isinstance(node, MappingNode) for key, _ in node.value}
    faults = {
        name: Fault(
            f"{place}:{yamltext.line_of(node)}",
            f"the variable {name} has no value on the machine",
            f"its name in environment, or a default: ${{{name}:-}}",
        )
        for node in nodes
        if isinstance(node, ScalarNode) and id(node) not in keys
        for name in find_used(node.value)
        if name not in variables
    }
    if faults:
        raise _invalid(list(faults.values()))


def _section(root: MappingNode, name: str, place: str) -> MappingNode:
    node = yamltext.entries(root).get(name)
    if node is None or yamltext.is_nothing(node):
        return MappingNode("tag:yaml.org,2002:map", [])
    if not isinstance(node, MappingNode):
        raise yamltext.YamlFaultError(
            Fault(f"{place}:{yamltext.line_of(node)} {name}", "not a mapping", f"the {name} by name")
        )
    return node


def _find_faults(services: MappingNode, volumes: MappingNode, place: str) -> Iterator[Fault]:
    by_name = yamltext.entries(services)
    for kind, name, known in (("services", SERVICE, by_name), ("volumes", VOLUME, yamltext.entries(volumes))):
        if name in known:
            where = f"{place}:{yamltext.line_of(known[name])} {kind}.{name}"
            yield Fault(where, "the name is taken: it is the agent's", f"another name than {name!r}")
    for name, service in by_name.items():
        if name != SERVICE and isinstance(service, MappingNode):
            yield from _find_clashes(name, yamltext.entries(service), place)
            yield from _find_files(name, yamltext.entries(service), place)


def _find_files(name: str, service: Mapping[str, Node], place: str) -> Iterator[Fault]:
    """What needs files beside the compose file: only its text goes to the machine."""
    for key, expected in (("build", "an image"), ("env_file", "its variables under environment")):
        if key in service:
            where = f"{place}:{yamltext.line_of(service[key])} services.{name}.{key}"
            yield Fault(where, "the files that it names do not go to the machine", expected)


def _find_clashes(name: str, service: Mapping[str, Node], place: str) -> Iterator[Fault]:
    """Ports of the host that the agent needs. On the host's network a service has the ports that it names, published or only exposed."""
    mode = service.get("network_mode")
    is_on_host = isinstance(mode, ScalarNode) and mode.value == "host"
    for key in ("ports", "expose") if is_on_host else ("ports",):
        ports = service.get(key)
        for node in ports.value if isinstance(ports, SequenceNode) else []:
            for (protocol, port), owner in _TAKEN.items():
                if any(p == protocol and port in span for p, span in _host_ports(node, is_on_host=is_on_host)):
                    where = f"{place}:{yamltext.line_of(node)} services.{name}.{key}"
                    yield Fault(
                        where, f"port {port}/{protocol} of the machine is the agent's ({owner})", "another port"
                    )


def _host_ports(node: Node, *, is_on_host: bool) -> Iterator[tuple[str, range]]:
    if isinstance(node, ScalarNode):
        text = _VARIABLE.sub(r"\1", node.value)
        if match := _PUBLISHED.fullmatch(text):
            yield match["protocol"] or "tcp", _span(match["first"], match["last"])
        target = re.fullmatch(r"(?:.*:)?([0-9]+)(?:-([0-9]+))?(?:/([a-z]+))?", text)
        if is_on_host and target:
            yield target[3] or "tcp", _span(target[1], target[2])
    elif isinstance(node, MappingNode):
        fields = {
            k: _VARIABLE.sub(r"\1", v.value) for k, v in yamltext.entries(node).items() if isinstance(v, ScalarNode)
        }
        for key in ("published", "target") if is_on_host else ("published",):
            if match := re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", fields.get(key, "")):
                yield fields.get("protocol", "tcp"), _span(match[1], match[2])


def _span(first: str, last: str | None) -> range:
    longest = 5
    if max(len(first), len(last or "")) > longest:
        return range(0)
    return range(int(first), int(last or first) + 1)


def _invalid(faults: list[Fault]) -> InputError:
    noun = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return InputError(
        Code.SPEC_INVALID, f"The compose file has {noun}.", hint="Correct the file; nothing was made.", faults=faults
    )
