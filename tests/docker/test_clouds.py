"""The machines behind the clouds' emulators: a droplet that carries out the real user_data, confidential VMs that run the real compose text."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from spokewire.cloud.cloud_init import HubBoot, write_user_data
from spokewire.cloud.phala.compose import Marker, join_agent
from spokewire.lab.world import INTERNET
from tests.docker.cvms import DockerCvms
from tests.docker.droplets import BARE, DockerDroplets
from tests.docker.engine import FOLDER
from tests.docker.internet import FIRST_CONTAINER, OPERATOR, Internet
from tests.docker.machinery import Release
from tests.docker.operator import Operator
from tests.docker.registry import Shelf
from tests.emulators.machines import CvmBackend, DropletBackend
from tests.lab.world import measured, wait_until

pytestmark = pytest.mark.docker

SECRET = "correct horse battery staple"
HUB = str(INTERNET.network[FIRST_CONTAINER])
APP = """\
services:
  app:
    image: {image}
    entrypoint: ["sleep", "100000"]
    environment:
      GREETING: "yes"
      PASSWORD: ${{DB_PASSWORD}}
    healthcheck: {{disable: true}}
"""


@dataclass(frozen=True)
class Made:
    operator: Operator
    droplets: DockerDroplets
    cvms: DockerCvms


@pytest.fixture(scope="module")
def made(internet: Internet, release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    operator = Operator(internet, tmp_path_factory.mktemp("operator") / "home", HUB, nodes=2)
    droplets = DockerDroplets(internet, release.droplet_files)
    cvms = DockerCvms(internet, release.authority.ca_file)
    try:
        assert droplets.boot("hub-1", boot_text(operator, release)) == HUB
        measured("a droplet, from its boot to the hub's first answer", operator.wait(f"https://{HUB}/healthz"))
        marker, file = Marker("demo", operator.root_key()), "docker-compose.yml"
        text = join_agent(APP.format(image=release.image), file, release.image, marker, ("DB_PASSWORD",))
        for name in ("node-1", "node-2"):
            cvms.boot(name, text, {"SPOKEWIRE_TOKEN": operator.token(name), "DB_PASSWORD": SECRET})
        for name in ("node-1", "node-2"):
            cvms.wait(name)
        operator.deploy()
        yield Made(operator, droplets, cvms)
    except BaseException:
        print(droplets.tell(), cvms.tell(), sep="\n")
        raise
    finally:
        cvms.close()
        droplets.close()


def boot_text(operator: Operator, release: Release) -> str:
    """The user_data of the hub."""
    return write_user_data(
        HubBoot(token=operator.token("hub-1"), wheel=release.wheel, wheel_sha256=release.wheel_sha256, api_port=443)
    )


def test_the_real_machines_are_what_the_emulators_ask_for(made: Made) -> None:
    backends: tuple[DropletBackend, CvmBackend] = made.droplets, made.cvms
    assert backends[1].state("node-1") == "running"
    assert backends[1].state("nobody") == "stopped"
    assert backends[1].status_url("nobody") is None


def test_a_droplet_and_two_confidential_machines_prove_every_pair(made: Made) -> None:
    assert len(made.operator.prove()["pairs"]) == 2


def test_cloud_init_ends_well_and_the_hub_runs_as_the_hardened_unit(made: Made) -> None:
    said = json.loads(made.droplets.run("hub-1", "cloud-init", "status", "--wait", "--format", "json"))
    assert (said["status"], said["errors"]) == ("done", [])
    show = made.droplets.run("hub-1", "systemctl", "show", "spokewire-hub", "--property", "ActiveState,NoNewPrivileges")
    assert set(show.split()) == {"ActiveState=active", "NoNewPrivileges=yes"}


def test_the_users_own_service_runs_beside_the_agent_and_keeps_its_settings(made: Made) -> None:
    host = made.cvms.host("node-1")
    app = host.docker("ps", "--quiet", "--filter", "label=com.docker.compose.service=app")
    assert host.docker("exec", app, "printenv", "GREETING") == "yes"
    assert host.docker("exec", app, "printenv", "PASSWORD") == SECRET
    agent = host.docker("ps", "--quiet", "--filter", "label=com.docker.compose.service=spokewire")
    assert SECRET not in host.docker("inspect", agent)


def test_what_the_hub_installed_beside_the_wheel_is_what_the_wheel_names(made: Made) -> None:
    python = "/opt/spokewire/.venv/bin/python"
    locked = "/opt/spokewire/.venv/lib/python3*/site-packages/spokewire/locked.txt"
    wanted = set(made.droplets.run("hub-1", "sh", "-c", f"grep -o '^[a-z0-9-]*==[0-9.]*' {locked}").split())
    frozen = made.droplets.run("hub-1", python, "-m", "pip", "list", "--format", "freeze").lower().replace("_", "-")
    ours = {line for line in frozen.split() if line.partition("==")[0] not in ("pip", "setuptools", "spokewire")}
    assert len(ours) > 20
    assert ours <= wanted


def test_a_confidential_machine_that_is_restarted_is_the_same_machine(made: Made) -> None:
    key = f"{made.cvms.status_url('node-2')}/status"
    before = made.operator.fetch(key)
    made.cvms.restart("node-2")
    made.cvms.wait("node-2")
    made.operator.wait(f"{made.cvms.status_url('node-2')}/health")
    after = made.operator.fetch(key)
    assert (after["node"], after["overlay_ip"]) == (before["node"], before["overlay_ip"])
    assert made.operator.run("status", expect=None).count("connected") >= 3
    made.operator.prove()


def test_a_droplet_that_is_rebooted_is_the_same_hub(made: Made) -> None:
    made.droplets.reboot("hub-1")
    measured("a droplet that is switched on again, to the hub's answer", made.operator.wait(f"https://{HUB}/healthz"))
    made.operator.deploy()
    made.operator.prove()


def test_a_hub_whose_image_lacks_packages_comes_up_when_the_mirror_does(
    internet: Internet, release: Release, made: Made
) -> None:
    port = 8099
    source = {"/etc/apt/sources.list": f"deb [trusted=yes] http://{OPERATOR}:{port}/debian/ ./\n"}
    droplets = DockerDroplets(internet, {**made.droplets.files, **source}, BARE)
    try:
        address = droplets.boot("hub-2", boot_text(made.operator, release))
        droplets.run("hub-2", "cloud-init", "status", "--wait")
        tried = ["systemctl", "show", "--value", "--property", "NRestarts", "spokewire-install"]
        wait_until(lambda: int(droplets.run("hub-2", *tried)) >= 1, 60, "the installation was tried again")
        with internet.serve(Shelf(FOLDER).build({"debian": FOLDER / "debian"}), port=port):
            seconds = made.operator.wait(f"https://{address}/healthz")
        measured("a droplet without packages, from the mirror's return to the hub's first answer", seconds)
    finally:
        droplets.close()


def test_the_image_that_ran_is_the_one_that_was_named(made: Made, release: Release) -> None:
    digest = release.image.partition("@")[2]
    names = made.cvms.host("node-1").docker("inspect", "--format", "{{.Config.Image}}", *running(made.cvms, "node-1"))
    assert set(names.split()) == {release.image}
    assert any(path.endswith(f"/manifests/{digest}") for path in release.shelf.asked)


def running(cvms: DockerCvms, name: str) -> list[str]:
    """Every container of a machine."""
    return cvms.host(name).docker("ps", "--quiet").split()
