"""`scim_log`: the provisioning log on a terminal."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from identity_hub.core.clock import now
from provisioning.request_log import Entry, note

from ..cast import House
from .conftest import Run


def asked(where: House, **more: Any) -> None:
    facts: dict[str, Any] = {
        "tenant_id": where.tenant.pk,
        "connection_id": where.connection.pk,
        "token_id": where.connection.pk,
        "digest_key": bytes(where.tenant.digest_key),
        "at": now(),
        "method": "POST",
        "action": "user.create",
        "status": 201,
        "milliseconds": 2,
    }
    note(Entry(**facts | more))


@pytest.fixture
def log(acme: House, globex: House) -> None:
    asked(acme, status=409, scim_type="uniqueness", keys=(("user_name", "ada@acme.example"),))
    asked(acme, method="PATCH", action="user.disable", status=200)
    asked(acme, at=now() - timedelta(days=3))
    asked(globex, status=400)


@pytest.mark.parametrize(
    ("arguments", "statuses"),
    [
        ((), [409, 200, 400]),
        (("--tenant", "acme"), [409, 200]),
        (("--refused",), [409, 400]),
        (("--person", "ADA@acme.example"), [409]),
        (("--person", "nobody"), []),
        (("--action", "user.disable"), [200]),
        (("--since", "7d", "--tenant", "acme"), [409, 200, 201]),
        (("--limit", "1"), [400]),
    ],
    ids=str,
)
def test_the_log_by_person_and_by_outcome(
    log: None, run: Run, arguments: tuple[str, ...], statuses: list[int]
) -> None:
    assert [row["status"] for row in run("scim_log", *arguments)["requests"]] == statuses


def test_the_log_for_a_person_who_reads(log: None, read: Callable[..., str]) -> None:
    told = read("scim_log", "--tenant", "acme")
    assert "Create user" in told
    assert "uniqueness" in told
    assert read("scim_log", "--person", "nobody") == "Nothing was asked for.\n"


@pytest.mark.parametrize(
    "arguments", [("--limit", "0"), ("--since", "soon"), ("--tenant", "nobody")], ids=str
)
def test_what_makes_no_sense_is_refused(log: None, fail: Run, arguments: tuple[str, ...]) -> None:
    assert fail("scim_log", *arguments)
