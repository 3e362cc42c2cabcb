"""Making one CVM: choose a host, provision, commit, wait until it runs; where that fails, another host.

Only the commit makes a machine, and it is never sent again: without a clear answer the machine is looked for, by the app id that provisioning gave.
A process that is killed anywhere here leaves either nothing or a CVM with our name and marker, which the next look finds.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from spokewire.cloud.http import AmbiguousError, RefusalError
from spokewire.cloud.phala.answers import FAILED, Cvm, Provisioned
from spokewire.cloud.phala.api import Api, compose_file_of, wish_of
from spokewire.cloud.phala.fleet import GONE_LIMIT_S, Fleet, Survey
from spokewire.cloud.phala.machines import START_LIMIT_S, judge_state
from spokewire.cloud.phala.names import cvm_name
from spokewire.cloud.phala.placement import Place, Wish
from spokewire.cloud.phala.refusals import Meaning, judge, translate
from spokewire.cloud.phala.seal import KEY_BYTES, NONCE_BYTES, seal
from spokewire.cloud.provider import MachineState, Say
from spokewire.errors import Code, PermanentError, SpokewireError, TemporaryError
from spokewire.network.names import MachineName

LOOKS = ((20.0, 2.0), (180.0, 5.0), (START_LIMIT_S - 200.0, 20.0))
"""For how long a start is looked at how often: within its usual time often, after that seldom."""
STOPPED_PATIENCE_S = 60.0
"""Right after its commit a CVM may be `stopped` for a moment, or for ever: then it is started once."""
EARLY_S = 60.0
"""For so long a new CVM may be missing from the API's answers."""
LOOK_LIMIT_S, LOOK_INTERVAL_S = 45.0, 3.0
BUSY_WAIT_S = 5.0
MAX_BUSY = 12
MAX_HOSTS = 3
"""On so many hosts a machine is tried that does not start."""


@dataclass
class Creation:
    """One machine on its way."""

    api: Api
    fleet: Fleet
    name: MachineName
    wish: Wish
    compose: str
    environment: Mapping[str, str] = field(repr=False)
    """What goes to the machine encrypted: its token, and the user's own variables."""
    randomness: Callable[[int], bytes]
    say: Say
    _refused: set[tuple[int, str]] = field(default_factory=set)
    _told: str = ""
    """Why the last host refused, in the vendor's words."""

    def run(self) -> Cvm:
        """Make the machine, or take the one that exists; return it when it runs."""
        survey = self.fleet.survey()
        self._refuse_foreign(survey)
        cvm = survey.find(self.name)
        if cvm is not None and judge_state(cvm, self.api.clock.wall()) is MachineState.INCOMPLETE:
            self.say(f"removing what is left of it on {cvm.host_name}")
            self._discard(cvm)
            cvm = None
        reasons: list[str] = []
        while len(reasons) < MAX_HOSTS:
            cvm = cvm or self._make()
            outcome = self._watch(cvm)
            if isinstance(outcome, Cvm):
                return outcome
            reasons.append(f"on {cvm.host_name or 'its host'} {outcome}")
            self.say(f"{reasons[-1]}; removing it and trying another host")
            self._discard(cvm)
            self._refused |= {(cvm.host, size.id) for size in self.wish.types if cvm.host is not None}
            self._told, cvm = reasons[-1], None
        raise TemporaryError(
            Code.TIMEOUT, f"It did not start: {'; '.join(reasons)}.", hint="Run spokewire deploy again later."
        )

    def _refuse_foreign(self, survey: Survey) -> None:
        name = cvm_name(self.fleet.network, self.name)
        if name in survey.foreign:
            raise PermanentError(
                Code.NAME_TAKEN,
                f"A CVM called {name} exists in the workspace that is not of this network; it is left alone.",
                hint="Rename the network or the node in the spec, or remove that CVM yourself.",
            )

    def _make(self) -> Cvm:
        """Provision and commit on the best host that does not refuse."""
        busy = 0
        while True:
            place = self.fleet.reserve(self.name, self.wish, self._refused, self._told, self.fleet.survey())
            try:
                return self._make_at(place)
            except RefusalError as refusal:
                self.fleet.release(self.name)
                match judge(refusal):
                    case Meaning.NO_ROOM:
                        self._refused.add((place.host.id, place.size.id))
                        self._told = refusal.message.rstrip(".")
                        self.say(f"{place.host.name} has no room for {place.size.id}; trying another")
                    case Meaning.NAME_TAKEN:
                        found = self._resolve_name(refusal)
                        if found is not None:
                            return found
                    case Meaning.BUSY if busy < MAX_BUSY:
                        busy += 1
                        self.say("waiting for another operation in the workspace")
                        self.api.clock.sleep(BUSY_WAIT_S)
                    case _:
                        raise translate(refusal) from refusal
            except SpokewireError:
                self.fleet.release(self.name)
                raise

    def _make_at(self, place: Place) -> Cvm:
        self.say(f"provisioning {place.size.id} on {place.host.name}")
        wish = wish_of(
            cvm_name(self.fleet.network, self.name), place.host, place.size, self.wish.image, self.wish.disk_gb
        )
        made = self.api.provision(wish | {"compose_file": compose_file_of(self.compose, list(self.environment))})
        self.fleet.claim(made.app_id, self.compose)
        sealed = seal(self.environment, made.key, self.randomness(KEY_BYTES + NONCE_BYTES))
        self.say(f"committing it to {place.host.name}")
        cvm: Cvm | None
        try:
            cvm, why = self.api.commit(made, sealed), "the answer does not name it"
        except AmbiguousError as error:
            cvm, why = None, error.message.rstrip(".")
        if cvm is None or not cvm.uuid:
            self.say("the answer was lost: looking whether it was made")
            cvm = self._look(made)
        if cvm is None:
            raise TemporaryError(
                Code.CLOUD_UNREACHABLE,
                f"It is not known whether it was made: {why}, and after {LOOK_LIMIT_S:.0f} s the list does not have it.",
                hint="Run spokewire deploy again: it looks first.",
            )
        self.fleet.committed(self.name)
        return cvm

    def _look(self, made: Provisioned) -> Cvm | None:
        """Find what a commit made. The app id is new and known to nobody else, so it proves more than the name."""
        for _ in self.api.clock.watch(LOOK_LIMIT_S, LOOK_INTERVAL_S):
            with contextlib.suppress(TemporaryError):
                found = next((cvm for cvm in self.api.cvms() if cvm.app_id == made.app_id and cvm.uuid), None)
                if found is not None:
                    return found
        return None

    def _resolve_name(self, refusal: RefusalError) -> Cvm | None:
        """Say whose the CVM is that has our name already: ours, which the list had not yet; or one on its way out, which is waited for."""
        for _ in self.api.clock.watch(LOOK_LIMIT_S, LOOK_INTERVAL_S):
            survey = self.fleet.survey()
            self._refuse_foreign(survey)
            found = survey.find(self.name)
            if found is not None:
                return found
            leaving = [cvm for owner, cvm in survey.ours if owner == self.name]
            if leaving:
                self._await_deletion(leaving, refusal)
                return None
        raise PermanentError(
            Code.NAME_TAKEN,
            f"Its name is still taken: {refusal.message}",
            hint="Run spokewire deploy again when Phala Cloud has deleted the old CVM (its dashboard lists it).",
        ) from refusal

    def _await_deletion(self, leaving: Sequence[Cvm], refusal: RefusalError) -> None:
        """Wait until the CVM is gone that had our name. One that hangs may stay in `deleting` for ever (seen once), and no host takes its name twice."""
        left = self.fleet.wait_until_gone(
            leaving, lambda gone_s: self.say(f"waiting for the deletion of the CVM that had its name, {gone_s:.0f} s")
        )
        if not left:
            return
        why = f"{self._told}; " if self._told else ""
        where = f" on {left[0].host_name}" if left[0].host_name else ""
        raise PermanentError(
            Code.NAME_TAKEN,
            f"{why}the CVM {left[0].name}{where} (id {left[0].uuid}) is still being deleted after {GONE_LIMIT_S / 60:.0f} minutes and keeps "
            "its name, so no other host can be tried.",
            hint="It may cost money until it is gone: look at Phala's dashboard, or ask their support. Then run spokewire deploy again; or use another name for the node.",
        ) from refusal

    def _watch(self, cvm: Cvm) -> Cvm | str:
        """Wait until a CVM runs; or say in half a sentence why it does not."""
        stopped_at: float | None = None
        was_started = False
        words, found = cvm.status or "nothing heard of it yet", None
        for looks, gone_s in enumerate(self._looks()):
            found = self.api.cvm(cvm.uuid)
            if found is None:
                if gone_s >= EARLY_S:
                    return "it vanished"
                continue
            words = found.status or words
            if found.is_leaving:
                raise PermanentError(Code.CLOUD_REFUSED, "Somebody is deleting it.", hint="Run spokewire deploy again.")
            if found.status == "running" and not found.is_busy:
                return found
            if found.status in FAILED:
                return f"it ended in the state {found.status}{self._boot_words(cvm)}"
            is_off = found.status == "stopped" and not found.is_busy
            stopped_at = (gone_s if stopped_at is None else stopped_at) if is_off else None
            if stopped_at is not None and not was_started and gone_s - stopped_at >= STOPPED_PATIENCE_S:
                self.say("it was made but not switched on: switching it on")
                self.api.start(cvm.uuid)
                was_started = True
            more = self._boot_words(cvm) if looks % 4 == 3 else ""  # noqa: PLR2004 - every 20 s
            self.say(f"{words} on {found.host_name or 'its host'} for {gone_s:.0f} s{more}")
        if found is not None and found.status == "running":
            # Whatever operation does not end there, the machine runs: its echo decides.
            return found
        return f"it was still {words} after {START_LIMIT_S / 60:.0f} minutes{self._boot_words(cvm)}"

    def _looks(self) -> Iterator[float]:
        """The seconds gone, at every moment at which the start is looked at."""
        before_s = 0.0
        for limit_s, interval_s in LOOKS:
            yield from (before_s + gone_s for gone_s in self.api.clock.watch(limit_s, interval_s))
            before_s += limit_s

    def _boot_words(self, cvm: Cvm) -> str:
        boot = self.api.boot(cvm.uuid)
        told = ": ".join(word for word in (boot.progress, boot.error) if word)
        return f" ({told[:200]})" if told else ""

    def _discard(self, cvm: Cvm) -> None:
        """Remove a CVM without waiting for it: the deletion of one that hangs may never end. A stop first ends what is under way."""
        with contextlib.suppress(PermanentError, TemporaryError):
            self.api.stop(cvm.uuid)
        self.api.delete(cvm.uuid)
        self.fleet.release(self.name)
