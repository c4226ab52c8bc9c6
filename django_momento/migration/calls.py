"""The calls of the verbs: the same call on NEW in ``done``, and the plan for both sides until then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from .pair import Pair
from .reads import Reads
from .sides import Plan
from .writes import Writes

T = TypeVar("T")


class Call(Generic[T]):
    """A call of a verb. ``plan`` returns its plan in a phase.

    A call that ``lingers`` goes to both sides for some seconds after the change to ``done``, because other
    processes may not have seen the change yet.
    """

    __slots__ = ("args", "kwargs", "lingers", "plan", "verb")

    def __init__(
        self,
        verb: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        plan: Callable[[str], Plan[T]],
        *,
        lingers: bool = False,
    ) -> None:
        self.verb = verb
        self.args = args
        self.kwargs = kwargs
        self.plan = plan
        self.lingers = lingers


class Calls:
    """The calls of the verbs of one pair."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._reads = Reads(pair)
        self._writes = Writes(pair)

    def get(self, key: object, default: Any, version: int | None) -> Call[Any]:
        return Call(
            "get",
            (key, default),
            {"version": version},
            lambda phase: self._reads.get(phase, key, default, version),
        )

    def get_many(self, keys: list[Any], version: int | None) -> Call[dict[Any, Any]]:
        return Call(
            "get_many",
            (keys,),
            {"version": version},
            lambda phase: self._reads.get_many(phase, keys, version),
        )

    def has_key(self, key: object, version: int | None) -> Call[bool]:
        return Call(
            "has_key", (key,), {"version": version}, lambda phase: self._reads.has_key(phase, key, version)
        )

    def set(
        self, key: object, value: Any, timeout: Any, version: int | None, foreign: Mapping[str, Any]
    ) -> Call[Any]:
        if foreign:
            return self.foreign("set", (key, value), version, {"timeout": timeout, **foreign})
        return Call(
            "set",
            (key, value),
            {"timeout": timeout, "version": version},
            lambda phase: self._writes.set(phase, key, value, timeout, version),
            lingers=True,
        )

    def set_many(self, data: Mapping[Any, Any], timeout: Any, version: int | None) -> Call[list[Any]]:
        return Call(
            "set_many",
            (data,),
            {"timeout": timeout, "version": version},
            lambda phase: self._writes.set_many(phase, data, timeout, version),
            lingers=True,
        )

    def touch(self, key: object, timeout: Any, version: int | None) -> Call[bool]:
        return Call(
            "touch",
            (key,),
            {"timeout": timeout, "version": version},
            lambda phase: self._writes.touch(phase, key, timeout, version),
            lingers=True,
        )

    def delete(self, key: object, version: int | None) -> Call[bool]:
        return Call(
            "delete",
            (key,),
            {"version": version},
            lambda phase: self._writes.delete(phase, key, version),
            lingers=True,
        )

    def delete_many(self, keys: list[Any], version: int | None) -> Call[None]:
        return Call(
            "delete_many",
            (keys,),
            {"version": version},
            lambda phase: self._writes.delete_many(phase, keys, version),
            lingers=True,
        )

    def clear(self) -> Call[None]:
        return Call("clear", (), {}, self._writes.clear, lingers=True)

    def add(self, key: object, value: Any, timeout: Any, version: int | None) -> Call[bool]:
        self._pair.ledger.add_lock(self._pair.name(key, version))
        return Call(
            "add",
            (key, value),
            {"timeout": timeout, "version": version},
            lambda phase: self._writes.add(phase, key, value, timeout, version),
        )

    def add_or_set(self, key: object, value: Any, timeout: Any, version: int | None) -> Call[bool]:
        """Return the call that stores the value of get_or_set()."""
        return Call(
            "add",
            (key, value),
            {"timeout": timeout, "version": version},
            lambda phase: self._writes.add_or_set(phase, key, value, timeout, version),
        )

    def count(self, verb: str, key: object, delta: int, version: int | None) -> Call[int]:
        return Call(
            verb,
            (key, delta),
            {"version": version},
            lambda _: self._writes.count(verb, key, delta, version),
        )

    def incr_version(self, key: object, delta: int, version: int | None) -> Call[int]:
        return Call(
            "incr_version",
            (key, delta),
            {"version": version},
            lambda phase: self._writes.incr_version(phase, key, delta, version),
        )

    def foreign(
        self, verb: str, args: tuple[Any, ...], version: int | None, kwargs: Mapping[str, Any]
    ) -> Call[Any]:
        """Return a call on a key that only OLD knows, after which NEW loses the key."""
        pair = self._pair
        return Call(
            verb,
            args,
            {"version": version, **kwargs},
            lambda _: self._writes.on_old(
                [pair.name(args[0], version)],
                pair.old.step(verb, *args, version=version, is_essential=True, **kwargs),
                [pair.new.step("delete_many", [args[0]], version=version)],
            ),
        )
