"""The network's CVMs: which of a workspace's are ours, where the next one goes, and waiting until one is gone. Shared by all threads."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from spokewire.cloud.phala.answers import Cvm, InstanceType
from spokewire.cloud.phala.api import Api
from spokewire.cloud.phala.compose import read_marker
from spokewire.cloud.phala.names import is_ours, parse_cvm_name
from spokewire.cloud.phala.placement import Place, Wish, choose_place, explain_lack
from spokewire.errors import Code, PermanentError, TemporaryError
from spokewire.network.names import MachineName

NEW_S = 600.0
"""For so long the API may have no compose text of a new machine yet. Then one without any is none of ours."""
PATIENCE_S = 20.0
"""So long a command waits for it."""
GONE_LIMIT_S, GONE_INTERVAL_S = 180.0, 3.0


@dataclass(frozen=True)
class Survey:
    """What a workspace has under names like ours."""

    ours: tuple[tuple[MachineName, Cvm], ...]
    """Also those that are being deleted; of one name the oldest first."""
    foreign: frozenset[str]
    """Names of CVMs that parse as ours and carry another marker, or none."""

    def find(self, name: MachineName) -> Cvm | None:
        """The living CVM of a machine."""
        return next((cvm for owner, cvm in self.ours if owner == name and not cvm.is_leaving), None)


@dataclass
class Fleet:
    """The CVMs of one network. `root_key` None: there was none when the command began (the operator's folder was lost), and the network's name decides."""

    api: Api
    network: str
    root_key: str | None
    _texts: dict[tuple[str, str], str] = field(default_factory=dict)
    """Compose texts by CVM and hash: they do not change, and asking for each costs a request."""
    _claimed: dict[str, str] = field(default_factory=dict)
    """Compose texts by the app ids that this process was given: whatever carries one is ours, before the API tells what it runs."""
    _hosts: dict[MachineName, int] = field(default_factory=dict)
    """Where each machine was put by this process: the list may lag."""
    _pending: dict[MachineName, tuple[int, InstanceType]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def survey(self, *, everybody: bool = False) -> Survey:
        """Look at the whole workspace. With `everybody` all networks of this name are ours. Nothing is concluded from what cannot be read: then it raises TemporaryError."""
        ours, foreign = [], set[str]()
        for cvm in self.api.cvms():
            name = parse_cvm_name(self.network, cvm.name)
            if name is None:
                continue
            known = self._with_text(cvm)
            if known is None:
                continue
            if known.compose is not None and is_ours(
                read_marker(known.compose), self.network, None if everybody else self.root_key
            ):
                ours.append((name, known))
            elif not known.is_leaving:
                foreign.add(cvm.name)
        ours.sort(key=lambda pair: pair[1].created_at or 0.0)
        return Survey(tuple(ours), frozenset(foreign))

    def claim(self, app_id: str, compose: str) -> None:
        """An app id that provisioning gave us, before anything is made with it."""
        self._claimed[app_id] = compose

    def _with_text(self, cvm: Cvm) -> Cvm | None:
        """A CVM of the list with its compose text, if there is any; None if it is gone since."""
        if cvm.app_id in self._claimed:
            return replace(cvm, compose=self._claimed[cvm.app_id])
        key = (cvm.uuid, cvm.compose_hash)
        if cvm.compose_hash and key in self._texts:
            return replace(cvm, compose=self._texts[key])
        is_new = cvm.created_at is None or self.api.clock.wall() - cvm.created_at < NEW_S
        patience_s = PATIENCE_S if is_new and not cvm.is_leaving else 0.0
        for _ in self.api.clock.watch(patience_s, PATIENCE_S / 4):
            full = self.api.cvm(cvm.uuid)
            if full is None:
                return None
            text = full.compose or self.api.compose_text(cvm.uuid)
            if text is not None:
                self._texts[cvm.uuid, full.compose_hash] = text
                return replace(cvm, compose=text)
        if patience_s:
            raise TemporaryError(
                Code.CLOUD_UNREACHABLE,
                f"Phala Cloud does not tell yet what {cvm.name} runs, so it is not known whether it is of this network.",
                hint="Run the command again in a minute.",
            )
        return cvm

    def reserve(
        self, name: MachineName, wish: Wish, refused: Collection[tuple[int, str]], told: str, survey: Survey
    ) -> Place:
        """Choose a place and hold it against the other threads until `committed` or `release`; PermanentError if there is none."""
        with self._lock:
            hosts = self.api.hosts()
            seen = {owner: cvm.host for owner, cvm in survey.ours if cvm.host is not None and not cvm.is_leaving}
            others = {owner: host for owner, host in {**seen, **self._hosts}.items() if owner != name}
            pending = defaultdict[int, list[InstanceType]](list)
            for host, size in self._pending.values():
                pending[host].append(size)
            place = choose_place(hosts, wish, Counter(others.values()), pending, refused)
            if place is None:
                raise PermanentError(
                    Code.NO_CAPACITY,
                    f"There is no room for it: {explain_lack(hosts, wish, told)}.",
                    hint="Run spokewire deploy again later, or allow more instance_types or regions in the spec.",
                )
            self._hosts[name], self._pending[name] = place.host.id, (place.host.id, place.size)
            return place

    def committed(self, name: MachineName) -> None:
        """The machine exists: the host's own figures have it from now on."""
        with self._lock:
            self._pending.pop(name, None)

    def release(self, name: MachineName) -> None:
        """The machine was not made there, or is removed."""
        with self._lock:
            self._pending.pop(name, None)
            self._hosts.pop(name, None)

    def wait_until_gone(self, cvms: Sequence[Cvm], tell: Callable[[float], None] = lambda _: None) -> list[Cvm]:
        """Wait for removals, which take their time; return those that are still there at the end. `tell` is called with the seconds gone."""
        left = list(cvms)
        for gone_s in self.api.clock.watch(GONE_LIMIT_S, GONE_INTERVAL_S):
            tell(gone_s)
            left = [cvm for cvm in left if self.api.cvm(cvm.uuid) is not None]
            if not left:
                break
        return left
