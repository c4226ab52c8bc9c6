"""``django_momento.local`` itself: one public name, and nothing loaded until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import django_momento.local


def test_importing_the_package_loads_no_grpc() -> None:
    """Its import must not cost as much as grpc and the generated messages."""
    program = "import sys, django_momento.local; print({'grpc', 'momento_wire_types'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout == "set()\n"


def test_the_package_offers_the_server() -> None:
    """`from django_momento.local import LocalServer` is how everyone gets it."""
    from django_momento.local.server import LocalServer

    assert LocalServer is django_momento.local.LocalServer


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A name the package does not have fails as in any other module."""
    with pytest.raises(AttributeError, match="has no attribute 'RemoteServer'"):
        django_momento.local.RemoteServer  # noqa: B018 - reading it is the test
