"""The echo service: answers echoes that come over the overlay, and sends ours."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from spokewire.host import clock, keys
from spokewire.host.datagrams import DatagramSocket, open_datagram_socket
from spokewire.network.echo import PORT, SIZE, Echo, Kind, answer, format_echo, locate, make_sessions, parse_echo

MAX_SESSIONS = 12288
"""Of others, whose requests are counted: three for each of 4,096 machines. The one that was heard last the longest ago is forgotten."""


@dataclass(frozen=True)
class Answer:
    """An answer to one of our echoes: from which address, to which number, and how many of ours have arrived there. `at`: monotonic seconds."""

    address: str
    sequence: int
    received: int
    at: float
    measuring: bool


@dataclass
class EchoService:
    """One echo socket on our overlay address. Measurements, and echoes of chosen sizes, are sessions of their own: they must not be counted with the probes."""

    answered: Callable[[Answer], None] = lambda _: None
    asked: Callable[[str, int, float], None] = lambda _address, _session, _now: None
    """Called with the address that sent us an echo, its session, and now."""
    answered_sized: Callable[[str, int], None] = lambda _address, _size: None
    """Called with the address to which an answer of a chosen size went, and its size in bytes."""
    sized: Callable[[Answer], None] = lambda _: None
    """Called with the answers to echoes of chosen sizes."""
    other: Callable[[bytes, str], None] = lambda _data, _address: None
    """Called with a datagram that is no echo, and the address that it came from."""
    located: Callable[[str, str], None] = lambda _address, _endpoint: None
    """Called with the address of whom we asked where it sees us, and the endpoint that it told."""
    find_endpoint: Callable[[str], str | None] = lambda _address: None
    """On a hub: from which endpoint WireGuard hears an overlay address. What it knows nothing of is not answered."""

    def __post_init__(self) -> None:
        self._socket: DatagramSocket | None = None
        self._session, self._measuring, self._sizing = make_sessions(keys.make_number())
        self._received: OrderedDict[tuple[str, int], int] = OrderedDict()

    async def open(self, address: str) -> None:
        """Bind to our overlay address, which need not exist yet."""
        self.close()
        self._socket = await open_datagram_socket(address, PORT, self._receive)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, address: str, sequence: int, *, measuring: bool = False) -> None:
        """Send an echo to a machine's overlay address."""
        if self._socket is not None:
            session = self._measuring if measuring else self._session
            self._socket.send(format_echo(self._make(Kind.REQUEST, session, sequence)), (address, PORT))

    def ask_where(self, address: str, sequence: int) -> None:
        """Ask a hub, by its overlay address, from which endpoint it sees our WireGuard."""
        if self._socket is not None:
            self._socket.send(format_echo(self._make(Kind.WHERE, self._session, sequence)), (address, PORT))

    def ask_sized(self, address: str, sequence: int, size: int) -> None:
        """Send an echo of that many bytes, in one packet or not at all, whatever the kernel believes of the path (IP_PMTUDISC_PROBE of ip(7)).

        The interface's own MTU is the only limit. Answers may be sent in pieces: what they prove is that the whole question arrived there, and
        where the other side's MTU allows it that the whole answer passes too.
        """
        if self._socket is not None:
            echo = self._make(Kind.REQUEST, self._sizing, sequence, size)
            self._socket.send(format_echo(echo), (address, PORT), whole=True)

    def send_other(self, address: str, data: bytes) -> None:
        """Send a datagram that is no echo to a machine's overlay address."""
        if self._socket is not None:
            self._socket.send(data, (address, PORT))

    def _make(self, kind: Kind, session: int, sequence: int, size: int = SIZE) -> Echo:
        return Echo(kind, session, sequence, int(clock.monotonic() * 1e6), size=size)

    def _receive(self, data: bytes, source: tuple[str, int]) -> None:
        echo = parse_echo(data)
        if source[1] != PORT or self._socket is None:
            return
        if echo is None:
            self.other(data, source[0])
            return
        match echo.kind:
            case Kind.REQUEST:
                self._answer(echo, source)
            case Kind.ANSWER:
                self._take(echo, source[0])
            case Kind.WHERE:
                endpoint = self.find_endpoint(source[0])
                if endpoint is not None:
                    self._socket.send(format_echo(locate(echo, endpoint)), source)
            case Kind.HERE if echo.session == self._session:
                self.located(source[0], echo.endpoint)
            case Kind.HERE:
                pass

    def _answer(self, echo: Echo, source: tuple[str, int]) -> None:
        assert self._socket is not None
        now, address = clock.monotonic(), source[0]
        received = self._received[address, echo.session] = self._received.pop((address, echo.session), 0) + 1
        if len(self._received) > MAX_SESSIONS:
            self._received.popitem(last=False)
        self._socket.send(format_echo(answer(echo, received)), source)
        if echo.size > SIZE:
            self.answered_sized(address, echo.size)
        self.asked(address, echo.session, now)

    def _take(self, echo: Echo, address: str) -> None:
        now = clock.monotonic()
        if echo.session == self._sizing:
            self.sized(Answer(address, echo.sequence, echo.received, now, measuring=False))
        elif echo.session in (self._session, self._measuring):
            measuring = echo.session == self._measuring
            self.answered(Answer(address, echo.sequence, echo.received, now, measuring))
