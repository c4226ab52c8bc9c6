"""The settings that SUITE_SETTINGS names, with this backend in the place of every cache in memory."""

import os
from importlib import import_module
from typing import Any

from django.conf import global_settings

suite = vars(import_module(os.environ["SUITE_SETTINGS"]))
globals().update({name: value for name, value in suite.items() if name.isupper()})


def replaced(alias: str, config: dict[str, Any]) -> dict[str, Any]:
    if not config["BACKEND"].endswith(".LocMemCache"):
        return config
    return {
        "BACKEND": "django_momento.cache.MomentoCache",
        "LOCATION": alias,
        "OPTIONS": {"CREDENTIALS": "local", "ENDPOINT": os.environ["MOMENTO_ADDRESS"], "CLIENT_TIMEOUT": 100},
    }


CACHES = {
    alias: replaced(alias, config) for alias, config in suite.get("CACHES", global_settings.CACHES).items()
}
