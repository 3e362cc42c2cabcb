"""Asking a daemon on this machine whether it works. With nothing but the standard library: a health check starts a process each time."""

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass

TIMEOUT_S = 5.0
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """Whether a daemon says that it works, and what else it says."""

    ok: bool
    words: str


def ask(url: str, timeout_s: float = TIMEOUT_S) -> Answer:
    """Ask a daemon; no answer is an answer too: no.

    A hub's certificate is not checked, for it is made by the hub itself, and whoever could sit between us and our own machine could do anything.
    """
    unchecked = ssl._create_unverified_context() if url.startswith("https:") else None  # noqa: S323, SLF001 - says why above
    try:
        # No proxy: what the environment names is for what is outside.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unchecked)
        )
        with opener.open(url, timeout=timeout_s) as answer:
            return Answer(True, _read(answer.read(_MAX_BYTES)))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(False, _read(error.read(_MAX_BYTES)) or f"HTTP {error.code}")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Answer(False, f"no answer from {url}: {getattr(reason, 'strerror', None) or reason}")


def _read(body: bytes) -> str:
    """A node says why in JSON, a hub just `ok`."""
    text = body.decode(errors="replace").strip()
    try:
        said = json.loads(text)
    except ValueError:
        return text
    return f"{said.get('state')}: {said.get('reason')}" if isinstance(said, dict) and "state" in said else text
