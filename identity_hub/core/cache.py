"""A cache that may be absent: without Redis every look-up misses. Knows no key and keeps no promise."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

_log = structlog.get_logger("identity_hub.cache")

# After a failure Redis is left alone for so long: its absence costs one timeout and not one per request.
PAUSE_SECONDS = 5.0


def _or_miss(name: str, miss: Callable[..., Any]) -> Any:
    original = getattr(RedisCache, name)

    @wraps(original)
    def method(self: "ForgivingRedisCache", *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() < self.paused_until:
            return miss(*args, **kwargs)
        try:
            return original(self, *args, **kwargs)
        except RedisError as error:
            type(self).paused_until = time.monotonic() + PAUSE_SECONDS
            _log.warning("cache:away", error=type(error).__name__)
            return miss(*args, **kwargs)

    return method


def _default(key: str, default: Any = None, *args: Any, **kwargs: Any) -> Any:
    return default


def _no(*args: Any, **kwargs: Any) -> bool:
    return False


def _absent(key: str, *args: Any, **kwargs: Any) -> int:
    # What Django says of a number that is not there.
    raise ValueError(f"Key '{key}' not found.")


class ForgivingRedisCache(RedisCache):
    """Django's Redis cache, whose errors read as misses; one pause for all threads of the process."""

    paused_until = 0.0

    get = _or_miss("get", _default)
    get_many = _or_miss("get_many", lambda *args, **kwargs: {})
    has_key = _or_miss("has_key", _no)
    add = _or_miss("add", _no)
    set = _or_miss("set", lambda *args, **kwargs: None)
    set_many = _or_miss("set_many", lambda data, *args, **kwargs: list(data))
    touch = _or_miss("touch", _no)
    incr = _or_miss("incr", _absent)
    delete = _or_miss("delete", _no)
    delete_many = _or_miss("delete_many", lambda *args, **kwargs: None)
    clear = _or_miss("clear", _no)
