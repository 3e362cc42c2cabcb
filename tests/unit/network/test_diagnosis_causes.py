"""Which kind of finding explains which: all of them against all others."""

import pytest

from spokewire.network.diagnosis import settle
from spokewire.network.findings import Kind, make_finding
from tests.examined import examination

K = Kind
HUB_GONE = [K.HUB_OFF, K.HUB_MISSING, K.HUB_AWAY, K.HUB_NOT_RELAYING, K.HUB_STARTING]
HUB_DEAF = [*HUB_GONE, K.HUB_DAEMON_DEAD]
API_GONE = [*HUB_DEAF, K.HUB_API_AWAY]
NODE_GONE = [K.MACHINE_OFF, K.AGENT_DEAD, K.AGENT_HANGS, K.MACHINE_UNREACHABLE, K.GRANT_EXPIRED, K.NODE_BLOCKED]
NODE_GONE += [K.TUNNEL_CUT, K.NODE_UNHEARD, K.NODE_STARTING]
SUBJECTS: dict[Kind, list[str]] = {K.PAIR_CUT: ["node-1", "node-2"], K.PAIR_LOSSY: ["node-1", "node-2"]}
EXPLAINED: dict[Kind, list[Kind]] = {
    K.TUNNEL_CUT: HUB_GONE,
    K.NODE_STARTING: HUB_DEAF,
    K.NODE_DEGRADED: HUB_DEAF,
    K.NODE_LOSSY: [*HUB_GONE, K.HUB_LOSSY],
    K.NODE_UNHEARD: [*API_GONE, K.HUB_UNSEEN],
    K.ROSTER_STALE: API_GONE,
    K.SETTINGS_OLD: API_GONE,
    K.RELAY_CUT: HUB_GONE,
    K.NODE_ISOLATED: [*HUB_GONE, *NODE_GONE],
    K.PAIR_CUT: [*HUB_GONE, *NODE_GONE, K.RELAY_CUT, K.NODE_ISOLATED],
    K.PAIR_LOSSY: [*HUB_GONE, *NODE_GONE, K.HUB_LOSSY, K.NODE_LOSSY],
    K.FIXES_IN_VAIN: [*HUB_DEAF, *NODE_GONE, K.RELAY_CUT, K.NODE_ISOLATED],
}
"""What explains what, on the hub or on the node that both are about. Nothing else explains anything but an issue."""


def subjects_of(kind: Kind) -> list[str]:
    return (
        ["hub-1"]
        if kind.startswith("hub-") or kind in (K.RELAY_CUT, K.RELAY_REFUSES)
        else SUBJECTS.get(kind, ["node-1"])
    )


@pytest.mark.parametrize("effect", [kind for kind in Kind if kind not in (K.ISSUE, K.OPERATOR_OFFLINE, K.MIXED_FAMILY)])
def test_a_finding_is_explained_by_these_kinds_and_by_no_other(effect: Kind) -> None:
    seen, finding = examination(), make_finding(effect, subjects_of(effect), "effect", "")
    explainers = []
    for kind in Kind:
        if kind not in (effect, K.OPERATOR_OFFLINE):
            cause = make_finding(kind, subjects_of(kind), "cause", "")
            if any(kept.kind is kind and kept.explains == ["effect"] for kept in settle(seen, [finding, cause])):
                explainers.append(kind)
    assert set(explainers) == set(EXPLAINED.get(effect, []))


@pytest.mark.parametrize(("effect", "causes"), EXPLAINED.items(), ids=list(EXPLAINED))
def test_what_is_wrong_with_another_node_explains_nothing(effect: Kind, causes: list[Kind]) -> None:
    finding = make_finding(effect, subjects_of(effect), "effect", "")
    for kind in causes:
        if kind in NODE_GONE or kind in (K.NODE_ISOLATED, K.NODE_LOSSY):
            assert len(settle(examination(), [finding, make_finding(kind, ["node-3"], "cause", "")])) == 2, kind


def test_a_cut_pair_explains_the_vain_fixes_of_its_two_nodes_towards_each_other_only() -> None:
    pair = make_finding(K.PAIR_CUT, ["node-1", "node-2"], "pair", "")
    between = make_finding(K.FIXES_IN_VAIN, ["node-2", "node-1"], "between", "")
    own = make_finding(K.FIXES_IN_VAIN, ["node-1"], "own", "")
    assert [f.explains for f in settle(examination(), [pair, between, own])] == [["between"], []]
