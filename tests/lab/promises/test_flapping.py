"""Ten minutes on a line that loses packets: no pair changes its path."""

import os

import pytest

from tests.lab.conftest import MakeNetwork
from tests.lab.promises.promise import Record
from tests.lab.promises.test_hub_changes import TABLES, watch_flapping
from tests.lab.world import wait_until

pytestmark = [pytest.mark.long, pytest.mark.promise]

DURATION_S = float(os.environ.get("PROMISE_SECONDS") or 600)


def test_no_pair_goes_back_and_forth_in_ten_minutes_of_loss(
    make_module_network: MakeNetwork, record_property: Record
) -> None:
    network = make_module_network(*TABLES)
    network.deploy()
    wait_until(lambda: network.status()["state"] == "connected", 30, "all is connected")
    watch_flapping(network, DURATION_S, record_property)
