"""A network under test: it runs the real command line in a folder of its own, and waits for what a user would wait for."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

COMMAND = [sys.executable, "-m", "spokewire"]
TAG = "LAB_TEST_TAG"
"""An environment variable that every process of a network under test inherits: how leftovers are told from other labs."""
POLL_S = 0.05
DAEMON = r".*spokewire (node|hub) run"

HEAD = """\
[network]
name = "demo"
cidr = "10.88.0.0/24"
relay = "sealed"

[[hubs]]
name = "hub-1"
provider = "lab"
"""


def nodes(name: str = "node", count: int | None = None, nat: str = "port-restricted", tags: Sequence[str] = ()) -> str:
    """A [[nodes]] table of the spec; without a count it is one node of that very name."""
    lines = ["", "[[nodes]]", f'name = "{name}"', 'provider = "lab"', f'nat = "{nat}"']
    lines += [f"count = {count}"] if count is not None else []
    lines += [f"tags = {json.dumps(list(tags))}"] if tags else []
    return "\n".join(lines) + "\n"


def hub(name: str, *lines: str) -> str:
    """A [[hubs]] table of the spec beside that of hub-1, with more lines."""
    return "\n".join(["", "[[hubs]]", f'name = "{name}"', 'provider = "lab"', *lines]) + "\n"


@dataclass(frozen=True)
class Outcome:
    """What a finished command left."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def text(self) -> str:
        """All that a user saw."""
        return self.out + self.err

    @property
    def data(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


class Network:
    """A folder with a spec, the command line, and the lab that belongs to it."""

    def __init__(self, folder: Path, cache: Path, *tables: str) -> None:
        self.folder = folder
        self.tag = secrets.token_hex(8)
        self.scratch = folder.parent / f"{folder.name}-tmp"
        self.scratch.mkdir()
        self.environment = environment(cache) | {TAG: self.tag, "TMPDIR": str(self.scratch)}
        self._started: list[subprocess.Popen[bytes]] = []
        if tables:
            self.want(*tables)

    @property
    def spec(self) -> Path:
        return self.folder / "spokewire.toml"

    def want(self, *tables: str) -> None:
        """Write the spec: one hub and these tables."""
        self.spec.write_text(HEAD + "".join(tables))

    def run(
        self, *arguments: str, expect: int | None = 0, limit_s: float = 120, env: dict[str, str] | None = None
    ) -> Outcome:
        """Run a command to its end with no terminal; it must end with the expected exit status (None: any)."""
        begun = time.monotonic()
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment | (env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
        outcome = Outcome(done.returncode, done.stdout, done.stderr, time.monotonic() - begun)
        print(f"{outcome.seconds:7.2f} s  spokewire {' '.join(arguments)}: {outcome.status}")
        if expect is not None:
            assert outcome.status == expect, f"{arguments} ended with {outcome.status}:\n{outcome.text}"
        return outcome

    def deploy(self, *options: str, expect: int | None = 0) -> Outcome:
        return self.run("deploy", *options, expect=expect)

    def status(self) -> Any:
        return self.run("status", "--json", expect=None).data

    def prove(self) -> Any:
        """Prove all pairs; the result must be that all of them pass."""
        proof = self.run("test", "--json").data
        assert proof["ok"] is True
        return proof

    def start(
        self, *arguments: str, env: dict[str, str] | None = None, log: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command in the background, in a process group of its own. It hears SIGINT even if we were started by a shell that has it ignored (`&`)."""
        with (log or Path(os.devnull)).open("wb") as sink:
            process = subprocess.Popen(
                ["env", "--default-signal=INT", *COMMAND, *arguments],
                cwd=self.folder,
                env=self.environment | (env or {}),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def enter(self, machine: str, *command: str) -> list[str]:
        """The command line of `lab exec` without the start of a command of ours, for tests that look often."""
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        pid = str(self.machine_process(machine))
        return ["nsenter", *user, "--net", "--mount", "--pid", "--uts", "--target", pid, "--", *command]

    def exec(self, machine: str, *command: str, expect: int | None = 0, limit_s: float = 60) -> Outcome:
        """Run a command inside a machine; it must end with the expected exit status (None: any)."""
        begun = time.monotonic()
        done = subprocess.run(
            self.enter(machine, *command),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
        outcome = Outcome(done.returncode, done.stdout, done.stderr, time.monotonic() - begun)
        if expect is not None:
            assert outcome.status == expect, f"{machine}: {command} ended with {outcome.status}:\n{outcome.text}"
        return outcome

    def python(self, machine: str, script: str, *arguments: str, expect: int | None = 0) -> Outcome:
        """Run a Python script inside a machine."""
        return self.exec(machine, sys.executable, "-c", script, *arguments, expect=expect)

    def background(self, machine: str, *command: str, env: dict[str, str] | None = None) -> Path:
        """Start a command inside a machine, which goes on until the network is removed; return its log."""
        log = self.scratch / f"{machine}-{secrets.token_hex(4)}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                self.enter(machine, *command),
                env=self.environment | (env or {}),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
            )
        self._started.append(process)
        return log

    def script(self, machine: str, script: str, *arguments: str) -> Path:
        """Start a Python script inside a machine and wait until it prints its first line; return its log."""
        log = self.background(machine, sys.executable, "-u", "-c", script, *arguments)
        wait_until(lambda: "\n" in log.read_text(), 20, f"the script in {machine} started")
        return log

    def node(self, name: str) -> Any:
        """One node of `status --json`; {} if it is not there."""
        return next((node for node in self.status()["nodes"] if node["name"] == name), {})

    def wait_for_node(self, name: str, state: str, limit_s: float = 30) -> Any:
        def look() -> Any:
            node = self.node(name)
            return node if node.get("state") == state else None

        return wait_until(look, limit_s, f"{name} is {state}")

    def public_key(self, machine: str) -> str:
        return self.exec(machine, "wg", "show", "wg-demo", "public-key").out.strip()

    def daemon(self, machine: str) -> int:
        """The process id of a machine's daemon, as that machine counts."""
        found = self.find(machine, DAEMON)
        assert len(found) == 1, found
        return found[0]

    def find(self, machine: str, pattern: str) -> list[int]:
        """The processes of a machine with this whole command line, as that machine counts; at least one.

        A child that has not begun its own program yet has its parent's command line: it is left out.
        """
        found = [int(word) for word in self.exec(machine, "pgrep", "-f", "-x", pattern).out.split()]
        if len(found) == 1:
            return found
        listed = self.exec(machine, "ps", "-o", "pid=,ppid=", "-p", ",".join(map(str, found)), expect=None).out
        parents = {int(line.split()[0]): int(line.split()[1]) for line in listed.splitlines()}
        return [pid for pid, parent in parents.items() if parent not in found]

    def identity(self, machine: str) -> tuple[str, str]:
        """A machine's WireGuard key and its daemon (id and start time): what must not change where nothing is touched."""
        fields = self.exec(machine, "cat", f"/proc/{self.daemon(machine)}/stat").out
        return self.public_key(machine), f"{fields.split()[0]} {fields.rpartition(')')[2].split()[19]}"

    def signal_daemon(self, machine: str, name: str) -> None:
        self.exec(machine, "kill", f"-{name}", str(self.daemon(machine)))

    def forget_labels(self, machine: str) -> None:
        """Remove the labels that a hub saved, while it is switched off."""
        path = f"/run/lab/disks/{machine}/spokewire/demo/labels.json"
        subprocess.run(["nsenter", "--target", str(self.first_process()), "--mount", "--", "rm", path], check=True)

    def processes(self) -> dict[int, str]:
        """Every process on this computer that this network's commands started, by its id here."""
        wanted = f"{TAG}={self.tag}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if wanted in (entry / "environ").read_bytes().split(b"\0"):
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except (OSError, UnicodeDecodeError):
                    continue
        return found

    def first_process(self) -> int:
        """The first process of the lab, as this computer counts."""
        return self._find(f"spokewire-lab {self.folder}/.spokewire/lab ")

    def machine_process(self, machine: str) -> int:
        """The first process of a machine, as this computer counts."""
        return self._find(f"spokewire-machine {machine} ")

    def _find(self, ending: str) -> int:
        named = {pid for pid, words in self.processes().items() if words.startswith("sh -c") and words.endswith(ending)}
        # A shell that starts a program is seen twice for a moment, until the program has begun.
        found = [pid for pid in named if parent(pid) not in named]
        assert len(found) == 1, f"processes that end with {ending!r}: {found}"
        return found[0]

    def close(self) -> None:
        """Remove all of it, whatever state it is in."""
        for process in self._started:
            process.kill()
            process.wait()
        if self.spec.exists():
            self.run("destroy", "--force", expect=None)
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def parent(pid: int) -> int:
    """The process that started another; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def environment(cache: Path) -> dict[str, str]:
    """What a command under test finds around it. Compiled modules are kept, as on a machine that is not ours: it halves each command's start."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SPOKEWIRE_", "PYTHON"))}
    return kept | {"PYTHONPYCACHEPREFIX": str(cache), "NO_COLOR": "1", "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}


def wait_until(condition: Callable[[], T | None], limit_s: float, what: str) -> T:
    """Wait until a condition holds and return what it returned; fail with `what` after `limit_s`."""
    deadline = time.monotonic() + limit_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}; the last look said {found!r}"
        time.sleep(POLL_S)


def measured(what: str, value: float, unit: str = "s") -> None:
    """Print a figure for whoever runs the tests with -s, or reads a failure."""
    print(f"measured: {what}: {value:.2f} {unit}")
