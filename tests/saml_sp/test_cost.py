"""How many statements a login costs, whoever signs in."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from tests.provisioning.cast import House, push, user

from .parties import Browser

_ENDS = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")


def _known(browser: Browser) -> None:
    assert browser.sign_in(name_id="ext-1").status_code == 302


def _pushed(browser: Browser) -> None:
    connection = browser.connection
    push(House(connection.tenant, connection, ""), user("ada@corp.example", "ext-1"))


LOGINS: dict[str, tuple[tuple[Callable[[Browser], None], ...], int]] = {
    # connection, request; consumed, locks, a number in the audit, policy, account by its keys; tombstones; identity,
    # account, holds; last login, audit, still enabled; session, attempt, COMMIT. What a semicolon parts, waits.
    "of a known person": ((_pushed, _known), 16),
    # The account binds its subject; so the times of the login are two statements.
    "that binds": ((_pushed,), 17),
    # Nobody to look up more about, but who might be the same person; account and identity are new.
    "that makes an account": ((), 16),
}


@pytest.mark.parametrize(
    ("before", "statements"), LOGINS.values(), ids=[f"a login {name}" for name in LOGINS]
)
def test_a_login_costs_so_many_statements(
    browser: Browser, before: tuple[Callable[[Browser], None], ...], statements: int
) -> None:
    for act in before:
        act(browser)
    message = browser.idp.signed_assertion(browser.facts(name_id="ext-1"))
    with CaptureQueriesContext(database) as captured:
        assert browser.post(message).status_code == 302
    asked: list[Any] = [query["sql"] for query in captured if not query["sql"].startswith(_ENDS)]
    assert len(asked) == statements, "\n".join(" ".join(statement.split())[:100] for statement in asked)
