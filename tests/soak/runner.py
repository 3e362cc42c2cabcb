"""A chaos run: strikes by the plan, records what real traffic and every status said, and has the oracle judge it afterwards."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

from tests.lab.world import COMMAND, Network, hub, nodes, wait_until
from tests.soak.chaos import HEALING_S, plan_chaos
from tests.soak.faults import Breaker
from tests.soak.oracle import Finding, Verdict, judge_node, judge_operator
from tests.soak.programs import ENDPOINTS, READER, TRAFFIC, Logs
from tests.soak.truth import Pair, Spans, Trace, World

HUBS = {"hub-1": "10.88.0.1", "hub-2": "10.88.0.2"}
"""Their overlay addresses."""
NATS = {
    "node-1": "port-restricted",
    "node-2": "symmetric",
    "node-3": "port-restricted",
    "node-4": "full-cone",
    "node-5": "symmetric",
}
OPERATOR_PAUSE_S = 2.0
SETTLED_LIMIT_S = 60.0
TAIL = 12


@dataclass(frozen=True)
class Look:
    """One `spokewire status --json`."""

    at: float
    ended: float
    status: int
    out: str


@dataclass
class Run:
    """One run on a network of its own."""

    network: Network
    seed: int
    duration_s: float
    logs: list[Logs] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    faulty: list[tuple[float, float]] = field(default_factory=list)
    begun_at: float = 0.0
    nodes: dict[str, str] = field(default_factory=dict)
    settings_version: int = 0
    keys: dict[str, str] = field(default_factory=dict)
    """Machine to its WireGuard key."""
    places: dict[str, str] = field(default_factory=dict)
    """Endpoint to the hub that has it."""

    def perform(self) -> Verdict:
        """Deploy, break and mend for the time of the run, and judge."""
        self.network.want(hub("hub-2"), *(nodes(name, nat=nat) for name, nat in NATS.items()))
        self.network.deploy()
        overview = self.network.status()
        self.nodes = {node["name"]: node["overlay_ip"] for node in overview["nodes"]}
        self.settings_version = overview["hubs"][0]["settings_version"]
        for node in self.nodes:
            self._boot_programs(node)
        wait_until(lambda: self.network.status()["state"] == "connected", SETTLED_LIMIT_S, "all is connected")
        listed = self.network.run("lab", "list", "--json").data
        routers = {machine["name"]: machine["public_address"] for machine in listed if machine["role"] == "node"}
        self.keys = {name: self.network.public_key(name) for name in (*HUBS, *self.nodes)}
        self.places = {
            f"{machine['public_address']}:51820": machine["name"] for machine in listed if machine["role"] == "hub"
        }
        breaker = Breaker(self.network, routers, self.keys, self._boot_programs)
        self.begun_at = time.time()
        over = threading.Event()
        operator = threading.Thread(target=self._watch_as_operator, args=(over,))
        operator.start()
        try:
            self._follow_plan(breaker)
        finally:
            over.set()
            operator.join()
        world = self._find_truth(breaker)
        return self._judge(world)

    def _follow_plan(self, breaker: Breaker) -> None:
        plan = plan_chaos(self.seed, self.duration_s, list(self.nodes), list(HUBS))
        print(f"seed {self.seed}: {len(plan)} faults in {self.duration_s:.0f} s", flush=True)
        deeds = [(fault.at_s, fault, False) for fault in plan]
        deeds += [(fault.ends_s, fault, True) for fault in plan if fault.for_s]
        struck_at: dict[int, float] = {}
        for at_s, fault, is_end in sorted(deeds, key=lambda deed: deed[0]):
            time.sleep(max(0.0, self.begun_at + at_s - time.time()))
            print(f"{_clock(time.time())} {'mended: ' if is_end else ''}{fault}", flush=True)
            if is_end:
                breaker.mend(fault)
            else:
                struck_at[fault.number] = time.time()
                breaker.strike(fault)
            if is_end or not fault.for_s:
                self.faulty.append((struck_at[fault.number], time.time() + HEALING_S))
        time.sleep(max(0.0, self.begun_at + self.duration_s - time.time()))

    def _boot_programs(self, node: str) -> None:
        if node not in self.nodes:
            # A hub has none: nodes ask it.
            return
        peers = json.dumps({name: address for name, address in self.nodes.items() if name != node})
        traffic = self.network.script(node, TRAFFIC, peers, json.dumps(HUBS))
        others = [self.network.script(node, program) for program in (READER, ENDPOINTS)]
        self.logs.append(Logs(node, traffic, *others))

    def _watch_as_operator(self, over: threading.Event) -> None:
        while not over.wait(OPERATOR_PAUSE_S):
            at = time.time()
            done = subprocess.run(
                [*COMMAND, "status", "--json"],
                cwd=self.network.folder,
                env=self.network.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            self.looks.append(Look(at, time.time(), done.returncode, done.stdout or done.stderr))

    def _find_truth(self, breaker: Breaker) -> World:
        beats: dict[str, list[tuple[float, float]]] = {node: [] for node in self.nodes}
        answers: dict[tuple[str, str], list[float]] = {}
        for log in self.logs:
            for beat in _read(log.traffic):
                beats[log.node].append((beat["begun"], beat["until"]))
                for other, heard in beat["answers"].items():
                    answers.setdefault((log.node, other), []).extend(heard)
        ran = {node: Spans.join(spans) for node, spans in beats.items()}
        pairs = {
            (node, other): Pair(answers.get((node, other), []), ran[node], ran.get(other))
            for node in self.nodes
            for other in (*HUBS, *self.nodes)
            if other != node
        }
        paths = {pair: Trace(seen) for pair, seen in self._find_paths().items()}
        hubs = list(HUBS)
        return World(self.begun_at, self.nodes, hubs, self.settings_version, pairs, breaker.turns, paths, self.faulty)

    def _find_paths(self) -> dict[tuple[str, str], list[tuple[float, str]]]:
        """Where each node's WireGuard had each other node, at each look."""
        names = {key: name for name, key in self.keys.items()}
        seen: dict[tuple[str, str], list[tuple[float, str]]] = {pair: [] for pair in permutations(self.nodes, 2)}
        for log in self.logs:
            for look in _read(log.endpoints):
                for key, endpoint in look.get("endpoints", {}).items():
                    pair = (log.node, names.get(key, ""))
                    if pair in seen:
                        seen[pair].append((look["at"], self.places.get(endpoint, endpoint)))
        return seen

    def _judge(self, world: World) -> Verdict:
        verdict = Verdict()
        for log in self.logs:
            for told in _read(log.reader):
                if told and told["got"] > self.begun_at:
                    verdict.add(judge_node(world, log.node, told["got"], told.get("status"), told.get("error", "")))
        for look in self.looks:
            verdict.add(judge_operator(world, look.at, look.ended, look.status, json.loads(look.out)))
        return verdict

    def explain(self, verdict: Verdict) -> None:
        """Print what the oracle found, and for lies what the machines have to say."""
        compared = sum(verdict.compared.values())
        samples = sum(1 for log in self.logs for _ in _read(log.reader))
        print(
            f"\nseed {self.seed}: {compared} comparisons of {samples} answers of nodes and {len(self.looks)} of the operator's status"
        )
        for rule, count in sorted(verdict.compared.items()):
            worst = verdict.worst_s.get(rule)
            lag = "" if worst is None else f", worst lag {worst.wrong_s:.1f} s ({worst.subject}: {worst.told[:90]})"
            print(f"  {rule}: {count}{lag}")
        for episode in verdict.episodes:
            print(_tell(episode))
        if verdict.lies:
            self._tell_logs(verdict)

    def _tell_logs(self, verdict: Verdict) -> None:
        print(self.network.run("history", "--since", "1h", expect=None).out)
        subjects = " ".join(episode[0].subject for episode in verdict.episodes)
        for machine in (*HUBS, *self.nodes):
            if machine in subjects:
                lines = self.network.run("lab", "logs", machine, expect=None).out.splitlines()
                print(f"--- the end of {machine}'s log", *lines[-TAIL:], sep="\n")


def _tell(episode: list[Finding]) -> str:
    worst = max(episode, key=lambda lie: lie.wrong_s)
    how_long = "never right" if worst.wrong_s > 1e5 else f"wrong for {worst.wrong_s:.1f} s"
    first, last = _clock(episode[0].at), _clock(episode[-1].at)
    return f"LIE {first} to {last} ({len(episode)} times): {worst.rule}: {worst.subject}: {worst.told}: {how_long}"


def _read(log: Path) -> Iterator[Any]:
    """The whole lines of a program's log."""
    for line in log.read_text().rpartition("\n")[0].splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError as error:
            raise AssertionError(f"{log}: {line}") from error


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S.%f}"[:-5]
