"""What an option names that must first be imported: optional packages, and a site's own code by dotted path.

Looked for with all the other settings, so that what is missing shows before the first value does. Knows
neither aliases nor settings: who asked says where the option stands.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from django.utils.module_loading import import_string


class OptionError(Exception):
    """An option names what cannot be used. ``cause`` reads on after the option; ``fix`` is a sentence."""

    def __init__(self, option: str, cause: str, fix: str) -> None:
        super().__init__(f"{option} {cause} {fix}")
        self.option = option
        self.cause = cause
        self.fix = fix


def import_optional(module: str, extra: str, option: str) -> ModuleType:
    """Import a module that comes with an extra of this package. Raises UnusableOption."""
    try:
        return import_module(module)
    except ImportError as error:
        raise OptionError(
            option,
            f"needs the module {module}, which cannot be imported ({error}).",
            f"Install it: python -m pip install 'django-momento[{extra}]'.",
        ) from error


def import_dotted(path: str, option: str) -> Any:
    """Import what a dotted path names. Raises UnusableOption, whatever the import raises."""
    try:
        return import_string(path)
    except Exception as error:
        raise OptionError(
            option,
            f"is {path!r}, which cannot be imported ({type(error).__name__}: {error}).",
            "Check the path, and that its module can be imported on its own.",
        ) from error
