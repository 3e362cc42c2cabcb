"""One spec, four providers: the hub on DigitalOcean, a node on Phala, one in the lab, and one on a host of the operator's own, by token."""

from pathlib import Path

import pytest

from tests.lab.clouds import open_clouds
from tests.lab.world import wait_until

pytestmark = pytest.mark.lab

OTHERS = """
[[nodes]]
name = "near"
provider = "lab"

[[nodes]]
name = "laptop"
provider = "host"
"""


def test_machines_of_four_providers_are_one_network(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> None:
    with open_clouds(tmp_path_factory.mktemp("mixed"), cache, beside_lab=True) as clouds:
        clouds.want(OTHERS, nodes=1)
        first = clouds.run("deploy", "--json", expect=3)
        assert sorted(first.data["ready"]) == ["hub-1", "near", "node-1"]
        assert [item["name"] for item in first.data["missing"]] == ["laptop"]
        assert "spokewire node token laptop" in first.data["missing"][0]["hint"]

        clouds.run("lab", "add", "laptop", "--nat", "port-restricted")
        (clouds.folder / "laptop.token").write_text(clouds.run("node", "token", "laptop").out)
        started = "SPOKEWIRE_STATE_DIR=/run/disk/spokewire setsid spokewire node run >/run/disk/agent.log 2>&1 &"
        clouds.run(
            "lab", "exec", "laptop", "--", "sh", "-c", f"SPOKEWIRE_TOKEN_FILE={clouds.folder}/laptop.token {started}"
        )
        wait_until(lambda: clouds.status()["state"] == "connected", 30, "all four are connected")
        assert clouds.run("deploy", "--json").data["missing"] == []
        proof = clouds.run("test", "--json").data
        assert proof["ok"] is True
        assert {pair["from"] for pair in proof["pairs"]} == {"laptop", "near", "node-1"}
        assert len(proof["pairs"]) == 6

        gone = clouds.run("destroy", "--force", "--json").data
        assert gone == {"destroyed": ["hub-1", "near", "node-1"], "left": []}
        assert [*clouds.droplets, *clouds.cvms] == []
