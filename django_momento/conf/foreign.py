"""Explain names that OPTIONS does not have: those of other cache backends, and misspelled ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..codec.compressors import COMPRESSORS
from ..codec.serializers import SERIALIZERS


class ForeignOption(NamedTuple):
    """Options of another cache backend, and the replacement here as one sentence or more."""

    backend: str
    names: tuple[str, ...]
    replacement: str


_NO_POOL = "Leave it out: all threads share one HTTP/2 connection, so there is no pool."
_NO_CLIENT = "Leave it out: there is one client, and Momento distributes the keys."
_NO_KEEPALIVE = "Leave it out: CONFIGURATION sets the keepalive of the connection."
_NO_LOGIN = "Leave it out: Momento has API keys. SECRET_ID names the secret with the key."
_NO_HOST = "Leave it out: the endpoint comes with the API key, or from ENDPOINT."
_NO_DATABASE = "Leave it out: LOCATION names the cache, and KEY_PREFIX separates sites within it."
_TIMEOUT = "Use CLIENT_TIMEOUT, the seconds one call may take."
_TLS = "Leave it out: Momento is always reached by TLS. ROOT_CERTIFICATES names the certificates to trust."
_NO_RETRY = "Leave it out: a call that may be repeated is repeated by itself within CLIENT_TIMEOUT."
_IGNORE = "Use IGNORE_EXCEPTIONS."
_SERIALIZER = (
    "Use SERIALIZER: 'pickle', 'json', 'msgpack' or a dotted path of an object with dumps and loads."
)
_TEXT = "Leave it out: keys are UTF-8, and values are bytes of SERIALIZER."
_NO_PICKLE = "Leave it out: values are pickled with the highest protocol."

_REDIS_CONNECTION = (
    (("SOCKET_TIMEOUT", "SOCKET_CONNECT_TIMEOUT"), _TIMEOUT),
    (("SOCKET_KEEPALIVE", "SOCKET_KEEPALIVE_OPTIONS", "HEALTH_CHECK_INTERVAL"), _NO_KEEPALIVE),
    (("MAX_CONNECTIONS",), _NO_POOL),
    (("RETRY", "RETRY_ON_TIMEOUT", "RETRY_ON_ERROR"), _NO_RETRY),
    (("USERNAME", "PASSWORD", "CREDENTIAL_PROVIDER"), _NO_LOGIN),
    (("HOST", "PORT", "UNIX_SOCKET_PATH"), _NO_HOST),
    (("DB",), _NO_DATABASE),
    (("DECODE_RESPONSES", "ENCODING", "ENCODING_ERRORS", "PROTOCOL"), _TEXT),
    (
        (
            "SSL",
            "SSL_CERT_REQS",
            "SSL_CA_CERTS",
            "SSL_CA_PATH",
            "SSL_CA_DATA",
            "SSL_CERTFILE",
            "SSL_KEYFILE",
            "SSL_CHECK_HOSTNAME",
            "SSL_CONTEXT",
            "SSL_MIN_VERSION",
        ),
        _TLS,
    ),
    (("CLIENT_NAME", "LIB_NAME", "LIB_VERSION"), _NO_CLIENT),
)

FOREIGN_OPTIONS = (
    *(
        ForeignOption("django-redis", names, replacement)
        for names, replacement in (
            (
                (
                    "CLIENT_CLASS",
                    "REDIS_CLIENT_CLASS",
                    "REDIS_CLIENT_KWARGS",
                    "SENTINELS",
                    "SENTINEL_KWARGS",
                    "SENTINEL_SERVICE_NAME",
                    "REPLICA_SET",
                ),
                _NO_CLIENT,
            ),
            (
                (
                    "CONNECTION_FACTORY",
                    "CONNECTION_POOL_CLASS",
                    "CONNECTION_POOL_CLASS_KWARGS",
                    "CONNECTION_POOL_KWARGS",
                    "AUTO_CLOSE_CONNECTIONS",
                    "CLOSE_CONNECTION",
                ),
                _NO_POOL,
            ),
            (("PICKLE_VERSION",), _NO_PICKLE),
            (
                ("REVERSE_KEY_FUNCTION",),
                "Leave it out: Momento cannot list keys, so no key is ever turned back.",
            ),
            (("COMPRESS_MIN_LEN", "MIN_LENGTH"), "Use COMPRESS_MIN_LENGTH, in bytes."),
        )
    ),
    *(
        ForeignOption("Django's RedisCache", names, replacement)
        for names, replacement in (
            (("PARSER_CLASS", "POOL_CLASS", "CONNECTION_CLASS"), _NO_POOL),
            *_REDIS_CONNECTION,
        )
    ),
    *(
        ForeignOption("pymemcache and pylibmc", names, replacement)
        for names, replacement in (
            (("IGNORE_EXC",), _IGNORE),
            (("SERDE", "DESERIALIZER"), _SERIALIZER),
            (
                ("USE_POOLING", "MAX_POOL_SIZE", "POOL_IDLE_TIMEOUT", "LOCK_GENERATOR", "SOCKET_MODULE"),
                _NO_POOL,
            ),
            (("NO_DELAY", "TCP_NODELAY", "TCP_KEEPALIVE"), _NO_KEEPALIVE),
            (("HASHER", "BEHAVIORS", "BINARY", "KETAMA"), _NO_CLIENT),
            (("RETRY_ATTEMPTS", "RETRY_TIMEOUT", "DEAD_TIMEOUT", "REMOVE_FAILED"), _NO_RETRY),
            (("TLS_CONTEXT",), _TLS),
            (("ALLOW_UNICODE_KEYS",), "Leave it out: keys may hold any character."),
            (("DEFAULT_NOREPLY",), "Leave it out: every call is answered."),
        )
    ),
    ForeignOption(
        "Django's local backends",
        ("MAX_ENTRIES", "CULL_FREQUENCY"),
        "Momento evicts by itself; leave it out.",
    ),
)

_REPLACEMENTS = {name: option.replacement for option in FOREIGN_OPTIONS for name in option.names}

# As difflib measures it: SECRETID is SECRET_ID, but PASSWORD is not COMPRESSOR.
_MIN_SIMILARITY = 0.8


def foreign_replacement(name: str) -> str | None:
    """Return the replacement of another backend's option, or None if the name is unknown."""
    return _REPLACEMENTS.get(_normalize(name))


def fix_foreign_value(value: object) -> str | None:
    """Return the fix for the dotted path of a class of django-redis, or None for any other value.

    Its modules are named as the choices of SERIALIZER and COMPRESSOR are.
    """
    if not isinstance(value, str) or not value.startswith("django_redis."):
        return None
    choice = value.split(".")[-2]
    is_choice = choice in SERIALIZERS or choice in COMPRESSORS
    return f"Write {choice!r}." if is_choice else "Leave it out: it cannot be used without Redis."


def find_nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name nearest to a misspelled one, or None if all are too different.

    A name is near if few letters differ, or if all words of one are words of the other: AWS_REGION, TTL.
    """
    from difflib import SequenceMatcher, get_close_matches  # Imported only for a name that is wrong.

    spelled, known = _normalize(name), tuple(known)
    if matches := get_close_matches(spelled, known, n=1, cutoff=_MIN_SIMILARITY):
        return matches[0]
    words = {*spelled.split("_")}
    alike = [each for each in known if words <= {*each.split("_")} or words >= {*each.split("_")}]
    return max(alike, key=lambda each: SequenceMatcher(None, spelled, each).ratio(), default=None)


def _normalize(name: str) -> str:
    return name.strip().upper().replace("-", "_")


_NO_LIST = (
    "Momento cannot list keys. To forget keys, use tags: invalidate_tags(*tags). To know them, store them in "
    "a value or in the database."
)
_NO_PATTERN = (
    "Momento cannot list keys. Store the values with tags=[...], and forget all of them with "
    "invalidate_tags(*tags). For all keys of the alias, use clear() with CLEAR 'prefix', which begins a new "
    "generation of keys."
)
_EXPIRE = "Use expire(key, timeout), with seconds from now or a timedelta."
_TTL = "Use ttl(key), which returns the remaining seconds, or None if the key is missing."
_LOCK = "Use lock(key, timeout). It keeps work from being done twice, and does not protect data."
_SDK = "Use django_momento.sdk_client(alias), the client of Momento's SDK, which has collections."

# Methods for sets, dictionaries, lists and sorted sets.
_COLLECTION_METHODS = """
    sadd scard sdiff sdiffstore sinter sinterstore sismember smembers smismember smove spop srandmember srem
    sscan sscan_iter sunion sunionstore
    hset hsetnx hget hmget hmset hgetall hdel hlen hkeys hvals hexists hincrby hincrbyfloat hscan hscan_iter
    lpush lpushx rpush rpushx lpop rpop lrange llen lrem ltrim lindex linsert lset lmove lpos blpop brpop
    blmove rpoplpush
    zadd zrem zrange zrevrange zscore zmscore zrank zrevrank zincrby zcard zcount zpopmin zpopmax
    zrangebyscore zrevrangebyscore zremrangebyscore zremrangebyrank zscan zscan_iter
"""
_REDIS_METHODS = """
    xadd xread xrange xlen xack xreadgroup eval eval_script evalsha register_script pipeline execute_command
    setbit getbit bitcount pfadd pfcount geoadd incrbyfloat dbsize info type
"""

# Methods of other backends, with the replacement here.
FOREIGN_METHODS = {
    name: replacement
    for names, replacement in (
        (("keys", "iter_keys", "scan", "scan_iter"), _NO_LIST),
        (("delete_pattern", "delete_by_prefix", "delete_prefix", "make_pattern"), _NO_PATTERN),
        (("reverse_key",), "Leave it out: keys cannot be listed, so that none has to be turned back."),
        (("persist",), "Use touch(key, None), which keeps the value for MAX_TTL. No value lives longer."),
        (("pexpire", "expire_at", "pexpire_at", "expireat"), _EXPIRE),
        (("pttl", "get_with_ttl", "expiretime", "pexpiretime"), _TTL),
        (("get_lock",), _LOCK),
        (
            ("client", "get_client", "get_server_client", "get_backend_client", "_cache", "get_connection"),
            _SDK,
        ),
        (_COLLECTION_METHODS, _SDK),
        (_REDIS_METHODS, "Momento has nothing like it. Use a Redis for this, as an alias of its own."),
        (("ping",), "Use `manage.py momento_check`, or get() of any key."),
        (("unlink",), "Use delete(key), or delete_many(keys)."),
        (
            ("rename", "renamenx", "copy"),
            "Read the value, set() it under the other key and delete() the old.",
        ),
        (("getset", "getdel", "getex"), "Use get(), then set(), delete() or touch(). That is not atomic."),
        (("set_nx", "set_many_nx", "get_or_lock"), "Use add(key, value, timeout)."),
        (("replace",), "Use has_key() before set(), which is not atomic."),
        (("publish", "pubsub"), "Use Momento Topics with its SDK and django_momento.credential_provider()."),
        (("cas", "gets"), "Use add(), or incr() for numbers: they are atomic."),
        (("append", "prepend"), "Read the value and set() it again. That is not atomic."),
        (("mget",), "Use get_many(keys)."),
        (("mset",), "Use set_many(data, timeout)."),
        (("exists",), "Use has_key(key)."),
        (("setnx",), "Use add(key, value, timeout)."),
        (("setex", "psetex"), "Use set(key, value, timeout)."),
        (("incrby", "decrby"), "Use incr(key, delta) or decr(key, delta)."),
        (("flushall", "flushdb", "flush_all"), "Use clear(). The option CLEAR says which keys it forgets."),
        (("get_stats", "stats"), "Use django_momento.monitoring.stats(alias)."),
    )
    for name in (names.split() if isinstance(names, str) else names)
}

# Keyword arguments of other backends' methods, with the replacement here.
FOREIGN_ARGUMENTS = {
    "nx": "Use add(key, value, timeout), which stores a value only if the key is missing.",
    "xx": "Use has_key() before set(), which is not atomic, or touch() if only the timeout is to change.",
    "client": "Leave it out: there is one client for reads and writes.",
    "ignore_key_check": "Leave it out: a missing key raises ValueError. Use add(key, 0) before incr().",
    **dict.fromkeys(("ex", "px", "exat", "pxat", "expire", "time", "ttl"), "Use timeout, in seconds."),
    "thread_local": "Leave it out: a lock belongs to the thread or the task that acquired it.",
    **dict.fromkeys(("keepttl", "noreply", "get", "cas"), "Leave it out: Momento has nothing like it."),
}


def explain_foreign_method(backend: str, name: str) -> str | None:
    """Return the text for a method of another backend, sync or async, or None if the name is unknown."""
    replacement = FOREIGN_METHODS.get(name) or FOREIGN_METHODS.get(name.removeprefix("a"))
    return (
        None
        if replacement is None
        else f"{backend} has no {name!r}, which other backends have. {replacement}"
    )


def refuse_foreign_arguments(method: str, arguments: Iterable[str]) -> None:
    """Raise TypeError for a keyword argument that a method does not have, with the replacement if known."""
    for name in arguments:
        replacement = FOREIGN_ARGUMENTS.get(name, "")
        text = f"{method}() got an unexpected keyword argument {name!r}. {replacement}"
        raise TypeError(text.rstrip())
