"""Where a machine is put: the spec's order first, then spread, then room."""

import math
from typing import Any

import pytest

from spokewire.cloud.phala.answers import Host, Image, InstanceType
from spokewire.cloud.phala.placement import Wish, choose_place, explain_lack, find_image_fault, find_place_faults

SMALL, LARGE = InstanceType("tdx.small", 1, 2048, None), InstanceType("tdx.large", 4, 8192, None)
IMAGE = "dstack-0.5.8"


def host(number: int, region: str = "us", **changes: Any) -> Host:
    values: dict[str, Any] = {
        "id": number,
        "name": f"prod{number}",
        "region": region,
        "slots": 10.0,
        "vcpu": 64.0,
        "memory_mb": 65536.0,
        "disk_gb": math.inf,
        "images": (Image(IMAGE, (0, 5, 8), is_dev=False),),
    }
    return Host(**(values | changes))


def wish(*types: InstanceType, regions: tuple[str, ...] = (), image: str = IMAGE, disk_gb: int = 20) -> Wish:
    return Wish(types or (SMALL,), regions, image, disk_gb)


A, B, C = host(1), host(2), host(3, "eu")
CASES: list[tuple[list[Host], Wish, dict[int, int], dict[int, list[InstanceType]], set[tuple[int, str]], str]] = [
    ([A, B], wish(), {}, {}, set(), "1 tdx.small"),
    ([A, B], wish(), {1: 1}, {}, set(), "2 tdx.small"),
    ([A, B], wish(), {1: 2, 2: 3}, {}, set(), "1 tdx.small"),
    ([A, host(2, slots=20.0)], wish(), {}, {}, set(), "2 tdx.small"),
    ([A, host(2, vcpu=99.0)], wish(), {}, {}, set(), "2 tdx.small"),
    ([A, B], wish(), {}, {1: [SMALL]}, set(), "2 tdx.small"),
    ([A, C], wish(regions=("eu", "us")), {}, {}, set(), "3 tdx.small"),
    ([A, C], wish(regions=("eu", "us")), {3: 9}, {}, set(), "3 tdx.small"),
    ([A, C], wish(regions=("eu", "us")), {}, {}, {(3, "tdx.small")}, "1 tdx.small"),
    ([A, C], wish(regions=("eu",)), {}, {}, {(3, "tdx.small")}, ""),
    ([A], wish(SMALL, LARGE), {}, {}, {(1, "tdx.small")}, "1 tdx.large"),
    ([A, C], wish(SMALL, LARGE, regions=("eu", "us")), {}, {}, {(3, "tdx.small")}, "1 tdx.small"),
    ([host(1, vcpu=3.0)], wish(LARGE, SMALL), {}, {}, set(), "1 tdx.small"),
    ([host(1, slots=0.0), B], wish(), {}, {}, set(), "2 tdx.small"),
    ([host(1, slots=1.0)], wish(), {}, {1: [SMALL]}, set(), ""),
    ([host(1, memory_mb=4096.0)], wish(), {}, {1: [SMALL]}, set(), "1 tdx.small"),
    ([host(1, memory_mb=4095.0)], wish(), {}, {1: [SMALL]}, set(), ""),
    ([host(1, disk_gb=19.0)], wish(), {}, {}, set(), ""),
    ([host(1, disk_gb=39.0)], wish(), {}, {1: [SMALL]}, set(), ""),
    ([host(1, disk_gb=20.0)], wish(), {}, {}, set(), "1 tdx.small"),
    ([host(1, images=())], wish(), {}, {}, set(), ""),
    ([A], wish(image="dstack-0.5.9"), {}, {}, set(), ""),
    ([], wish(), {}, {}, set(), ""),
]


@pytest.mark.parametrize(("hosts", "wanted", "ours", "pending", "refused", "expected"), CASES)
def test_a_machine_is_put_where_the_spec_prefers_it_then_where_fewest_of_ours_are(
    hosts: list[Host],
    wanted: Wish,
    ours: dict[int, int],
    pending: dict[int, list[InstanceType]],
    refused: set[tuple[int, str]],
    expected: str,
) -> None:
    for order in (hosts, hosts[::-1]):
        place = choose_place(order, wanted, ours, pending, refused)
        assert ("" if place is None else f"{place.host.id} {place.size.id}") == expected


@pytest.mark.parametrize(
    ("hosts", "wanted", "refusal", "words"),
    [
        ([], wish(), "", "Phala Cloud offers no host to this workspace now"),
        ([A], wish(regions=("eu", "ap")), "", "no host is in eu or ap (there are: us)"),
        ([A], wish(image="x-1"), "", "no host offers the image x-1 (there are: dstack-0.5.8)"),
        ([A, B], wish(SMALL, LARGE, disk_gb=30), "", "none of 2 hosts has room for tdx.small or tdx.large with 30 GB"),
        ([A], wish(), "in the vendor's words", "in the vendor's words"),
    ],
)
def test_why_there_is_no_place_is_told_by_the_nearest_reason(
    hosts: list[Host], wanted: Wish, refusal: str, words: str
) -> None:
    assert explain_lack(hosts, wanted, refusal) == words


@pytest.mark.parametrize(
    ("image", "is_fit"),
    [
        ("dstack-0.5.8", True),
        ("dstack-dev-0.5.8", True),
        ("dstack-0.6", True),
        ("dstack-0.5.8.1", True),
        ("custom", True),
        ("dstack-0.5.7", False),
        ("dstack-dev-0.5.6", False),
        ("dstack-0.3.6", False),
    ],
)
def test_images_whose_kernel_lacks_what_the_firewall_needs_are_refused(image: str, is_fit: bool) -> None:
    assert (find_image_fault(image) == "") is is_fit


@pytest.mark.parametrize(
    ("hosts", "asked", "told"),
    [
        ([A, C], wish(regions=("eu", "us")), []),
        ([host(1, slots=0.0)], wish(), []),
        ([], wish(regions=("mars",), image="x-1"), []),
        (
            [A, C],
            wish(regions=("us", "mars", "venus")),
            [("regions", "mars", "eu, us"), ("regions", "venus", "eu, us")],
        ),
        ([A], wish(image="x-1"), [("os_image", "no host offers x-1", "one of dstack-0.5.8")]),
        ([A, host(3, "eu", images=())], wish(regions=("eu",)), [("os_image", "in eu offers dstack-0.5.8", "none")]),
        ([A, host(3, "eu", images=())], wish(), []),
    ],
)
def test_a_name_that_no_host_can_fulfil_is_a_fault_and_a_full_host_is_none(
    hosts: list[Host], asked: Wish, told: list[tuple[str, str, str]]
) -> None:
    found = find_place_faults(hosts, asked)
    assert [key for key, _, _ in found] == [key for key, _, _ in told]
    for (_, problem, expected), (_, words, known) in zip(found, told, strict=True):
        assert words in problem
        assert known in expected
