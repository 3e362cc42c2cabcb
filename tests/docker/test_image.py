"""The image, started as the page about it says: a hub and nodes on computers with Docker, proved with traffic."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from spokewire.network.spec import Nat
from tests.docker.engine import IMAGE, REPOSITORY, docker
from tests.docker.host import DockerHost
from tests.docker.internet import Internet
from tests.docker.machinery import Release
from tests.docker.operator import Operator
from tests.lab.world import measured

pytestmark = pytest.mark.docker

PAGE = (REPOSITORY / "docs/howto/run-the-image.md").read_text()
HUB_API = "https://{}/healthz"
STATUS = "http://{}:8000/health"


@dataclass(frozen=True)
class Made:
    operator: Operator
    hub: DockerHost
    nodes: list[DockerHost]


def shown(language: str, heading: str) -> str:
    """The first block of a language below a heading of the page."""
    found = re.search(rf"^## {heading}\n.*?^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no {language} below {heading!r}"
    return found[1]


def start(host: DockerHost, command: str, environment: dict[str, str]) -> None:
    """Carry out a `docker run …` of the page, with the image by digest."""
    words = command.replace("\\\n", " ").split()
    assert words[:2] == ["docker", "run"]
    filled = [f"{word}={environment[word]}" if word in environment else word for word in words[1:]]
    host.docker(*filled)


@pytest.fixture(scope="module")
def made(internet: Internet, release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    hosts: list[DockerHost] = []

    def switch_on(name: str, nat: Nat) -> DockerHost:
        hosts.append(DockerHost(internet, name, nat, release.authority.ca_file))
        hosts[-1].start()
        hosts[-1].docker("pull", "--quiet", release.image)
        return hosts[-1]

    try:
        hub = switch_on("hub-1", Nat.NONE)
        operator = Operator(internet, tmp_path_factory.mktemp("operator") / "home", hub.address, nodes=2)
        environment = {"SPOKEWIRE_TOKEN": operator.token("hub-1"), "SPOKEWIRE_PUBLIC_ADDRESS": hub.address}
        command = shown("sh", "A hub").replace(" spokewire hub run", f" {release.image} hub run")
        begun = time.monotonic()
        start(hub, command, environment)
        operator.wait(HUB_API.format(hub.address))
        measured("the image as a hub, from docker run to its first answer", time.monotonic() - begun)
        nodes = [switch_on(name, nat) for name, nat in (("node-1", Nat.PORT_RESTRICTED), ("node-2", Nat.SYMMETRIC))]
        command = shown("sh", "A node").replace(" spokewire\n", f" {release.image}\n")
        for node in nodes[:1]:
            begun = time.monotonic()
            start(node, command, {"SPOKEWIRE_TOKEN": operator.token(node.name)})
            operator.wait_for_answer(STATUS.format(node.address))
            measured("the image as a node, from docker run to its first answer", time.monotonic() - begun)
        text = shown("yaml", "A node").replace("image: spokewire", f"image: {release.image}")
        nodes[1].compose(text, {"SPOKEWIRE_TOKEN": operator.token("node-2")})
        operator.deploy()
        yield Made(operator, hub, nodes)
    except BaseException:
        print(*(host.tell() for host in hosts), sep="\n")
        raise
    finally:
        for host in hosts:
            host.destroy()


def container(host: DockerHost) -> str:
    return host.docker("ps", "--quiet")


def test_a_hub_and_two_nodes_that_run_the_image_prove_every_pair(made: Made) -> None:
    proof = made.operator.prove()
    assert len(proof["pairs"]) == 2


def test_the_health_check_of_the_image_says_that_hub_and_nodes_are_well(made: Made) -> None:
    for host in (made.hub, *made.nodes):
        host.docker("exec", container(host), "healthy")


def test_the_daemon_is_not_root_and_has_three_capabilities(made: Made) -> None:
    for host in (made.hub, *made.nodes):
        status = host.docker("exec", container(host), "cat", "/proc/1/status")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split() == ["10001"] * 4
        wanted = 1 << 12 | 1 << 13 | 1 << 10
        assert {int(fields[name], 16) for name in ("CapEff", "CapBnd", "CapAmb")} == {wanted}, fields
        assert fields["NoNewPrivs"] == "1"


def test_a_machine_that_lost_power_comes_back_by_itself_as_the_same_machine(made: Made) -> None:
    node = made.nodes[0]
    url = f"http://{node.address}:8000/status"
    before = made.operator.fetch(url)
    node.cut_power()
    node.boot_again()
    seconds = made.operator.wait(STATUS.format(node.address))
    measured("a node of the image after a power cut, from the Docker daemon's first answer to echoes", seconds)
    after = made.operator.fetch(url)
    assert (after["node"], after["overlay_ip"]) == (before["node"], before["overlay_ip"])
    made.operator.prove()


def test_nothing_but_what_runs_is_in_the_image() -> None:
    size = int(docker("image", "inspect", "--format", "{{.Size}}", IMAGE))
    base = int(docker("image", "inspect", "--format", "{{.Size}}", "spokewire-base:bookworm"))
    measured("the image", size / 1e6, "MB")
    measured("of it the base that was made here", base / 1e6, "MB")
    look = "find / -xdev ( -name *.key -o -name .git -o -name uv.lock -o -name pip -o -name .spokewire ) -not -path /proc/*"
    found = docker("run", "--rm", "--network", "none", "--entrypoint", "find", IMAGE, *look.split()[1:])
    assert found == ""


def test_stopping_a_node_leaves_no_interface_and_no_table(made: Made) -> None:
    node = made.nodes[1]
    assert "wg-demo" in node.run("ip", "-brief", "link")
    assert "spokewire" in node.run("nft", "list", "tables")
    node.docker("stop", container(node))
    assert "wg-demo" not in node.run("ip", "-brief", "link")
    assert node.run("nft", "list", "tables") == ""
