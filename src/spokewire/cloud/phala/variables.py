"""Variables of docker compose in a compose text. Pure."""

import re

_USED = re.compile(r"\$(?:\$|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<rest>[^}]*)\})")
"""A variable of docker compose's, or a dollar sign that stands for itself (docs.docker.com, interpolation)."""
_ALWAYS = frozenset({"COMPOSE_PROJECT_NAME", "HOME", "PATH", "PWD"})
"""What every process has, docker compose among them."""


def find_used(text: str) -> list[str]:
    """The variables in a value of a compose file that nothing else gives a value: they name no default, and are none of the machine's own (DSTACK_…)."""
    found = dict.fromkeys(
        match["bare"] or match["name"]
        for match in _USED.finditer(text)
        if match["bare"] or (match["name"] and not re.match(r":?[-+]", match["rest"]))
    )
    return [name for name in found if name not in _ALWAYS and not name.startswith("DSTACK_")]
