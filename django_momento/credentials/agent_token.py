"""The token that the Secrets Manager Agent wants to see, so that not every program may have its secrets read.

It is read anew for each request: the agent's installer makes a new one whenever the agent starts.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from django_momento.exceptions import CredentialError
from django_momento.redaction import SecretStr, redacted_repr

from . import file

HEADER = "X-Aws-Parameters-Secrets-Token"

# In the agent's own order, but for the file, which its installer makes and of which no variable tells.
VARIABLES = ("AWS_TOKEN", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN")
FILE = Path("/var/run/awssmatoken")
_FILE_SCHEME = "file://"

FIX = (
    f"It must be the one that the agent was started with. Let this process read {FILE} (on EC2: `usermod -aG "
    "awssmatokenreader USER`), or set AWS_TOKEN to the token, or to file:// and the path of a file with it; "
    "Lambda sets AWS_SESSION_TOKEN by itself."
)

# Else http.client would say that it cannot be sent, with the token in its words.
_SENDABLE = re.compile(r"[ -~]+")


def read() -> SecretStr:
    """Answer the token. Raises CredentialError."""
    source, value = _configured()
    if not value.startswith(_FILE_SCHEME):
        return _checked(value, source)
    path = Path(value.removeprefix(_FILE_SCHEME))
    source = f"file {redacted_repr(str(path))}"
    try:
        return _checked(file.read(path), source)
    except ValueError as error:
        raise _unusable(f"{source} {error}") from None


def _configured() -> tuple[str, SecretStr]:
    first, *others = VARIABLES
    if os.environ.get(first):
        return f"environment variable {first}", SecretStr(os.environ[first])
    if FILE.exists():
        return "", SecretStr(f"{_FILE_SCHEME}{FILE}")
    for name in others:
        if os.environ.get(name):
            return f"environment variable {name}", SecretStr(os.environ[name])
    raise _unusable(f"there is no file {FILE}, nor one of the environment variables {', '.join(VARIABLES)}")


def _checked(token: SecretStr, source: str) -> SecretStr:
    token = SecretStr(token.strip())
    if not _SENDABLE.fullmatch(token):
        raise _unusable(f"{source} {'holds characters that no token has' if token else 'is empty'}")
    return token


def _unusable(reason: str) -> CredentialError:
    return CredentialError(f"The token of the Secrets Manager Agent cannot be had: {reason}.", FIX)
