"""What a spec says of clouds: sensible defaults, and every fault with its place."""

import pytest

from spokewire.network.cloudspec import CvmSpec, DropletSpec
from spokewire.network.spec import ProviderName
from tests.builders import make_spec, spec_faults

DIGEST = "0" * 64
HEAD = '[network]\nname = "demo"\n'
RELEASE = f'[release]\nwheel = "https://example.com/spokewire-0.1.0-py3-none-any.whl"\nwheel_sha256 = "{DIGEST}"\nimage = "ghcr.io/x/y@sha256:{DIGEST}"\n'
HUB = '[[hubs]]\nname = "hub-1"\nprovider = "digitalocean"\nregions = ["fra1"]\n'
LAB_HUB = '[[hubs]]\nname = "hub-1"\n'
NODE = '[[nodes]]\nname = "node"\nprovider = "phala"\n'


def test_a_hub_on_digitalocean_needs_a_region_and_a_release() -> None:
    (hub,) = make_spec(HEAD + RELEASE + HUB).hubs
    assert hub.provider is ProviderName.DIGITALOCEAN
    assert hub.droplet == DropletSpec(("fra1",), ("s-1vcpu-1gb", "s-1vcpu-2gb"), "ubuntu-24-04-x64", None, False)
    assert hub.cvm is None


def test_everything_that_can_be_said_of_a_droplet_is_understood() -> None:
    keys = 'sizes = ["m-1"]\nos_image = "debian-12-x64"\nssh_key = "My laptop"\nreserved_ip = true\n'
    (hub,) = make_spec(HEAD + RELEASE + HUB.replace('["fra1"]', '["fra1", "ams3"]') + keys).hubs
    assert hub.droplet == DropletSpec(("fra1", "ams3"), ("m-1",), "debian-12-x64", "My laptop", True)


def test_a_node_on_phala_needs_an_image_only() -> None:
    spec = make_spec(HEAD + RELEASE + LAB_HUB + NODE + "count = 2\n")
    assert {node.cvm for node in spec.nodes} == {CvmSpec()}
    assert spec.hubs[0].droplet is None


def test_the_names_of_variables_have_an_order_of_their_own_so_that_changing_it_makes_no_machine_anew() -> None:
    keys = 'compose = "docker-compose.yml"\nenvironment = ["B", "A", "B"]\nenv_file = "secrets.env"\n'
    (node,) = make_spec(HEAD + RELEASE + LAB_HUB + NODE + keys).nodes
    assert node.cvm == CvmSpec(compose="docker-compose.yml", environment=("A", "B"), env_file="secrets.env")


def test_endpoints_and_the_release_are_understood() -> None:
    tables = '[digitalocean]\nendpoint = "https://127.0.0.1:8443"\n[phala]\n'
    spec = make_spec(HEAD + RELEASE + LAB_HUB + tables)
    assert spec.digitalocean is not None
    assert spec.digitalocean.endpoint == "https://127.0.0.1:8443"
    assert spec.phala is not None
    assert spec.phala.endpoint is None
    assert spec.release.wheel_sha256 == DIGEST
    assert make_spec(HEAD + LAB_HUB).digitalocean is None


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (HEAD + RELEASE + HUB.replace("regions", "# "), "hubs[0].regions", "missing; expected the regions to try"),
        (HEAD + RELEASE + HUB.replace('["fra1"]', "[]"), "hubs[0].regions", "at least 1"),
        (HEAD + RELEASE + HUB.replace('["fra1"]', '["Frankfurt 1"]'), "hubs[0].regions[0]", "as the cloud writes it"),
        (HEAD + RELEASE + HUB + "reserved_ip = 1\n", "hubs[0].reserved_ip", "expected true or false"),
        (HEAD + LAB_HUB + 'sizes = ["a"]\n', "hubs[0].sizes", 'it is for provider = "digitalocean" only'),
        (HEAD + LAB_HUB + "reserved_ip = false\n", "hubs[0].reserved_ip", "not allowed here"),
        (HEAD + LAB_HUB + 'provider = "phala"\n', "hubs[0].provider", '"lab", "host", "digitalocean"'),
        (HEAD + LAB_HUB + NODE.replace("phala", "digitalocean"), "nodes[0].provider", '"lab", "host", "phala"'),
        (HEAD + LAB_HUB + '[[nodes]]\nname = "n"\ndisk_gb = 20\n', "nodes[0].disk_gb", 'provider = "phala" only'),
        (HEAD + RELEASE + LAB_HUB + NODE + 'nat = "none"\n', "nodes[0].nat", 'provider = "lab" only'),
        (HEAD + RELEASE + LAB_HUB + NODE + 'environment = ["A"]\n', "nodes[0].environment", "only beside compose"),
        (HEAD + RELEASE + LAB_HUB + NODE + 'env_file = "x.env"\n', "nodes[0].env_file", "only beside environment"),
        (
            HEAD + RELEASE + LAB_HUB + NODE + 'compose = "c.yml"\nenvironment = ["SPOKEWIRE_TOKEN"]\n',
            "nodes[0].environment[0]",
            "none that begins with SPOKEWIRE_",
        ),
        (HEAD + LAB_HUB + '[[nodes]]\nname = "n"\nenvironment = ["A"]\n', "nodes[0].environment", "phala"),
        (HEAD + RELEASE + LAB_HUB + NODE + "disk_gb = 5\n", "nodes[0].disk_gb", "greater than or equal to 20"),
        (HEAD + HUB, "release.wheel", 'the URL of the wheel that hubs install, for provider = "digitalocean"'),
        (HEAD + HUB, "release.wheel_sha256", "missing"),
        (HEAD + LAB_HUB + NODE, "release.image", "the container image that nodes run, by digest"),
        (HEAD + LAB_HUB + '[release]\nimage = "x:latest"\n', "release.image", "by digest"),
        (HEAD + LAB_HUB + '[release]\nwheel_sha256 = "AB"\n', "release.wheel_sha256", "64 hexadecimal digits"),
        (HEAD + LAB_HUB + '[release]\nwheel = "https://a/$(id)/spokewire-1.whl"\n', "release.wheel", "the URL of a wheel"),
        (HEAD + LAB_HUB + RELEASE.replace("wheel_sha256", "# "), "release.wheel_sha256", "the SHA-256 of that wheel"),
        (HEAD + LAB_HUB + '[digitalocean]\nendpoint = "http://a"\n', "digitalocean.endpoint", '"https://"'),
        (HEAD + LAB_HUB + '[digitalocean]\ntoken = "a"\n', "digitalocean.token", "unknown key"),
        (HEAD + LAB_HUB + "[aws]\n", "aws", "release, digitalocean, phala"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(text: str, place: str, words: str) -> None:
    assert words in spec_faults(text)[place]
