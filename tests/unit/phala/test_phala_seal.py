"""The environment is encrypted as the vendor's own tools encrypt it."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from spokewire.cloud.phala.seal import seal, unseal
from spokewire.errors import Code, InputError, PermanentError

KEY = X25519PrivateKey.from_private_bytes(b"\1" * 32)
PUBLIC = "a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209"
MADE_BY_THE_VENDORS_COMMAND_LINE = (
    "527dea0d08db2a2f9217fb626b558641f116a9600311e375950a54ee1251d64d3ab05f920b890b76912cff25e87f94121bef9f936d515d82"
    "c86f31242a6c2c10711a43349d676bd2815b8caf09bf658576a24c0bd87aeb28581df582d6"
)
RANDOMNESS = bytes(range(44))


def test_what_the_vendors_tool_encrypted_is_decrypted() -> None:
    assert unseal(MADE_BY_THE_VENDORS_COMMAND_LINE, KEY) == {"A": "1"}
    assert KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex() == PUBLIC


def test_what_we_encrypt_has_the_vendors_shape() -> None:
    sealed = seal({"A": "1"}, PUBLIC, RANDOMNESS)
    assert len(sealed) == len(MADE_BY_THE_VENDORS_COMMAND_LINE)
    assert sealed == sealed.lower()
    assert bytes.fromhex(sealed)[32:44] == RANDOMNESS[32:]
    assert unseal(sealed, KEY) == {"A": "1"}


@pytest.mark.parametrize("environment", [{}, {"A": ""}, {"B": "2", "A": 'é "quoted" \n ☃'}, {"T": "x" * 20_000}])
def test_an_environment_comes_back_as_it_was_in_its_order(environment: dict[str, str]) -> None:
    opened = unseal(seal(environment, PUBLIC, RANDOMNESS), KEY)
    assert list(opened.items()) == list(environment.items())


def test_a_key_with_the_prefix_of_hexadecimal_is_taken() -> None:
    assert unseal(seal({"A": "1"}, "0x" + PUBLIC.upper(), RANDOMNESS), KEY) == {"A": "1"}


def test_other_randomness_gives_another_text() -> None:
    assert seal({"A": "1"}, PUBLIC, RANDOMNESS) != seal({"A": "1"}, PUBLIC, bytes(44))


@pytest.mark.parametrize("key", ["", "xyz", PUBLIC[:-2], PUBLIC + "00", "00" * 32])
def test_a_key_that_would_not_keep_the_secret_is_refused(key: str) -> None:
    with pytest.raises(PermanentError) as caught:
        seal({"A": "secret"}, key, RANDOMNESS)
    assert caught.value.code is Code.CLOUD_REFUSED
    assert "secret" not in str(caught.value)


def test_an_environment_that_is_too_large_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        seal({"A": "x" * 300_000}, PUBLIC, RANDOMNESS)
    assert caught.value.code is Code.TOO_LARGE


VECTOR = MADE_BY_THE_VENDORS_COMMAND_LINE


@pytest.mark.parametrize("text", [VECTOR[:-2], "00" + VECTOR[2:], VECTOR[:-2] + "00", VECTOR[:80], "", "zz"])
def test_what_was_altered_is_not_taken_for_an_environment(text: str) -> None:
    with pytest.raises(ValueError, match=r"too short|altered|hexadecimal"):
        unseal(text, KEY)
