"""Import what an option names: an optional package, or a site's own code by dotted path.

Options are imported when the settings are loaded, so that a missing package shows before the first value.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from django.utils.module_loading import import_string

from ..interruption import is_interruption
from ..redaction import quote


class OptionError(Exception):
    """An option names something unusable.

    ``cause`` continues after the option's name; ``fix`` is a sentence.
    """

    def __init__(self, option: str, cause: str, fix: str) -> None:
        super().__init__(f"{option} {cause} {fix}")
        self.option = option
        self.cause = cause
        self.fix = fix


def import_optional(module: str, extra: str, option: str) -> ModuleType:
    """Import a module that comes with an extra of this package. Raises OptionError."""
    try:
        return import_module(module)
    except ImportError as error:
        raise OptionError(
            option,
            f"needs the module {module}, which cannot be imported ({quote(error)}).",
            f"Install it: python -m pip install 'django-momento[{extra}]'.",
        ) from error


def import_dotted(path: str, option: str) -> Any:
    """Import the object at a dotted path. Raises OptionError, whatever the import raises."""
    try:
        return import_string(path)
    except Exception as error:
        if is_interruption(error):
            raise
        raise OptionError(
            option,
            f"is {path!r}, which cannot be imported ({type(error).__name__}: {quote(error)}).",
            "Check the path, and that its module can be imported on its own.",
        ) from error
