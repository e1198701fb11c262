"""A filter or an order that no index serves ends in time, and takes nothing with it."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext

from identity_hub.core import allowance
from provisioning import sql
from provisioning.models import Connection
from scim import patience
from tests.scim import rows
from tests.scim.clients import Idp, error_of

pytestmark = pytest.mark.django_db

SCANNING = " or ".join(f'title co "{n}{n}"' for n in range(150))


@pytest.mark.parametrize(
    "query",
    [
        {"filter": SCANNING},
        {"sortBy": "title", "filter": SCANNING},
        {"filter": f'userName ge "" and ({SCANNING})'},
    ],
    ids=["a filter", "a filter and an order", "a filter of which an index serves a term that says nothing"],
)
def test_a_scan_that_takes_too_long_is_refused(
    idp: Idp, query: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 7644 3.12: `tooMany` where "the specified filter yields many more results than the server is willing
    to calculate or process"."""
    rows.accounts(
        rows.account(idp.connection, {"userName": f"p{n}", "title": f"title {n}"}) for n in range(2000)
    )
    monkeypatch.setattr(patience, "SCAN_SECONDS", 0.001)
    assert error_of(idp.get("/Users", **query)) == (400, "tooMany")
    # What an index serves has no such limit, and the connection still works.
    assert idp.get("/Users", filter='userName eq "p7"').json()["totalResults"] == 1


SHARED: dict[str, tuple[Callable[[Idp], HttpResponse], int]] = {
    "a page and its count": (lambda idp: idp.get("/Users", filter='userName co "p"', count=1), 2),
    "the members of a page of groups": (lambda idp: idp.get("/Groups", filter='displayName co "s"'), 2),
    "every type of a search": (lambda idp: idp.post("/.search", {"filter": "id pr", "count": 1}), 4),
    "every operation of a Bulk": (
        lambda idp: idp.post(
            "/Bulk",
            {
                "Operations": [
                    {
                        "method": "PATCH",
                        "path": f"/Groups/{group['id']}",
                        "data": [{"op": "remove", "path": 'members[display eq "p7"]'}],
                    }
                    for group in idp.get("/Groups").json()["Resources"]
                ]
            },
        ),
        2,
    ),
}


@pytest.mark.parametrize(("request_", "statements"), SHARED.values(), ids=SHARED)
def test_all_statements_of_a_request_share_one_limit(
    idp: Idp, request_: Callable[[Idp], HttpResponse], statements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [{"value": idp.person(f"p{n}")["id"]} for n in range(3)]
    for name in ("staff", "crew, its"):
        idp.group(name, [one["value"] for one in people])
    seconds = count(step=2)
    monkeypatch.setattr(patience, "monotonic", lambda: next(seconds))
    limits: list[str] = []
    rows_of = sql.rows

    def told(statement: str, parameters: Any = (), **more: Any) -> Any:
        if "statement_timeout" in statement:
            limits.extend(parameters)
        return rows_of(statement, parameters, **more)

    monkeypatch.setattr(sql, "rows", told)
    answer = request_(idp)
    left = ["5000ms", "3000ms", "1000ms"]
    assert limits == left[:statements]
    if statements > len(left):
        assert error_of(answer) == (400, "tooMany")
    else:
        assert answer.status_code == 200


def test_what_comes_behind_a_scan_has_no_limit(idp: Idp) -> None:
    group = idp.group("staff", [idp.person("p7")["id"]])
    with transaction.atomic():
        before = _limit()
        assert idp.get("/Users", filter='userName co "p"').json()["totalResults"] == 1
        assert idp.patch(f"/Groups/{group['id']}", {"op": "remove", "path": "members[display pr]"})
        assert _limit() == before


def _limit() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return str(cursor.fetchone()[0])


def test_what_clients_invent_is_not_kept_prepared(idp: Idp) -> None:
    """Attack: a plan takes megabytes, and every shape of filter has its own."""
    idp.get("/Users", filter='title eq "x" or nickName eq "y"')
    before = _prepared()
    for n in range(1, 6):
        condition = " or ".join(f'title eq "{n}"' for n in range(n * 7))
        assert idp.get("/Users", filter=condition).status_code == 200
    assert _prepared().keys() <= before.keys()
    before = _prepared()
    assert idp.get("/Users", filter='userName eq "p7"').status_code == 200
    assert idp.get("/Users", filter='userName eq "p8"').status_code == 200
    assert [s for s, uses in _prepared().items() if "user_name_key" in s and uses == before.get(s, 0) + 2]


def _prepared() -> dict[str, int]:
    """What the connection keeps prepared, and how often each was used."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement, generic_plans + custom_plans FROM pg_prepared_statements")
        return dict(cursor.fetchall())


@pytest.mark.usefixtures("minute")
def test_a_token_without_permits_makes_the_database_do_nothing(idp: Idp) -> None:
    Connection.objects.update(requests_per_minute=1)
    assert idp.get("/Users", filter='userName eq "p7"').status_code == 200
    with CaptureQueriesContext(connection) as queries_:
        assert idp.get("/Users", filter=SCANNING).status_code == 429
    assert not [query["sql"] for query in queries_ if "provisioning_account" in query["sql"]]
    allowance.forget()
