"""How often a token may ask: never more than its limit, whoever counts, and a refusal says when to come back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import RequestFactory

from identity_hub.core import allowance
from identity_hub.core.allowance import Allowance
from identity_hub.core.cache import ForgivingRedisCache
from identity_hub.core.client_address import address_of
from identity_hub.local.redis import Redis
from scim import rates
from scim.rates import TooManyRequestsException
from tests.scim.test_scopes import caller

START = "2026-11-22T10:00:15Z"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """A minute that does not end by itself."""
    allowance.forget()
    with time_machine.travel(START, tick=False) as travelled:
        yield travelled
    allowance.forget()


def granted(permits: Allowance, limit: int, tries: int, key: str = "k") -> int:
    return sum(permits.take(key, limit) == 0 for _ in range(tries))


@pytest.mark.parametrize("limit", [1, 7, 99, 100, 101, 250, 6000])
def test_a_minute_has_exactly_so_many(limit: int, clock: time_machine.Traveller) -> None:
    permits = Allowance("test")
    assert granted(permits, limit, limit + 50) == limit
    assert permits.take("k", limit) == permits.spent("k") == 45
    assert granted(permits, limit, 1, key="another") == 1
    clock.shift(45)
    assert permits.spent("k") == 0
    assert granted(permits, limit, limit + 50) == limit


def test_processes_share_a_minute_to_within_a_chunk_each() -> None:
    """Two allowances of one name are two processes: what they share is the cache."""
    one, two = Allowance("test"), Allowance("test")
    together = sum(process.take("k", 6000) == 0 for _ in range(4000) for process in (one, two))
    assert together == 6000
    one, two = Allowance("again"), Allowance("again")
    assert granted(one, 6000, 1) == 1  # leases sixty, and goes idle
    assert granted(two, 6000, 7000) == 6000 - 60


def test_threads_of_one_process_never_take_more() -> None:
    permits = Allowance("test")
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: granted(permits, 500, 200), range(8)))
    assert sum(taken) == 500


def test_an_ordinary_request_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    original = cache.incr
    monkeypatch.setattr(cache, "incr", lambda *a, **k: (asked.append(1), original(*a, **k))[1])
    permits = Allowance("test")
    assert granted(permits, 6000, 600) == 600
    assert len(asked) == 10 + 1  # one for each chunk of sixty, and the first finds no number yet
    assert granted(permits, 6000, 9000) == 5400
    asked.clear()
    assert granted(permits, 6000, 9000) == 0
    assert not asked  # what is refused asks nobody either


def test_without_redis_each_process_counts_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "cache", ForgivingRedisCache("redis://127.0.0.1:1/0", {}))
    one, two = Allowance("test"), Allowance("test")
    assert granted(one, 250, 400) == 250
    assert granted(two, 250, 400) == 250
    ForgivingRedisCache.paused_until = 0.0


def test_processes_share_a_real_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = Redis(tmp_path / "redis", ephemeral=True)
    redis.start()
    try:
        monkeypatch.setattr(allowance, "cache", ForgivingRedisCache(redis.url(), {}))
        one, two = Allowance("test"), Allowance("test")
        assert sum(process.take("k", 1000) == 0 for _ in range(800) for process in (one, two)) == 1000
    finally:
        redis.stop()


def test_a_refusal_says_when_to_come_back() -> None:
    """RFC 6585 4: it "MAY include a Retry-After header indicating how long to wait"."""
    who = caller()
    object.__setattr__(who, "requests_per_minute", 2)
    rates.admit(who)
    rates.admit(who)
    with pytest.raises(TooManyRequestsException) as refused:
        rates.admit(who)
    assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "45"})


def test_no_limit_is_no_limit() -> None:
    who = caller()
    for _ in range(10_000):
        rates.admit(who)


def test_an_address_that_fails_often_is_not_heard_for_the_rest_of_the_minute(
    clock: time_machine.Traveller,
) -> None:
    for _ in range(rates.FAILURES_A_MINUTE):
        rates.guard("192.0.2.1")
        rates.failed("192.0.2.1")
    rates.failed("192.0.2.1")
    with pytest.raises(TooManyRequestsException):
        rates.guard("192.0.2.1")
    rates.guard("192.0.2.2")
    clock.shift(45)
    rates.guard("192.0.2.1")


@pytest.mark.parametrize(
    ("behind_proxy", "remote", "forwarded", "address"),
    [
        (False, "192.0.2.1", None, "192.0.2.1"),
        (False, "192.0.2.1", "198.51.100.7", "192.0.2.1"),
        (True, "10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (True, "10.0.0.1", None, "10.0.0.1"),
        (True, "10.0.0.1", "unknown", ""),
        (True, "10.0.0.1", "203.0.113.9, 198.51.100.7:4711", "198.51.100.7"),
        (True, "10.0.0.1", "[2001:db8:1:2:3::4]:4711", "2001:db8:1:2::/64"),
        (True, "10.0.0.1", "[2001:db8:1:2:3::4]", "2001:db8:1:2::/64"),
        (True, "10.0.0.1", "198.51.100.7:x", ""),
        (True, "10.0.0.1", "[198.51.100.7", ""),
        (False, "::ffff:192.0.2.1", None, "192.0.2.1"),
        (False, "::1", None, "::/64"),
        (False, "2001:db8:1:2:3::4", None, "2001:db8:1:2::/64"),
        (False, "", None, ""),
    ],
)
def test_where_a_request_comes_from(
    settings: Any, behind_proxy: bool, remote: str, forwarded: str | None, address: str
) -> None:
    settings.BEHIND_PROXY = behind_proxy
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = RequestFactory().get("/", REMOTE_ADDR=remote, headers=headers)
    assert address_of(request) == address
