"""The reasons to refuse a call, each with its gRPC status. The SDKs choose their error by the status alone.

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

The SDKs retry UNAVAILABLE and INTERNAL. So they are for a condition that passes by itself: here only for a
stop.
"""

from __future__ import annotations

from grpc import StatusCode


class Refused(Exception):
    """End the call with a status instead of a response."""

    code: StatusCode
    err: str | None = None
    """The trailing metadata ``err``. The SDKs tell limits with the same status apart by it."""


class InvalidArgument(Refused):
    code = StatusCode.INVALID_ARGUMENT


class Unauthenticated(Refused):
    code = StatusCode.UNAUTHENTICATED

    def __init__(self) -> None:
        # The key is not in the text, because it may be a real one that was sent to the wrong place.
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
    """A fault that a test asked for, of one call or of all calls. It has any status."""

    code = StatusCode.UNKNOWN

    def __init__(self, code: StatusCode) -> None:
        super().__init__(f"Momento Local was asked to respond with {code.name}")
        self.code = code


class UnexpectedError(Refused):
    """A bug in the server. The status is UNKNOWN, because the SDKs do not retry it."""

    code = StatusCode.UNKNOWN

    def __init__(self, method: str, error: Exception) -> None:
        super().__init__(f"Momento Local failed in {method}: {type(error).__name__}")
