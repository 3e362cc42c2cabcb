"""Fixtures that several kinds of tests share, and what was measured of each promise, told at the end of a run, whichever process measured it."""

import os

import pytest

from tests.emulators.authority import Authority, make_authority

os.environ["RES_OPTIONS"] = "attempts:0"
"""No test asks a name server, and none waits for one: every name that /etc/hosts does not have is unknown at once (resolv.conf(5))."""


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A throw-away authority for all emulators of the run."""
    return make_authority(tmp_path_factory.mktemp("authority"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    lines = [line for report in reports for name, line in report.user_properties if name == "promise"]
    if lines:
        terminalreporter.section("promises")
        for line in sorted(lines):
            terminalreporter.write_line(str(line))
