"""The cellar: the clock, names of rows, names of requests, and a cache that may be absent."""

import datetime
import json
import logging
import re
import sys

import pytest
import structlog
import time_machine
from django.test import Client

from identity_hub.core import clock, ids, logs
from identity_hub.core.cache import ForgivingRedisCache
from identity_hub.core.request_id import current_request_id


def test_now_is_aware_and_in_utc() -> None:
    assert clock.now().utcoffset() == datetime.timedelta(0)


def test_ids_are_version_7_and_sort_by_time() -> None:
    with time_machine.travel(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), tick=False) as traveller:
        made = []
        for _ in range(50):
            made.append(ids.new_id())
            traveller.shift(datetime.timedelta(microseconds=1))
    assert made == sorted(made)
    assert {(made_id.version, made_id.variant) for made_id in made} == {(7, "specified in RFC 4122")}
    milliseconds = made[0].int >> 80
    assert datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC).year == 2026


def test_ids_of_one_moment_keep_their_order() -> None:
    with time_machine.travel(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), tick=False) as traveller:
        made = [*ids.new_ids(1000)]
        again = ids.new_ids(1000)
        traveller.shift(datetime.timedelta(microseconds=1))
        later = ids.new_id()
    assert made == sorted(made)
    assert max(*made, *again) < later
    assert len({*made, *again}) == 2000
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
    assert ids.new_ids(0) == []


def test_a_logged_traceback_does_not_quote_the_row_that_it_is_about() -> None:
    formatter = logs.configure(as_json=True, level="INFO")["formatters"]["line"]
    row = "Key (email)=(ada@example.com) already exists."
    try:
        raise ValueError(f"duplicate key\nLINE 1: UPDATE ... {row}\n     ^\nDETAIL:  {row}\nand on")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", None, sys.exc_info())
    line = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=formatter["foreign_pre_chain"], processors=formatter["processors"]
    ).format(record)
    assert "ada@example.com" not in line
    assert "duplicate key" in json.loads(line)["exception"]


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        pytest.param("%s", "duplicate key", id="the error's text"),
        # celery.app.trace: "Task %(name)s[%(id)s] raised unexpected: %(exc)s", with the repr of the error
        pytest.param("Task x raised unexpected: %r", "Task x raised unexpected", id="the error's repr"),
    ],
)
def test_a_logged_message_does_not_quote_the_row_either(message: str, kept: str) -> None:
    for text in (
        "duplicate key\nDETAIL:  Key (email)=(ada@example.com) already exists.",
        'duplicate key\ninvalid input syntax for type uuid: "ada@example.com"',
    ):
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, message, (ValueError(text),), None)
        formatter = logs.configure(as_json=True, level="INFO")["formatters"]["line"]
        line = structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=formatter["foreign_pre_chain"], processors=formatter["processors"]
        ).format(record)
        assert "ada@example.com" not in line
        assert kept in json.loads(line)["event"]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        pytest.param(
            "/scim/v2/Users/ada@example.com", "/scim/v2/Users/…", id="an e-mail in the place of an id"
        ),
        pytest.param("/scim/v2/Users/ada", "/scim/v2/Users/…", id="a userName in the place of an id"),
        pytest.param("/scim/v2/User/ada.lovelace/x", "/scim/v2/User/…/…", id="behind what is no address"),
        pytest.param("/scim/v2/People/ada@example.com", "/scim/v2/…/…", id="an e-mail anywhere"),
        pytest.param("/scim/v2/ada.lovelace", "/scim/v2/…", id="a userName in the place of a type"),
        pytest.param("/scim/ada.lovelace/7", "/scim/…/7", id="a userName in the place of a version"),
        pytest.param("/scim/v2//user/7/", "/scim/v2//user/7/", id="how an address was misspelled"),
        pytest.param(
            "/scim/v2/Users/01a20091-3007-75e3-b8b2-b1a35ebe52ec",
            "/scim/v2/Users/01a20091-3007-75e3-b8b2-b1a35ebe52ec",
            id="an id is what one looks for",
        ),
    ],
)
def test_the_access_log_tells_nobodys_name(path: str, told: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "identity_hub.request"):
        Client().get(path)
    (line,) = [record.msg for record in caplog.records if record.name == "identity_hub.request"]
    assert (line["path"], line["status"]) == (told, 401 if "Users" in path else 404)


@pytest.mark.parametrize(("method", "told"), [("GET", "GET"), ("ADA-LOVELACE", "…")])
def test_the_access_log_tells_no_invented_method(
    method: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "identity_hub.request"):
        Client().generic(method, "/scim/v2/Users")
    (line,) = [record.msg for record in caplog.records if record.name == "identity_hub.request"]
    assert isinstance(line, dict)
    assert line["method"] == told


@pytest.mark.parametrize(
    ("offered", "kept"),
    [
        pytest.param("abcDEF-12345678", True, id="a caller's own id is kept"),
        pytest.param("short", False, id="too short to be one"),
        pytest.param("x" * 65, False, id="too long to be one"),
        pytest.param("12345678 status=200", False, id="a forged log line"),
        pytest.param("", False, id="none"),
    ],
)
def test_every_answer_carries_a_request_id(client: Client, offered: str, kept: bool) -> None:
    answered = client.get("/healthz", headers={"x-request-id": offered})["X-Request-ID"]
    assert (answered == offered) is kept
    assert re.fullmatch(r"[A-Za-z0-9-]{8,64}", answered)
    assert current_request_id() == ""


def test_without_redis_the_cache_misses_and_never_fails() -> None:
    cache = ForgivingRedisCache(
        "redis://127.0.0.1:1/0",
        {"OPTIONS": {"socket_connect_timeout": 0.2}},
    )
    try:
        assert cache.get("key", "default") == "default"
        assert cache.get_many(["key"]) == {}
        assert cache.add("key", 1) is False
        assert cache.set("key", 1) is None
        assert cache.set_many({"key": 1}) == ["key"]
        assert cache.delete("key") is False
        assert "key" not in cache
    finally:
        ForgivingRedisCache.paused_until = 0.0
