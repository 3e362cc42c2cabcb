"""How a port is written, in specs and documents."""

import re
from typing import Annotated

from spokewire.network.tables import checked

_PORT = re.compile(r"(?:tcp|udp)/[1-9][0-9]{0,4}")
_LAST_PORT = 65535


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and int(text.partition("/")[2]) <= _LAST_PORT


PortText = Annotated[str, checked(_is_port, '"tcp/" or "udp/" and a port from 1 to 65535, such as "tcp/22"')]
