"""Every reason to refuse a call, with the gRPC status that says so; the SDKs pick their error by that alone.

    Refused
    ├── InvalidArgument
    ├── Unauthenticated
    ├── CacheNotFound
    ├── CacheAlreadyExists
    ├── ItemTooLarge
    ├── ElementTooLarge
    ├── TooManyOperations
    ├── WrongType
    ├── NotAnInteger
    ├── IncrementOverflow
    ├── NotImplementedHere
    ├── ServerStopping
    ├── InjectedFault
    └── UnexpectedError

UNAVAILABLE and INTERNAL, which the SDKs retry, are for what heals by itself: of these a stop alone.
"""

from __future__ import annotations

from grpc import StatusCode


class Refused(Exception):
    """The call ends with a status instead of a response."""

    code: StatusCode
    err: str | None = None
    """Value of the trailing metadata `err`, by which the SDKs tell the limits behind one status apart."""


class InvalidArgument(Refused):
    code = StatusCode.INVALID_ARGUMENT


class Unauthenticated(Refused):
    code = StatusCode.UNAUTHENTICATED

    def __init__(self) -> None:
        # The offered key stays out of the text: it may be a real one, sent to the wrong place.
        super().__init__("Invalid API key: Momento Local was started with --api-key, and this is another one")


class CacheNotFound(Refused):
    code = StatusCode.NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(f"Cache not found: {name}")


class CacheAlreadyExists(Refused):
    code = StatusCode.ALREADY_EXISTS

    def __init__(self, name: str) -> None:
        super().__init__(f"Cache already exists: {name}")


class ItemTooLarge(Refused):
    code = StatusCode.RESOURCE_EXHAUSTED
    err = "item_size_limit_exceeded"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"The item size limit is {limit} bytes for key and value; this item has {size}")


class ElementTooLarge(Refused):
    code = StatusCode.RESOURCE_EXHAUSTED
    err = "element_size_limit_exceeded"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"The element size limit is {limit} bytes; this element has {size}")


class TooManyOperations(Refused):
    code = StatusCode.RESOURCE_EXHAUSTED
    err = "operations_rate_limit_exceeded"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The limit of {limit} operations per second is exceeded")


class WrongType(Refused):
    code = StatusCode.FAILED_PRECONDITION

    def __init__(self, wanted: str, stored: str) -> None:
        super().__init__(f"This call works on an item of type {wanted}; the one under this key is a {stored}")


class NotAnInteger(Refused):
    code = StatusCode.FAILED_PRECONDITION

    def __init__(self) -> None:
        super().__init__("The stored value is not a 64-bit integer in base 10, so it cannot be incremented")


class IncrementOverflow(Refused):
    code = StatusCode.OUT_OF_RANGE

    def __init__(self, total: int) -> None:
        super().__init__(f"The result, {total}, does not fit a signed 64-bit integer; the value is unchanged")


class NotImplementedHere(Refused):
    code = StatusCode.UNIMPLEMENTED

    def __init__(self, method: str) -> None:
        super().__init__(f"Momento Local does not implement {method}")


class ServerStopping(Refused):
    code = StatusCode.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("Momento Local is stopping")


class InjectedFault(Refused):
    """What a test asked for, of one call or of all: any status, UNKNOWN only if none is given."""

    code = StatusCode.UNKNOWN

    def __init__(self, code: StatusCode) -> None:
        super().__init__(f"Momento Local was asked to answer with {code.name}")
        self.code = code


class UnexpectedError(Refused):
    """A bug in the server. UNKNOWN, because that is the one status for it that no SDK retries."""

    code = StatusCode.UNKNOWN

    def __init__(self, method: str, error: Exception) -> None:
        super().__init__(f"Momento Local failed in {method}: {type(error).__name__}")
