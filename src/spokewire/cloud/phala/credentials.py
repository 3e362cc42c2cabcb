"""The API key and where the API is, as Phala's own tools find them: environment variables, then the file that `phala login` writes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spokewire.cloud.http import Secret
from spokewire.errors import Code, InputError, PermanentError
from spokewire.host import files

ENDPOINT = "https://cloud-api.phala.com/api/v1"
KEY, PREFIX, FOLDER = "PHALA_CLOUD_API_KEY", "PHALA_CLOUD_API_PREFIX", "PHALA_CLOUD_DIR"


@dataclass(frozen=True)
class Access:
    """Where the API is, and what proves who is calling."""

    endpoint: str
    key: Secret


def find_access(environment: Mapping[str, str], endpoint: str | None) -> Access:
    """Find both; InputError if there is no key. `endpoint` is the spec's: the environment wins over it, and it over the file."""
    profile = _profile(environment)
    key = environment.get(KEY, "").strip() or _word(profile.get("token"))
    if not key:
        raise InputError(
            Code.CREDENTIALS_MISSING,
            "The spec wants machines on Phala Cloud, and there is no API key for it.",
            hint=f"Set {KEY}, or run: phala login.",
        )
    if not key.isascii() or not key.isprintable():
        raise InputError(
            Code.CREDENTIALS_REFUSED,
            "The API key for Phala Cloud is not printable ASCII.",
            hint=f"Copy it into {KEY} again.",
        )
    where = environment.get(PREFIX, "").strip() or endpoint or _word(profile.get("api_prefix")) or ENDPOINT
    return Access(where, Secret(key))


def _profile(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """The current profile of the vendor's command line; empty if there is none, or none that can be read."""
    folder = environment.get(FOLDER, "").strip()
    home = environment.get("HOME", "")
    if not folder and not home:
        return {}
    path = (Path(folder) if folder else Path(home) / ".phala-cloud") / "credentials.json"
    try:
        found = json.loads(files.read(path) or "{}")
        profile = found["profiles"][found["current_profile"]]
    except (ValueError, KeyError, TypeError, RecursionError, PermanentError):
        return {}
    return profile if isinstance(profile, dict) else {}


def _word(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
