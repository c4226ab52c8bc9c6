"""What setup.cfg promises about versions is what tox tries."""

from __future__ import annotations

import re
from configparser import ConfigParser

import pytest
from packaging.requirements import Requirement

from tests.packaging.conftest import ROOT


@pytest.fixture(scope="module")
def setup_cfg() -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg")
    return parser


def requirements(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.splitlines() if line]


def test_the_oldest_versions_are_the_ones_that_are_tried(setup_cfg: ConfigParser) -> None:
    """`tox -e lowest` runs the tests with exactly the lower bounds of what users install."""
    promised = requirements(setup_cfg["options"]["install_requires"])
    for extra in setup_cfg["options.extras_require"].values():
        promised += requirements(extra)
    bounds = {
        requirement.name: [bound.version for bound in requirement.specifier if bound.operator == ">="]
        for requirement in promised
    }
    # The SDK of OpenTelemetry is for the tests alone; a site may have another.
    bounds |= {"opentelemetry-sdk": bounds["opentelemetry-api"]}
    tried = requirements(setup_cfg["testenv:lowest"]["deps"])
    assert bounds == {
        requirement.name: [pin.version for pin in requirement.specifier] for requirement in tried
    }


def test_every_version_that_is_promised_is_tried(setup_cfg: ConfigParser) -> None:
    """The classifiers name the Pythons and Djangos that tox knows, and no others."""
    classifiers = setup_cfg["metadata"]["classifiers"]
    pythons = set(re.findall(r"py(\d)(\d+)-", setup_cfg["tox:tox"]["env_list"]))
    djangos = set(re.findall(r"^django(\d)(\d):", setup_cfg["testenv"]["deps"], re.MULTILINE))
    assert set(re.findall(r"Python :: (\d)\.(\d+)", classifiers)) == pythons
    assert set(re.findall(r"Django :: (\d)\.(\d+)", classifiers)) == djangos
