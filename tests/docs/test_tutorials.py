"""The tutorials, carried out: every command that they show runs for real and prints what they show.

A command that only looks (`status`, `test`) is repeated until it prints what is shown: the pages say when a state is reached, not how fast this machine is.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.console import Step, matches, parse_steps
from tests.docs.pages import blocks, read
from tests.lab.conftest import MakeNetwork
from tests.lab.world import Network, environment, nodes

pytestmark = pytest.mark.lab

LIMIT_S = 40
LOOKS = ("spokewire status", "spokewire test")
DAEMONS = ("spokewire hub run", "spokewire node run")


def test_the_first_tutorial_does_what_it_shows(tmp_path: Path, cache: Path) -> None:
    shell = Shell(tmp_path, cache)
    with shell.removing_what_is_left():
        for step in _steps("docs/tutorial/first-network.md"):
            shell.carry_out(step)


def test_the_tutorial_of_own_hosts_does_what_it_shows(tmp_path: Path, cache: Path, make_network: MakeNetwork) -> None:
    """The three machines of the page are bare machines of a lab, which share a folder where people would use scp."""
    world = make_network(nodes(count=0))
    world.deploy()
    for machine in ("hub", "desk", "laptop"):
        world.run("lab", "add", machine, "--nat", "port-restricted" if machine == "laptop" else "none")
    assert {m["name"]: m["public_address"] for m in world.run("lab", "list", "--json").data}["hub"] == "203.0.113.11"
    shell = Shell(tmp_path, cache, world)
    with shell.removing_what_is_left():
        for step in _steps("docs/tutorial/own-hosts.md"):
            shell.carry_out(step)


def _steps(page: str) -> list[Step]:
    steps = [step for block in blocks(read(page), "console") for step in parse_steps(block.text)]
    assert len(steps) > 5
    return steps


class Shell:
    """A folder and a shell, on this computer or on machines of a lab."""

    def __init__(self, folder: Path, cache: Path, world: Network | None = None) -> None:
        self._folder = folder
        self._world = world
        self._daemons: list[subprocess.Popen[bytes]] = []
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
        self._environment = environment(cache) | {"PATH": path}

    def carry_out(self, step: Step) -> None:
        """Run one command; its output must have the shape that is shown, and unless its exit status is shown it must be 0."""
        print(f"{step.machine}$ {step.command}")
        argv = self._argv(step)
        if any(word in step.command for word in DAEMONS):
            with (self._folder / f"{step.machine}.log").open("wb") as log:
                self._daemons.append(
                    subprocess.Popen(argv, cwd=self._folder, env=self._environment, stdout=log, stderr=log)
                )
            return
        deadline = time.monotonic() + LIMIT_S
        while True:
            done = subprocess.run(
                argv,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            as_shown = matches(step.shown, done.stdout) and done.returncode == 0
            if as_shown or not step.command.startswith(LOOKS) or time.monotonic() > deadline:
                break
        shown = "\n".join(step.shown)
        assert as_shown, (
            f"$ {step.command}\nexit status {done.returncode}, shown:\n{shown}\nprinted:\n{done.stdout}\n{done.stderr}"
        )

    @contextmanager
    def removing_what_is_left(self) -> Iterator[None]:
        """End the daemons and the lab, however the tutorial went."""
        try:
            yield
        finally:
            for daemon in self._daemons:
                daemon.send_signal(signal.SIGTERM)
            for daemon in self._daemons:
                daemon.wait(timeout=LIMIT_S)
            if self._world is None and (self._folder / "spokewire.toml").exists():
                command = self._argv(Step("", "spokewire destroy --force"))
                subprocess.run(command, cwd=self._folder, env=self._environment, capture_output=True, check=True)

    def _argv(self, step: Step) -> list[str]:
        if self._world is None:
            return ["bash", "-c", step.command]
        script = f"cd '{self._folder}' && export SPOKEWIRE_STATE_DIR=/run/disk/spokewire && {step.command}"
        return self._world.enter(step.machine, "bash", "-c", script)


def test_the_service_unit_of_the_tutorial_is_one_that_systemd_accepts(tmp_path: Path) -> None:
    unit = next(block.text for block in blocks(read("docs/tutorial/own-hosts.md"), "ini"))
    path = tmp_path / "spokewire-node.service"
    path.write_text(unit.replace("/opt/spokewire/.venv/bin/spokewire", "/bin/true"))
    try:
        done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("systemd-analyze is not installed")
    about_ours = [line for line in done.stderr.splitlines() if "spokewire" in line]
    assert about_ours == []
