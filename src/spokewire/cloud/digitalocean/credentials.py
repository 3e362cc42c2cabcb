"""Where the token for DigitalOcean's API is found: the environment, then the file of DigitalOcean's own command line."""

import re
from collections.abc import Mapping
from pathlib import Path

from spokewire.cloud.http import Secret
from spokewire.errors import Code, InputError

VARIABLES = ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN")
_LINE = re.compile(r"access-token:\s*[\"']?([^\s\"'#]+)")


def find_token(environment: Mapping[str, str]) -> Secret:
    """The token; InputError if there is none. It is read anew each time and kept nowhere."""
    for name in VARIABLES:
        if text := environment.get(name, "").strip():
            return _checked(text, f"${name}")
    path = _doctl_file(environment)
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    for line in lines:
        if (match := _LINE.match(line)) is not None:
            return _checked(match[1], str(path))
    raise InputError(
        Code.CREDENTIALS_MISSING,
        "There is no token for DigitalOcean.",
        hint=f"Make one at DigitalOcean (API, Tokens) and set {VARIABLES[0]}.",
    )


def _doctl_file(environment: Mapping[str, str]) -> Path:
    """Where doctl keeps its configuration on Linux: $XDG_CONFIG_HOME or ~/.config (os.UserConfigDir of Go)."""
    base = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME", "/")) / ".config")
    return Path(base) / "doctl" / "config.yaml"


def _checked(text: str, place: str) -> Secret:
    """A header takes visible ASCII only; anything else would fail later with the token in the message."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise InputError(
            Code.CREDENTIALS_MISSING,
            f"What is in {place} is no token for DigitalOcean.",
            hint="Copy the token again, whole.",
        )
    return Secret(text)
