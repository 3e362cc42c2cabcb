"""The release workflow, as far as it can be checked without running it, and what goes into the image."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
WORKFLOW: dict[Any, Any] = yaml.safe_load((REPOSITORY / ".github/workflows/release.yml").read_text())
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
MAY_WRITE = {
    "test": set[str](),
    "wheel": {"id-token", "attestations"},
    "image": {"id-token", "attestations", "packages"},
    "publish": {"id-token", "contents"},
}
ACTION = re.compile(r"uses: (?P<name>[\w.-]+/[\w./-]+)@(?P<commit>[0-9a-f]{40}) # (?P<version>v\d+\.\d+\.\d+)")


def list_steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for job, described in JOBS.items():
        for step in described["steps"]:
            yield job, step


def list_scripts() -> list[str]:
    return [step["run"] for _, step in list_steps() if "run" in step]


def test_only_a_version_tag_releases() -> None:
    # YAML 1.1 reads the key `on` as a truth value.
    assert WORKFLOW[True] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}


@pytest.mark.parametrize("job", JOBS)
def test_a_job_may_write_what_it_publishes_and_nothing_else(job: str) -> None:
    assert WORKFLOW["permissions"] == {}
    granted = JOBS[job]["permissions"]
    assert {scope for scope, right in granted.items() if right == "write"} == MAY_WRITE[job]
    assert set(granted.values()) <= {"read", "write"}
    assert JOBS[job]["timeout-minutes"] <= 60


def test_nothing_is_published_before_the_tests_pass() -> None:
    def needed(job: str) -> set[str]:
        needs = JOBS[job].get("needs", [])
        direct = {needs} if isinstance(needs, str) else set(needs)
        return direct.union(*(needed(other) for other in direct))

    assert {job for job in JOBS if "test" not in needed(job)} == {"test"}
    assert {"wheel", "image"} <= needed("publish")


def test_every_action_is_pinned_by_its_commit_and_says_its_version() -> None:
    lines = [
        line for line in (REPOSITORY / ".github/workflows/release.yml").read_text().splitlines() if "uses:" in line
    ]
    assert len(lines) == sum("uses" in step for _, step in list_steps())
    assert [line.strip() for line in lines if ACTION.search(line) is None] == []
    pins = {(match["name"], match["commit"]) for line in lines if (match := ACTION.search(line))}
    assert len(pins) == len({name for name, _ in pins}), "one action has two versions"


def test_the_make_targets_that_the_workflow_calls_exist() -> None:
    called = {target for script in list_scripts() for target in re.findall(r"\bmake ([a-z-]+)", script)}
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert {"test", "test-docker", "wheel"} <= called <= targets


def test_no_script_is_made_of_what_a_stranger_can_write() -> None:
    # An expression is pasted into a script as it is; an environment variable is not.
    assert [script for script in list_scripts() if "${{" in script] == []


def test_no_password_is_kept_and_no_checkout_leaves_one_behind() -> None:
    assert "secrets." not in (REPOSITORY / ".github/workflows/release.yml").read_text()
    checkouts = [step for _, step in list_steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_the_image_is_built_for_both_architectures_and_signed_by_digest() -> None:
    build = next(step for _, step in list_steps() if step.get("id") == "build")
    assert build["with"]["platforms"] == "linux/amd64,linux/arm64"
    signing = next(script for script in list_scripts() if "cosign sign" in script)
    assert '"$IMAGE@$DIGEST"' in signing
    assert signing.index("cosign sign") < signing.index("cosign verify")


def test_the_base_of_the_image_is_pinned_by_digest() -> None:
    text = (REPOSITORY / "Dockerfile").read_text()
    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert {line for line in text.splitlines() if line.startswith("FROM ")} == {
        "FROM ${BUILD_BASE} AS build",
        "FROM ${BASE}",
    }


def test_the_builder_is_sent_nothing_but_what_the_image_is_made_of() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().split("\n")
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*", "everything is kept out that is not named"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        word.rstrip("/")
        for line in re.findall(r"^COPY (?!--from)(.+)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
        for word in line.split()[:-1]
    }
    assert all(any(path == rule or path.startswith(f"{rule}/") for rule in allowed) for path in copied)
    assert not any(path.startswith((".", "tests", "docs")) for path in allowed)
