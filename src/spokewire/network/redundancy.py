"""What several hubs mean for the overview: how pairs go, and that one dead hub of two is a fault of its own, and no node's. Pure."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from spokewire.network.families import list_names
from spokewire.network.health import judge_node
from spokewire.network.status import NodeStatus, PeerStatus, State

VIA = "via "
DIRECT = "direct"
NO_PATH = "none"
ALIVE = (State.CONNECTED, State.DEGRADED)


def sum_up_paths(told: NodeStatus | None) -> str:
    """How a node's pairs go, the path of most of them first: "via hub-1", "via hub-1 +hub-2", "direct +hub-1"; "none" if no word comes of it."""
    if told is None or not told.hubs:
        return NO_PATH
    paths = Counter(peer.path for peer in told.peers if peer.state in ALIVE and peer.path not in ("", NO_PATH))
    first, *others = [path for path, _ in paths.most_common()] or [f"{VIA}{choose_hub(told).name}"]
    return " +".join([first, *(path.removeprefix(VIA) for path in others)])


def choose_hub(told: NodeStatus) -> PeerStatus:
    """The hub whose figures stand for a node's line: the one that carries most of its pairs, if it is alive, else the first that is."""
    paths = Counter(peer.path for peer in told.peers)
    alive = [hub for hub in told.hubs if hub.state in ALIVE]
    return max(alive or told.hubs[:1], key=lambda hub: paths[f"{VIA}{hub.name}"])


def is_excused(told: NodeStatus | None, dead: Collection[str]) -> bool:
    """Whether all that a node complains of are hubs that are dead for everybody, while another hub and its peers answer."""
    if told is None or told.state is not State.DEGRADED:
        return False
    others = [hub for hub in told.hubs if hub.name not in dead]
    if len(others) == len(told.hubs) or not any(hub.state is State.CONNECTED for hub in others):
        return False
    return judge_node(others, told.peers, "").state is State.CONNECTED


def count_pairs(peers: Mapping[str, Sequence[PeerStatus]]) -> Counter[str]:
    """By path, the pairs of nodes that go through it, as either side tells: `peers` has what each node says of its peers that it reaches."""
    pairs = {
        (*sorted((name, peer.name)), peer.path)
        for name, others in peers.items()
        for peer in others
        if peer.state in ALIVE
    }
    return Counter(path for _, _, path in pairs)


def tell_use(pairs: int, *, drain: bool) -> str:
    """How much goes through one of several hubs."""
    count = "1 pair" if pairs == 1 else f"{pairs} pairs"
    if drain:
        return f"it drains: {count} still to move" if pairs else "it drains: nothing goes through it any more"
    return f"carries {count}"


def tell_dead_hubs(dead: Sequence[str], alive: Sequence[str]) -> str:
    """What it means that some hubs are dead and others are not; "" where that is not so."""
    if not dead or not alive:
        return ""
    return f"the nodes go on through {list_names(alive)}"
