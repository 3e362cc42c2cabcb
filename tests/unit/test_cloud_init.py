"""What a new hub is told at its first boot is valid, small, complete, and lets nobody put anything in between."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from spokewire.cloud.cloud_init import LARGEST, HubBoot, write_user_data
from tests.builders import make_grant, make_token

SCHEMA = json.loads((Path(__file__).parent / "cloud-config.schema.json").read_text())
UNIT = Path(__file__).parents[2] / "packaging" / "systemd" / "spokewire-hub.service"
TOKEN = make_token(make_grant("hub-1"))
BOOT = HubBoot(
    token=TOKEN,
    wheel="https://example.com/spokewire-0.1.0-py3-none-any.whl",
    wheel_sha256="5" * 64,
    api_port=8443,
    open_ports=("tcp/22", "udp/123"),
)
RESERVED = HubBoot(TOKEN, BOOT.wheel, BOOT.wheel_sha256, 443, reserved_ip=True)
BOOTS = pytest.mark.parametrize("boot", [BOOT, RESERVED], ids=["own-address", "reserved-ip"])


def read(boot: HubBoot) -> dict[str, Any]:
    """As cloud-init reads it."""
    read: dict[str, Any] = yaml.safe_load(write_user_data(boot))
    return read


def find_file(boot: HubBoot, path: str) -> dict[str, str]:
    """One of the files that it writes."""
    (found,) = [item for item in read(boot)["write_files"] if item["path"] == path]
    return dict(found)


def script(boot: HubBoot) -> str:
    """The script that installs the hub."""
    return find_file(boot, "/usr/local/sbin/spokewire-install")["content"]


@BOOTS
def test_cloud_init_takes_it(boot: HubBoot) -> None:
    config = read(boot)
    jsonschema.Draft4Validator(SCHEMA).validate(config)
    known = {key for part in SCHEMA["$defs"].values() for key in part["properties"]}
    assert set(config) <= known
    assert write_user_data(boot).splitlines()[0] == "#cloud-config"


@pytest.mark.parametrize("change", [{"runcmd": "true"}, {"write_files": [{"content": "x"}]}, {"ssh_pwauth": [1]}])
def test_the_schema_would_refuse_something_else(change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(SCHEMA).validate(read(BOOT) | change)


@BOOTS
def test_it_is_ascii_and_fits_into_the_smallest_clouds_limit(boot: HubBoot) -> None:
    text = write_user_data(boot)
    assert text.isascii()
    assert len(text) < LARGEST // 2


def test_nothing_relies_on_cloud_init_after_the_files_are_written() -> None:
    config = read(BOOT)
    assert set(config) == {"ssh_pwauth", "write_files", "runcmd"}
    assert config["ssh_pwauth"] is False
    assert config["runcmd"][-1] == ["systemctl", "start", "--no-block", "spokewire-install.service"]


def test_the_unit_repeats_until_the_hub_is_installed() -> None:
    lines = find_file(BOOT, "/etc/systemd/system/spokewire-install.service")["content"].splitlines()
    assert {"Type=oneshot", "Restart=on-failure", "RestartSec=5", "StartLimitIntervalSec=0"} <= set(lines)
    assert "ConditionPathExists=!/etc/spokewire/installed" in lines
    assert script(BOOT).splitlines()[-1] == "touch /etc/spokewire/installed"


def test_the_hubs_unit_is_the_one_that_is_shipped() -> None:
    assert find_file(BOOT, "/etc/systemd/system/spokewire-hub.service")["content"] == UNIT.read_text()


def test_the_token_is_in_one_file_that_only_root_reads() -> None:
    text = write_user_data(BOOT)
    assert text.count(TOKEN) == 1
    made = find_file(BOOT, "/etc/spokewire/hub.made")
    assert made["permissions"] == "0600"
    assert made["content"].splitlines() == [
        f'SPOKEWIRE_TOKEN="{TOKEN}"',
        'SPOKEWIRE_API_PORT="8443"',
        'SPOKEWIRE_OPEN_PORTS="tcp/22 udp/123"',
    ]


@BOOTS
def test_the_script_is_one_that_a_shell_understands_and_stops_at_the_first_failure(boot: HubBoot) -> None:
    shell = shutil.which("dash") or "sh"
    done = subprocess.run([shell, "-n"], input=script(boot), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert script(boot).splitlines()[2:4] == ["set -eu", "umask 077"]
    assert "@" not in script(boot).replace("spokewire @ ", "")


def test_the_wheel_is_exact_and_apt_waits_for_its_lock() -> None:
    words = shlex.split(script(BOOT).replace("\n", " ; "), comments=False)
    assert f"spokewire @ {BOOT.wheel}#sha256={BOOT.wheel_sha256}" in words
    assert "DPkg::Lock::Timeout=300" in script(BOOT)
    assert "Acquire::Retries=5" in script(BOOT)


@BOOTS
def test_the_script_does_every_step_once_and_only_what_is_missing(boot: HubBoot, tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = {"PATH": f"{fake_programs(tmp_path, log)}:/usr/bin:/bin", "LOG": str(log)}
    text = script(boot).replace("/opt/spokewire", f"{tmp_path}/opt").replace("/etc/spokewire", f"{tmp_path}/etc")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "hub.made").write_text("MADE=1\n")
    for _ in range(2):
        done = subprocess.run(["sh", "-c", text], env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    calls = log.read_text().splitlines()
    assert [call for call in calls if call.startswith("apt-get")] == []
    ours, theirs = [call for call in calls if call.startswith("pip install")]
    assert ours.endswith(f" --no-deps spokewire @ {boot.wheel}#sha256={boot.wheel_sha256}")
    assert {"--no-deps", "--require-hashes", "--only-binary"} <= set(theirs.split())
    assert theirs.endswith("/site-packages/spokewire/locked.txt")
    assert calls.count("systemctl enable spokewire-hub.service") == 2
    settings = (tmp_path / "etc" / "hub.env").read_text().splitlines()
    wanted = ["MADE=1", "SPOKEWIRE_PUBLIC_ADDRESS=203.0.113.7"]
    inside = ["SPOKEWIRE_INSIDE_ADDRESS=10.19.0.5"] if boot.reserved_ip else []
    assert settings == (["MADE=1", "SPOKEWIRE_PUBLIC_ADDRESS=198.51.100.10", *inside] if inside else wanted)
    assert ((tmp_path / "etc" / "hub.env").stat().st_mode & 0o777) == 0o600
    assert (tmp_path / "etc" / "installed").exists()


def fake_programs(folder: Path, log: Path) -> Path:
    """Programs that say what they were asked, and make what the real ones would."""
    programs = folder / "bin"
    programs.mkdir()
    python = """case "$*" in
*reserved_ip/ipv4/active) echo true;; *reserved_ip/ipv4/ip_address) echo 198.51.100.10;; *anchor*) echo 10.19.0.5;;
*venv*) [ "$1" = -c ] || { mkdir -p "$3/bin"; printf '#!/bin/sh\\necho "pip $*" >> "$LOG"\\n' > "$3/bin/pip"; chmod +x "$3/bin/pip"; };; esac"""
    bodies = {
        "python3": python,
        "ip": "echo '192.0.2.1 via 203.0.113.1 dev eth0 src 203.0.113.7 uid 0 \\    cache'",
        "apt-get": "",
        "systemctl": "",
        "wg": "",
        "nft": "",
    }
    for name, body in bodies.items():
        path = programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> "$LOG"\n{body}\n')
        path.chmod(0o755)
    return programs


@pytest.mark.parametrize("wheel", ["https://example.com/$(id).whl", "https://example.com/a'b.whl", "https://e x.whl"])
def test_what_a_shell_could_take_for_something_else_is_refused(wheel: str) -> None:
    with pytest.raises(ValueError, match="unquoted"):
        write_user_data(HubBoot(TOKEN, wheel, BOOT.wheel_sha256, 443))


def test_the_placeholders_are_all_filled() -> None:
    assert re.findall(r"@[A-Z0-9]+@", write_user_data(BOOT) + write_user_data(RESERVED)) == []
