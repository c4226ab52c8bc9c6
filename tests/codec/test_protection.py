"""Signatures and encryption: what they bind, how their keys are given, and that nothing shows a key."""

from __future__ import annotations

import base64
import secrets
import sys

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from django_momento.codec.codec import build_codec
from django_momento.codec.imports import OptionError
from django_momento.codec.protection import Encryption, Protection, ProtectionKey, Signature, encryption_keys
from django_momento.exceptions import CredentialError, UnreadableValue
from django_momento.redaction import SecretStr
from tests.kit.aws import report, shown_of
from tests.kit.codecs import ENCRYPTION_KEY, KEY, OTHER_ENCRYPTION_KEY, SECRET, Configuration
from tests.kit.tables import table

TAG = b"\xc1"
PROTECTIONS: dict[str, Protection] = {
    "signature": Signature([SECRET]),
    "encryption": Encryption([ENCRYPTION_KEY]),
}
every_seal = table("protection", PROTECTIONS.values())


@every_seal
@table("payload", [b"", b"payload", bytes(100_000)])
def test_a_seal_opens_what_it_closed(protection: Protection, payload: bytes) -> None:
    """Whatever the payload is, it comes back, behind the tag that it was given."""
    data = protection.seal(KEY, TAG, payload)

    assert data.startswith(TAG)
    assert payload == protection.unseal(KEY, TAG, data)


@every_seal
@table(("key", "tag"), [(b":1:other", b"\xc1"), (KEY, b"\xc2"), (b"", TAG + KEY), (b"\xc1" + KEY, b"")])
def test_a_seal_is_for_one_key_and_one_tag(protection: Protection, key: bytes, tag: bytes) -> None:
    """Neither another key nor another tag opens it, nor the same bytes split in another place."""
    data = protection.seal(KEY, TAG, b"payload")

    with pytest.raises(UnreadableValue, match=r"this site('s)? for this key"):
        protection.unseal(key, tag, tag + data[1:])


@every_seal
def test_what_a_seal_adds_is_documented(protection: Protection) -> None:
    """docs/values.md counts the bytes."""
    added = {Signature: 16, Encryption: 28}[type(protection)]

    assert len(TAG) + added + 7 == len(protection.seal(KEY, TAG, b"payload"))


def test_encryption_hides_the_payload_and_never_repeats_itself() -> None:
    """The same value under the same key is stored as other bytes each time: each has a nonce of its own."""
    stored = {PROTECTIONS["encryption"].seal(KEY, TAG, b"payload") for _ in range(1000)}

    assert 1000 == len(stored)
    assert 1000 == len({data[1:13] for data in stored})
    assert [] == [data for data in stored if b"payload" in data]


def test_encryption_is_plain_aes_gcm() -> None:
    """Another program with the key reads it as docs/values.md says."""
    data = PROTECTIONS["encryption"].seal(KEY, TAG, b"payload")

    bound = len(KEY).to_bytes(4, "big") + KEY + TAG

    assert b"payload" == AESGCM(ENCRYPTION_KEY).decrypt(data[1:13], data[13:], bound)


def test_encryption_keys_rotate() -> None:
    """The first key encrypts, all decrypt."""
    old, new = Encryption([ENCRYPTION_KEY]), Encryption([OTHER_ENCRYPTION_KEY, ENCRYPTION_KEY])
    data = new.seal(KEY, TAG, b"payload")

    assert b"payload" == new.unseal(KEY, TAG, old.seal(KEY, TAG, b"payload"))
    assert b"payload" == Encryption([OTHER_ENCRYPTION_KEY]).unseal(KEY, TAG, data)
    with pytest.raises(UnreadableValue, match="it was not encrypted by this site for this key"):
        old.unseal(KEY, TAG, data)


@table("length", range(28))
def test_encrypted_data_that_is_too_short_is_unreadable(length: int) -> None:
    """Less than a nonce and an authentication tag is no error of the library's."""
    with pytest.raises(UnreadableValue, match="cut short"):
        PROTECTIONS["encryption"].unseal(KEY, TAG, TAG + bytes(length))


def test_an_encrypted_integer_stays_digits() -> None:
    """Momento increments digits in the clear, so integers are not encrypted; the document says so."""
    codec = Configuration("pickle", "ENCRYPTION_KEY", "zlib").codec(compress_min_length=0)

    assert b"41" == codec.encode(KEY, 41)
    assert 42 == codec.decode(KEY, b"42")
    assert b"41" not in codec.encode(KEY, "41")


SIXTEEN, THIRTY_TWO = bytes(range(16)), bytes(range(200, 232))


@table(
    ("text", "keys"),
    [
        (base64.b64encode(SIXTEEN).decode(), [SIXTEEN]),
        (base64.b64encode(THIRTY_TWO).decode(), [THIRTY_TWO]),
        (base64.urlsafe_b64encode(THIRTY_TWO).decode(), [THIRTY_TWO]),
        (base64.urlsafe_b64encode(THIRTY_TWO).decode().rstrip("="), [THIRTY_TWO]),
        (
            f" {base64.b64encode(SIXTEEN).decode()} , {base64.b64encode(THIRTY_TWO).decode()}\n",
            [SIXTEEN, THIRTY_TWO],
        ),
    ],
)
def test_keys_are_base64_with_commas(text: str, keys: list[bytes]) -> None:
    """Both alphabets are read, padded or not, as ``openssl`` and ``secrets`` write them."""
    assert keys == [bytes(key) for key in encryption_keys(text)]


def test_keys_as_the_document_makes_them_are_taken() -> None:
    """The commands in docs/values.md make 32 bytes."""
    text = ",".join(secrets.token_urlsafe(32) for _ in range(3))

    assert [32, 32, 32] == [len(key) for key in encryption_keys(text)]


@table(
    ("text", "reason"),
    [
        ("", "holds a key of 0 bytes"),
        ("hunter2hunter2hu", "holds a key of 12 bytes"),
        ("hunter2!" * 4, "holds a key that is not base64"),
        ("hunter2" * 5 + "hunter", "holds a key that is not base64"),
        ("schlüssel", "holds a key that is not base64"),
        (base64.b64encode(bytes(24)).decode(), "holds a key of 24 bytes"),
        (base64.b64encode(bytes(32)).decode() + ",", "holds a key of 0 bytes"),
        (base64.b64encode(bytes(32)).decode() + ",hunter2h", "holds a key of 6 bytes"),
        ("AAAA AAAA AAAA AAAA AAAA AA", "holds a key that is not base64"),
    ],
)
def test_what_is_no_key_is_refused_without_a_word_of_it(text: str, reason: str) -> None:
    """The message ends in logs: it tells the length and nothing else."""
    with pytest.raises(ValueError, match="holds a key") as refused:
        encryption_keys(text)

    assert reason == str(refused.value)


def test_a_key_shows_itself_to_no_one() -> None:
    """Debug pages and error trackers print the locals of every frame."""
    key = ProtectionKey(b"hunter2hunter2hu")

    assert "hunter2" not in f"{key} {key!r} {[key]} {Encryption([key])!r} {vars(Encryption([key]))}"
    assert b"hunter2hunter2hu" == key


@table("module", ["cryptography.hazmat.primitives.ciphers.aead", "cryptography.exceptions"], afresh=True)
def test_encryption_without_its_package_names_the_extra(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values are never stored in the clear because a package is missing."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(OptionError) as raised:
        Encryption([ENCRYPTION_KEY])

    assert "ENCRYPTION_KEY" == raised.value.option
    assert "Install it: python -m pip install 'django-momento[encryption]'." == raised.value.fix


LONG_KEY = base64.b64encode(bytes(range(100, 133))).decode()  # 33 bytes, one too many


@table(
    "text",
    [
        LONG_KEY,
        f"{LONG_KEY}, ",
        f" {LONG_KEY[:-4]} , {LONG_KEY}",
        f"{LONG_KEY[:-3]}*",
        f"{LONG_KEY[:20]} {LONG_KEY[20:]}",
        f"{LONG_KEY}\u00fc",
        f'"{LONG_KEY[:-4]}"',
    ],
)
def test_no_frame_of_a_refusal_shows_an_encryption_key(text: str) -> None:
    """Debug pages and error trackers show the local variables of every frame."""
    with pytest.raises(ValueError, match="holds a key") as refused:
        encryption_keys(SecretStr(text))
    with pytest.raises(CredentialError, match="has no usable 'encryption_key'") as missing:
        build_codec("pickle", encryption_key=lambda: (SecretStr(text), "The secret")).encode(KEY, "value")
    shown = report(refused.value) + report(missing.value)

    assert [] == [run for part in LONG_KEY.split() for run in shown_of(part, shown)]


def test_no_frame_shows_a_key_if_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(OptionError) as refused:
        build_codec("pickle", encryption_key=SecretStr(LONG_KEY[:43]), compress_min_length=987)

    assert [] == shown_of(LONG_KEY, report(refused.value))
