"""What cloud-init, systemd and docker compose do with what a cloud's machine is given, in small: for machines of the lab.

It runs inside the machine, by its path, after the folders that it writes to were covered (`tests/lab/cloud_machines.py`):

    first_boot.py droplet USER_DATA    write the files, run the commands; at later boots start what is enabled
    first_boot.py cvm COMPOSE ENV      run our service of the compose text, with the decrypted environment
    first_boot.py systemctl …          stands in for the command of that name
"""

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

UNITS = Path("/etc/systemd/system")
ENABLED = Path("/var/lib/first-boot-enabled")
RETRY_S = 1.0
VOLUMES = Path("/run/disk/volumes")


def boot_droplet(user_data: Path) -> None:
    """The first boot carries the user_data out; every boot starts the enabled units."""
    if not ENABLED.exists():
        ENABLED.write_text("")
        text = user_data.read_text()
        assert text.startswith("#cloud-config\n"), "cloud-init would ignore this"
        config = yaml.safe_load(text)
        unknown = set(config) - {"ssh_pwauth", "write_files", "runcmd"}
        assert not unknown, f"this stand-in does not know {unknown}"
        for file in config["write_files"]:
            write_file(**file)
        for command in config["runcmd"]:
            subprocess.run(command, check=True)
        return
    for unit in ENABLED.read_text().split():
        if not condition_path(unit).exists():
            start(unit)


def write_file(path: str, content: str, permissions: str, owner: str) -> None:
    """One of `write_files`."""
    assert owner == "root:root"
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch(0o600)
    place.write_text(content)
    place.chmod(int(permissions, 8))


def systemctl(words: list[str]) -> None:
    """daemon-reload, enable, start and restart."""
    verb, units = words[0], [word for word in words[1:] if not word.startswith("--")]
    if verb == "enable":
        ENABLED.write_text(" ".join(dict.fromkeys([*ENABLED.read_text().split(), *units])))
    for unit in units if verb in ("start", "restart") else []:
        start(unit)


def start(unit: str) -> None:
    """Start a unit's ExecStart in a process of its own, again after each failure if the unit says so."""
    service = read_unit(unit)["Service"]
    file = service.get("EnvironmentFile", "").removeprefix("-")
    environment = dict(os.environ) | (read_environment(Path(file)) if file else {})
    if "StateDirectory" in service:
        Path("/var/lib", service["StateDirectory"]).mkdir(mode=0o700, exist_ok=True)
    if os.fork() > 0:
        return
    os.setsid()
    while subprocess.run(shlex.split(service["ExecStart"]), env=environment, check=False).returncode != 0:
        if "Restart" not in service:
            break
        time.sleep(RETRY_S)
    os._exit(0)


def condition_path(unit: str) -> Path:
    """The file whose existence keeps a unit from starting; one that never exists without such a condition."""
    return Path(read_unit(unit)["Unit"].get("ConditionPathExists", "!/nothing").removeprefix("!"))


def read_unit(unit: str) -> configparser.ConfigParser:
    """A unit file."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    assert parser.read(UNITS / unit), f"there is no unit {unit}"
    return parser


def read_environment(path: Path) -> dict[str, str]:
    """An EnvironmentFile."""
    pairs = (line.partition("=") for line in path.read_text().splitlines() if "=" in line)
    return {name: shlex.split(value)[0] if value else "" for name, _, value in pairs}


def boot_cvm(compose: Path, env: Path) -> None:
    """Run our service as docker compose would: its entrypoint and command, its environment nothing else of ours, its volumes."""
    service = yaml.safe_load(compose.read_text())["services"]["spokewire"]
    assert service["network_mode"] == "host"
    known = json.loads(env.read_text())
    for volume in service["volumes"]:
        name, _, place = volume.partition(":")
        (VOLUMES / name).mkdir(parents=True, exist_ok=True)
        Path(place).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-n", "--bind", str(VOLUMES / name), place], check=True)
    environment = {name: substitute(value, known) for name, value in service["environment"].items()}
    # What our image has for both (Dockerfile).
    command = [*service.get("entrypoint", ["spokewire"]), *service.get("command", ["node", "run"])]
    os.execvpe(command[0], command, {"PATH": os.environ["PATH"]} | environment)


def substitute(text: Any, known: dict[str, str]) -> str:
    """`${NAME}` of docker compose."""
    return re.sub(r"\$\{(\w+)\}", lambda match: known.get(match[1], ""), str(text))


def main(words: list[str]) -> None:
    """See the module's docstring."""
    match words:
        case ["droplet", user_data]:
            boot_droplet(Path(user_data))
        case ["cvm", compose, env]:
            boot_cvm(Path(compose), Path(env))
        case ["systemctl", *rest]:
            systemctl(rest)
        case _:
            raise SystemExit(f"unknown: {words}")


if __name__ == "__main__":
    main(sys.argv[1:])
