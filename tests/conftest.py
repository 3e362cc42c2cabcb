"""What was measured of each promise is told at the end of a run, whichever process measured it."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    lines = [line for report in reports for name, line in report.user_properties if name == "promise"]
    if lines:
        terminalreporter.section("promises")
        for line in sorted(lines):
            terminalreporter.write_line(str(line))
