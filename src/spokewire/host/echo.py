"""The echo service: answers echoes that come over the overlay, and sends ours."""

from collections.abc import Callable
from dataclasses import dataclass

from spokewire.host import clock, keys
from spokewire.host.datagrams import DatagramSocket, open_datagram_socket
from spokewire.network.echo import PORT, Echo, Kind, answer, format_echo, parse_echo

Answered = Callable[[str, int, float], None]
"""Called with the address that answered, the sequence number, and now (monotonic seconds)."""


@dataclass
class EchoService:
    """One echo socket on our overlay address."""

    answered: Answered = lambda _address, _sequence, _now: None
    asked: Callable[[str, float], None] = lambda _address, _now: None
    """Called with the address that sent us an echo, and now."""

    def __post_init__(self) -> None:
        self._socket: DatagramSocket | None = None
        self._session = keys.make_number(64)

    async def open(self, address: str) -> None:
        """Bind to our overlay address, which need not exist yet."""
        self.close()
        self._socket = await open_datagram_socket(address, PORT, self._receive)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, address: str, sequence: int) -> None:
        """Send an echo to a machine's overlay address."""
        if self._socket is not None:
            echo = Echo(Kind.REQUEST, self._session, sequence, int(clock.monotonic() * 1e6))
            self._socket.send(format_echo(echo), (address, PORT))

    def _receive(self, data: bytes, source: tuple[str, int]) -> None:
        echo = parse_echo(data)
        if echo is None or source[1] != PORT or self._socket is None:
            return
        now = clock.monotonic()
        if echo.kind is Kind.REQUEST:
            self._socket.send(format_echo(answer(echo)), source)
            self.asked(source[0], now)
        elif echo.session == self._session:
            self.answered(source[0], echo.sequence, now)
