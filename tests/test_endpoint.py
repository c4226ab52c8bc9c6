"""Where an endpoint is, and that a key can never be sent in the clear to another machine."""

from __future__ import annotations

import re

import pytest

from django_momento.endpoint import Endpoint
from tests.kit.tables import table

CELL = "cell-us-west-2-1.prod.a.momentohq.com"


@table(
    ("text", "endpoint"),
    [
        (CELL, Endpoint(CELL)),
        (f"{CELL}:443", Endpoint(CELL)),
        (f"{CELL}.", Endpoint(f"{CELL}.")),
        (f"https://{CELL}", Endpoint(CELL)),
        (f"HTTPS://{CELL}/", Endpoint(CELL)),
        (f" https://{CELL}:443/ ", Endpoint(CELL)),
        (f"{CELL}/", Endpoint(CELL)),
        (f"\ufeff{CELL}\n", Endpoint(CELL)),
        (f" {CELL}", Endpoint(CELL)),
        (f"{CELL}\n", Endpoint(CELL)),
        (f"\t{CELL}:443/\r\n", Endpoint(CELL)),
        ("127.0.0.1:8080/", Endpoint("127.0.0.1", 8080)),
        ("https://127.0.0.1:8443", Endpoint("127.0.0.1", 8443, secure=True)),
        ("https://momento.example:8443/", Endpoint("momento.example", 8443, secure=True)),
        ("https://[::1]:8443", Endpoint("::1", 8443, secure=True)),
        ("cell_1.example", Endpoint("cell_1.example")),
        ("127.0.0.1:8080", Endpoint("127.0.0.1", 8080)),
        ("127.8.9.10:1", Endpoint("127.8.9.10", 1)),
        ("localhost:65535", Endpoint("localhost", 65535)),
        ("LOCALHOST:8080", Endpoint("LOCALHOST", 8080)),
        ("[::1]:8080", Endpoint("::1", 8080)),
        ("[0:0:0:0:0:0:0:1]:8080", Endpoint("0:0:0:0:0:0:0:1", 8080)),
    ],
)
def test_an_endpoint_is_a_host_or_a_loopback_address_with_a_port(text: str, endpoint: Endpoint) -> None:
    """A bare host and port 443 mean TLS; any other port means plaintext, to this machine only."""
    assert endpoint == Endpoint.parse(text)
    assert (endpoint.port is not None and "https" not in text) == Endpoint.parse(text).is_plaintext


@table(
    "text",
    [
        f"{CELL}:8080",
        f"{CELL}:80",
        "10.0.0.1:8080",
        "192.168.1.1:8080",
        "0.0.0.0:8080",
        "[::]:8080",
        "[fe80::1]:8080",
        "[2001:db8::1]:8080",
        "localhost.example:8080",
        "127.0.0.1.example:8080",
        "127.1:8080",
        "2130706433:8080",
        "0x7f000001:8080",
    ],
)
def test_plaintext_to_another_machine_is_refused(text: str) -> None:
    """A port anywhere but on loopback would send the API key in the clear, and the text says so."""
    with pytest.raises(ValueError, match=r"plaintext.*loopback.*in the clear"):
        Endpoint.parse(text)


@table(
    ("text", "reason"),
    [
        ("http://127.0.0.1:8080", "without a scheme"),
        (f"{CELL}/path", f"without a scheme or a path: '{CELL}'"),
        (f"http://{CELL}", f"without a scheme or a path: '{CELL}'"),
        (f"grpc://{CELL}:443/", f"without a scheme or a path: '{CELL}'"),
        (f"https://{CELL}/v1", f"without a scheme or a path: '{CELL}'"),
        (f"https://{CELL}?a=1", "must be a host name"),
        (f" https://cache.{CELL}:443/ ", f"the cell's endpoint itself: '{CELL}'"),
        ("https://", "without a scheme or a path"),
        ("/", "without a scheme or a path"),
        ("https://127.0.0.1/", "a loopback address with the port"),
        ("dns:///cell", "without a scheme"),
        (f"cache.{CELL}", f"the cell's endpoint itself: '{CELL}'"),
        (f"control.{CELL}", f"the cell's endpoint itself: '{CELL}'"),
        ("127.0.0.1:", "a port that is not a number"),
        ("127.0.0.1:0", "a port that is not a number from 1 to 65535"),
        ("127.0.0.1:65536", "a port that is not a number from 1 to 65535"),
        ("127.0.0.1:-1", "a port that is not a number"),
        ("127.0.0.1:http", "a port that is not a number"),
        ("127.0.0.1: 80", "a port that is not a number"),
        ("127.0.0.1:٨٠٨٠", "a port that is not a number"),
        ("127.0.0.1:" + "9" * 5000, "a port that is not a number from 1 to 65535"),
        ("[::1]:", "a port that is not a number"),
        ("127.0.0.1", "a loopback address with the port"),
        ("127.0.0.1:443", "a loopback address with the port"),
        ("localhost", "a loopback address with the port"),
        ("::1", "a loopback address with the port"),
        ("[::1]", "a loopback address with the port"),
        ("10.0.0.1", "a loopback address with the port"),
        ("", "must be a host name"),
        (" ", "must be a host name"),
        (f"{CELL}\n:443", "must be a host name"),
        (":8080", "must be a host name"),
        ("[]:8080", "must be a host name"),
        ("[::1", "must be a host name"),
        ("[::1]8080", "must be a host name"),
        ("host:1:2", "must be a host name"),
        (f"key@{CELL}", "must be a host name"),
        (f"key@{CELL}:443", "must be a host name"),
        ("127.0.0.1@evil.example:8080", "must be a host name"),
        ("cell..example", "must be a host name"),
        ("a" * 64, "must be a host name"),
        (f"'{CELL}'", f"must stand without quotes around it: '{CELL}'"),
        (f'"https://{CELL}:443/"', f"must stand without quotes around it: '{CELL}'"),
        (f"\u201c{CELL}\u201d", f"must stand without quotes around it: '{CELL}'"),
        ("'", "must stand without quotes around it"),
    ],
)
def test_a_wrong_endpoint_is_refused_with_the_reason(text: str, reason: str) -> None:
    """What cannot be an endpoint says why, before a key is sent anywhere."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        Endpoint.parse(text)


@table(
    "text",
    [CELL, "127.0.0.1:8080", "localhost:8080", "[::1]:8080", "https://momento:8443", "https://[::1]:8443"],
)
def test_an_endpoint_reads_as_it_was_written(text: str) -> None:
    """Messages show an endpoint as people write it, and what they show can be read again."""
    assert text == str(Endpoint.parse(text))


@table("text", ["momento:8080", "10.0.0.1:8080", "[fe80::1]:8080", " momento:8080/ "])
def test_another_machine_may_be_named_in_plaintext_if_no_key_goes_there(text: str) -> None:
    """A local server in another container asks for no key."""
    endpoint = Endpoint.parse(text, carries_key=False)

    assert endpoint.is_plaintext
    with pytest.raises(ValueError, match=r"plaintext.*loopback.*in the clear"):
        endpoint.check_carries_key()


@table("text", ["momento:8443", "127.0.0.1:8443", "https://momento:8443"])
def test_a_port_that_tls_serves_may_carry_a_key(text: str) -> None:
    """With certificates to trust, the key is not sent in the clear."""
    endpoint = Endpoint.parse(text, secure=True)

    assert not endpoint.is_plaintext
    assert (8443, True) == (endpoint.port, endpoint.secure)


@table(
    ("endpoint", "hosts_and_port"),
    [
        (Endpoint(CELL), (f"cache.{CELL}", f"control.{CELL}", 443)),
        (Endpoint("::1", 8080), ("::1", "::1", 8080)),
        (Endpoint("momento", 8443, secure=True), ("momento:8443", "momento:8443", 443)),
        (Endpoint("::1", 8443, secure=True), ("[::1]:8443", "[::1]:8443", 443)),
    ],
)
def test_an_endpoint_says_where_to_connect_to(
    endpoint: Endpoint, hosts_and_port: tuple[str, str, int]
) -> None:
    """The SDK uses TLS for port 443 alone, and takes another port as part of the host."""
    assert hosts_and_port == endpoint.connect_to()
