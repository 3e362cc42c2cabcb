"""The agent joins the user's compose file without disturbing anything of it."""

from typing import Any

import pytest
import yaml

from spokewire.cloud.phala.compose import MAX_BYTES, Marker, join_agent, read_marker
from spokewire.errors import Code, Fault, InputError

IMAGE = "registry.example.com/spokewire@sha256:" + "a" * 64
MARKER = Marker("demo", "k" * 43)
PLACE = "docker-compose.yml"


def join(text: str | None) -> str:
    return join_agent(text, PLACE, IMAGE, MARKER)


def load(text: str) -> Any:
    return yaml.safe_load(text)


def faults(text: str) -> tuple[Fault, ...]:
    with pytest.raises(InputError) as caught:
        join(text)
    assert caught.value.code is Code.SPEC_INVALID
    assert caught.value.hint
    return caught.value.faults


def test_the_agent_has_what_it_needs_and_no_more() -> None:
    document = load(join(None))
    assert list(document) == ["services", "volumes"]
    assert document["volumes"] == {"spokewire-state": None}
    assert list(document["services"]) == ["spokewire"]
    service = document["services"]["spokewire"]
    assert service["image"] == IMAGE
    assert service["command"] == ["node", "run"]
    assert service["network_mode"] == "host"
    assert "privileged" not in service
    assert service["cap_add"] == ["NET_ADMIN", "NET_RAW"]
    assert service["devices"] == ["/dev/net/tun:/dev/net/tun"]
    assert service["volumes"] == ["spokewire-state:/var/lib/spokewire"]
    assert service["restart"] == "always"
    assert service["healthcheck"]["test"] == ["CMD", "healthy"]
    assert service["environment"] == {
        "SPOKEWIRE_NETWORK": "demo",
        "SPOKEWIRE_ROOT_KEY": "k" * 43,
        "SPOKEWIRE_TOKEN": "${SPOKEWIRE_TOKEN}",
    }


USERS = """
# Comments may go.
name: shop
x-common: &common
  restart: on-failure
  environment: {MODE: yes, PORT: 010}
services:
  web:
    <<: *common
    image: nginx:alpine
    command: ["sh", "-c", "echo $$HOME"]
    ports: [22:22, "8080:80", 443]
    configs: [app]
  db:
    <<: [*common]
    image: postgres
    volumes: [data:/var/lib/postgresql]
volumes:
  data:
networks: {back: {driver: bridge}}
configs: {app: {content: "a: b"}}
"""


def test_everything_of_the_users_file_is_there_afterwards() -> None:
    before, after = load(USERS), load(join(USERS))
    assert after["services"].pop("spokewire")["image"] == IMAGE
    assert after["volumes"].pop("spokewire-state", "absent") is None
    assert after == before
    assert list(after) == list(before)


SPELLINGS = [
    "22:22", "010", "0o17", "1e3", "1_000", ".5", "yes", "No", "on", "~", "null", "2001-01-01", "12:30:45", "0x1F", "=", "<",
    "'yes'", '"22:22"', "''", '"a\\tb"', "'it''s'", "a b", "é", "$${X}", "${X:-y}", "!!str 12", '!!int "3"', "!reset null",
    "|\n      a\n       b\n", "|-\n      a\n\n      b", ">\n      folded\n      text\n\n      more\n",
]  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_value_keeps_its_meaning_however_it_is_spelled(spelling: str) -> None:
    """Whoever reads it, by the rules of YAML 1.1 or of 1.2: a plain scalar stays the same plain scalar."""
    text = f"services:\n  web:\n    image: x\n    label: {spelling}\n"
    before, after = events(text), events(join(text))
    assert before
    assert after[: len(before)] == before


def events(text: str) -> list[tuple[object, ...]]:
    """What a reader sees of the mapping `web`: each scalar's text, whether it is plain, and its tag."""
    found: list[tuple[object, ...]] = []
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.ScalarEvent):
            if event.value == "spokewire":
                break
            is_plain = event.style is None and "\n" not in event.value and event.tag != "tag:yaml.org,2002:str"
            value = "null" if is_plain and not event.value else event.value
            found.append((value, is_plain, None if event.tag == "tag:yaml.org,2002:str" else event.tag))
    return [item for item in found if item[0] != "volumes"]


def test_the_same_file_always_gives_the_same_text() -> None:
    assert len({join(USERS) for _ in range(3)}) == 1
    assert join(USERS) == join(USERS + "\n# another comment\n")


def test_an_anchor_stays_one_and_is_not_written_out() -> None:
    text = join("x-a: &a {b: " + "c" * 1000 + "}\nservices:\n" + "".join(f"  s{n}: *a\n" for n in range(50)))
    assert text.count("c" * 1000) == 1
    assert len(load(text)["services"]) == 51


def test_services_that_another_key_shares_are_not_changed_there() -> None:
    document = load(join("x-s: &s\n  web: {image: x}\nservices: *s\n"))
    assert document["x-s"] == {"web": {"image": "x"}}
    assert set(document["services"]) == {"web", "spokewire"}


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "~", "services:\n", "services: {}\nvolumes:\n"])
def test_a_file_that_says_nothing_gives_the_agent_alone(text: str) -> None:
    assert load(join(text)) == load(join(None))


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("services: [", "docker-compose.yml:1", "expected the node content"),
        ("a: b: c", "docker-compose.yml:1", "mapping values are not allowed"),
        ("a: 1\n---\nb: 2\n", "docker-compose.yml:2", "another document"),
        ("a: *nobody", "docker-compose.yml:1", "undefined alias"),
        ("\ta: 1", "docker-compose.yml:1", "cannot start any token"),
        ("a: \x01", "docker-compose.yml", "special characters are not allowed"),
        ("- a", "docker-compose.yml:1", "not a mapping"),
        ("just words", "docker-compose.yml:1", "not a mapping"),
        ("services: [web]", "docker-compose.yml:1 services", "not a mapping"),
        ("a: 1\nvolumes: data", "docker-compose.yml:2 volumes", "not a mapping"),
        ("a: 1\nb: 2\na: 3", "docker-compose.yml:3", "'a' is there twice"),
        ("services:\n  a: {image: x, image: y}", "docker-compose.yml:2", "'image' is there twice"),
        ("services:\n  spokewire: {}", "docker-compose.yml:2 services.spokewire", "the name is taken"),
        ("x: &x {spokewire: {}}\nservices: {<<: *x}", "docker-compose.yml:1 services.spokewire", "the name is taken"),
        ("volumes:\n  spokewire-state:", "docker-compose.yml:2 volumes.spokewire-state", "the name is taken"),
        ("[" * 100_000, "docker-compose.yml", "nested too deeply"),
        ("a: " + "x" * MAX_BYTES, "docker-compose.yml", "bytes with the agent's service"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_place(text: str, place: str, problem: str) -> None:
    (fault,) = faults(text)
    assert fault.place == place
    assert problem in fault.problem
    assert len(str(fault)) < 300


def port(entry: str, mode: str = "bridge", key: str = "ports") -> str:
    return f"services:\n  web:\n    network_mode: {mode}\n    {key}:\n    - {entry}\n"


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        (port("8000:80"), "8000/tcp"),
        (port('"127.0.0.1:8000:80"'), "8000/tcp"),
        (port('"[::1]:8000:80"'), "8000/tcp"),
        (port("7990-8010:90-110"), "8000/tcp"),
        (port('"${PORT:-8000}:80"'), "8000/tcp"),
        (port("{target: 80, published: 8000}"), "8000/tcp"),
        (port("{target: 80, published: '7999-8001'}"), "8000/tcp"),
        (port("51821:1/udp"), "51821/udp"),
        (port("8000", "host"), "8000/tcp"),
        (port("80:8000", "host"), "8000/tcp"),
        (port("{target: 8000}", "host"), "8000/tcp"),
        (port("8000", "host", "expose"), "8000/tcp"),
    ],
)
def test_a_port_that_the_agent_needs_is_told_with_its_line(text: str, taken: str) -> None:
    (fault,) = faults(text)
    assert fault.place in {"docker-compose.yml:5 services.web.ports", "docker-compose.yml:5 services.web.expose"}
    assert f"port {taken} of the machine" in fault.problem


@pytest.mark.parametrize(
    "text",
    [
        port("80:8000"),
        port("8000"),
        port("8000:80/udp"),
        port("8001:80"),
        port("{target: 8000, published: 80}"),
        port("8000", "bridge", "expose"),
        port("80", "host", "expose"),
        port('"${PORT}:80"'),
        port("99999999999999999999:1"),
        port("[nested]"),
    ],
)
def test_other_ports_are_the_users_own(text: str) -> None:
    assert "spokewire" in load(join_agent(text, PLACE, IMAGE, MARKER, ("PORT",)))["services"]


@pytest.mark.parametrize("key", ["build: .", "env_file: secrets.env"])
def test_what_needs_files_beside_the_compose_file_is_told_because_only_its_text_travels(key: str) -> None:
    (fault,) = faults(f"services:\n  web:\n    image: nginx\n    {key}\n")
    assert fault.place == f"docker-compose.yml:4 services.web.{key.partition(':')[0]}"
    assert "do not go to the machine" in fault.problem


def test_every_clash_of_a_file_is_told_at_once() -> None:
    text = "services:\n  spokewire: {}\n  a: {ports: ['8000:1', '51821:2/udp']}\nvolumes: {spokewire-state: }\n"
    assert len(faults(text)) == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense: [",
        "services: {spokewire: {environment: [A=1]}}",
        "services: {spokewire: 1}",
        "services: []",
        "services: {spokewire: {environment: {SPOKEWIRE_NETWORK: demo}}}",
        "services: {web: {image: x}}",
    ],
)
def test_a_text_without_our_marker_is_not_ours(text: str) -> None:
    assert read_marker(text) is None


def test_a_text_of_ours_tells_whose_it_is() -> None:
    assert read_marker(join(USERS)) == MARKER
    assert read_marker(join(None)) == MARKER
