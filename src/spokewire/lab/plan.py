"""What a lab machine's network looks like: pure text for `ip -batch` and `nft -f`."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from spokewire.errors import Code, InputError
from spokewire.lab.world import BRIDGE, INTERNET, INTERNET6
from spokewire.network.spec import Family, Nat

FIRST_HUB = 1
FIRST_MACHINE = 11
LAST = 250
"""Above are the operator's own address and room for more."""
STATUS_PORT = 8000
LAN_ROUTER = "192.168.1.1"
LAN_MACHINE = "192.168.1.2"
_SIDES = 10_000
"""Of the dice that lose packets: one side is a hundredth of a percent. All of them are no question for nftables."""
_NUMBER = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,2})?")


@dataclass(frozen=True)
class Wiring:
    """The names of one machine's cables, from its number in the lab."""

    number: int
    nat: Nat
    family: Family = Family.IPV4

    @property
    def public_address(self) -> IPv4Address | IPv6Address:
        """The address under which the lab's internet sees the machine: its own, or its NAT router's; the IPv4 one if it has both."""
        return self._address6 if self.family is Family.IPV6 else INTERNET.network[self.number]

    @property
    def public_address6(self) -> IPv6Address | None:
        """The IPv6 address of a machine that has both."""
        return self._address6 if self.family is Family.BOTH else None

    @property
    def _address6(self) -> IPv6Address:
        """2001:db8::11 for the machine with 203.0.113.11: read as decimal digits, so that people see whose it is."""
        return INTERNET6.network[int(str(self.number), 16)]

    @property
    def uplink(self) -> str:
        """The bridge's end of the uplink: where faults are made."""
        return f"up-{self.number}"

    def mac(self, card: int) -> str:
        """The MAC address of a network card, the same at every boot, as in real machines: neighbours remember it."""
        return f"02:5b:00:00:{card:02x}:{self.number:02x}"

    @property
    def router(self) -> str | None:
        """The network namespace of the NAT router; None without one."""
        return None if self.nat is Nat.NONE else f"nat-{self.number}"


def choose_number(name: str, first: int, used: Collection[int]) -> int | None:
    """Choose a machine's number in the lab: the one that its name asks for (node-3 is the third), else the lowest free; None if all are used.

    Machines are made side by side; so their addresses do not depend on which is first.
    """
    digits = name[len(name.rstrip("0123456789")) :]
    wanted = first + int(digits) - 1 if digits else 0
    if first <= wanted <= LAST and wanted not in used:
        return wanted
    return next((number for number in range(first, LAST + 1) if number not in used), None)


def wire_router(wiring: Wiring) -> str:
    """Commands for `ip -batch` in the internet: the NAT router's uplink."""
    return f"""link add {wiring.uplink} type veth peer name wan address {wiring.mac(1)} netns {wiring.router}
link set {wiring.uplink} master {BRIDGE} up
"""


def configure_router(wiring: Wiring) -> str:
    """Commands for `ip -batch` in the NAT router."""
    return f"""link set lo up
addr add {wiring.public_address}/{INTERNET.network.prefixlen} dev wan
link set wan up
route add default via {INTERNET.ip}
"""


def wire_lan(wiring: Wiring, machine_pid: int) -> str:
    """Commands for `ip -batch` in the NAT router: the cable to the machine."""
    return f"""link add lan address {wiring.mac(2)} type veth peer name eth0 address {wiring.mac(3)} netns {machine_pid}
addr add {LAN_ROUTER}/24 dev lan
link set lan up
"""


def wire_public(wiring: Wiring, machine_pid: int) -> str:
    """Commands for `ip -batch` in the internet: the uplink of a machine without NAT."""
    return f"""link add {wiring.uplink} type veth peer name eth0 address {wiring.mac(1)} netns {machine_pid}
link set {wiring.uplink} master {BRIDGE} up
"""


def configure_machine(wiring: Wiring) -> str:
    """Commands for `ip -batch` in the machine."""
    addresses, gateways = [f"{LAN_MACHINE}/24"], [LAN_ROUTER]
    if wiring.router is None:
        public = [address for address in (wiring.public_address, wiring.public_address6) if address is not None]
        homes = [INTERNET if address.version == 4 else INTERNET6 for address in public]  # noqa: PLR2004
        addresses = [f"{address}/{home.network.prefixlen}" for address, home in zip(public, homes, strict=True)]
        gateways = [str(home.ip) for home in homes]
    lines = ["link set lo up"]
    # Nobody else has such an address, and a machine that boots must not wait a second for IPv6 to find that out.
    lines += [f"addr add {address} dev eth0{' nodad' if ':' in address else ''}" for address in addresses]
    lines += ["link set eth0 up", *(f"route add default via {gateway}" for gateway in gateways)]
    return "\n".join(lines) + "\n"


def nat_rules(nat: Nat) -> str:
    """The NAT router's ruleset: how it maps and filters UDP (RFC 4787 sections 4 and 5); TCP 8000 passes to the machine, as Phala's gateway does.

    full-cone: endpoint-independent mapping and filtering. port-restricted: endpoint-independent mapping, address- and port-dependent filtering.
    symmetric: address- and port-dependent mapping and filtering. udp-blocked: no UDP either way.
    """
    mapping = "masquerade fully-random" if nat is Nat.SYMMETRIC else "masquerade"
    cone = f'        iifname "wan" meta l4proto udp dnat to {LAN_MACHINE}\n' if nat is Nat.FULL_CONE else ""
    open_cone = '        iifname "wan" meta l4proto udp accept\n' if nat is Nat.FULL_CONE else ""
    blocked = "        meta l4proto udp drop\n" if nat is Nat.UDP_BLOCKED else ""
    return f"""table ip nat {{
    chain from_wan {{
        type nat hook prerouting priority dstnat; policy accept;
        iifname "wan" tcp dport {STATUS_PORT} dnat to {LAN_MACHINE}
{cone}    }}
    chain to_wan {{
        type nat hook postrouting priority srcnat; policy accept;
        oifname "wan" {mapping}
    }}
    chain pass {{
        type filter hook forward priority filter; policy drop;
{blocked}        ct state established,related accept
        iifname "lan" accept
        iifname "wan" ct status dnat tcp dport {STATUS_PORT} accept
{open_cone}    }}
    chain own {{
        type filter hook input priority filter; policy drop;
        iifname "lo" accept
        ct state established,related accept
        icmp type echo-request accept
    }}
}}
"""


@dataclass(frozen=True)
class LinkFault:
    """What is wrong with an uplink. None of it: a good one."""

    down: bool = False
    loss_pct: float = 0.0
    rate: str = ""
    mtu: int = 1500

    def describe(self) -> str:
        """The fault in the words of `lab link`."""
        words = ["down"] if self.down else []
        words += [f"loss={self.loss_pct:g}%"] if self.loss_pct else []
        words += [f"rate={self.rate}"] if self.rate else []
        words += [f"mtu={self.mtu}"] if self.mtu != LinkFault.mtu else []
        return " ".join(words) or "up"


def parse_fault(words: tuple[str, ...], before: LinkFault) -> LinkFault:
    """Read the words of `lab link`: `down`, `loss=5%`, `rate=10mbit`, `mtu=1280`; `up` mends everything. Several may be given at once."""
    fault = before
    for word in words:
        key, _, value = word.partition("=")
        match key:
            case "up" if not value:
                fault = LinkFault()
            case "down" if not value:
                fault = replace(fault, down=True)
            case "loss":
                fault = replace(fault, loss_pct=_number(word, value.removesuffix("%"), 0, 100))
            case "rate":
                fault = replace(fault, rate=_rate(word, value))
            case "mtu" if value.isdigit():
                fault = replace(fault, mtu=int(_number(word, value, 576, 1500)))
            case _:
                raise _bad(word)
    return fault


def loss_rules(wiring: Wiring, fault: LinkFault) -> str:
    """The bridge's rules that lose packets of one uplink, either way; this kernel has no netem, so nftables rolls the dice."""
    table = f"table bridge loss_{wiring.number}"
    head = f"{table} {{}}\ndelete {table}\n"
    if not fault.loss_pct:
        return head
    share = round(fault.loss_pct * 100)
    dice = f"numgen random mod {_SIDES} < {share} drop" if share < _SIDES else "drop"
    sent, received = f'iifname "{wiring.uplink}" {dice}', f'oifname "{wiring.uplink}" {dice}'
    return f"""{head}{table} {{
    chain passing {{ type filter hook forward priority 0; {sent}; {received}; }}
    chain arriving {{ type filter hook input priority 0; {sent}; }}
    chain leaving {{ type filter hook output priority 0; {received}; }}
}}
"""


def _rate(word: str, value: str) -> str:
    for unit, kbit in (("kbit", 1), ("mbit", 1000), ("gbit", 1_000_000)):
        if value.endswith(unit):
            _number(word, value.removesuffix(unit), 1 / kbit, 1000)
            return value
    raise _bad(word)


def _number(word: str, text: str, least: float, most: float) -> float:
    """Read a plain decimal number: `tc` and `nft` read no other spelling of it."""
    if _NUMBER.fullmatch(text) is None or not least <= float(text) <= most:
        raise _bad(word)
    return float(text)


def _bad(word: str) -> InputError:
    expected = "up, down, loss=5%, rate=10mbit (kbit, mbit, gbit) or mtu=1280 (576 to 1500)"
    return InputError(Code.REQUEST_INVALID, f"A link cannot be {word!r}.", hint=f"Say one or more of: {expected}.")
