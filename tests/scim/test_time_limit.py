"""A filter or an order that no index serves ends in time, and takes nothing with it."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from provisioning.models import Connection
from scim import queries, rates
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
    monkeypatch.setattr(queries, "SCAN_SECONDS", 0.001)
    assert error_of(idp.get("/Users", **query)) == (400, "tooMany")
    # What an index serves has no such limit, and the connection still works.
    assert idp.get("/Users", filter='userName eq "p7"').json()["totalResults"] == 1


def test_what_clients_invent_is_not_kept_prepared(idp: Idp) -> None:
    """Attack: a plan takes megabytes, and every shape of filter has its own."""
    idp.get("/Users", filter='title eq "x" or nickName eq "y"')
    before = _prepared()
    for n in range(1, 6):
        condition = " or ".join(f'title eq "{n}"' for n in range(n * 7))
        assert idp.get("/Users", filter=condition).status_code == 200
    assert _prepared() == before
    assert idp.get("/Users", filter='userName eq "p7"').status_code == 200
    assert idp.get("/Users", filter='userName eq "p8"').status_code == 200
    assert _prepared() > before


def _prepared() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        return int(cursor.fetchone()[0])


def test_a_token_without_permits_makes_the_database_do_nothing(idp: Idp) -> None:
    Connection.objects.update(requests_per_minute=1)
    assert idp.get("/Users", filter='userName eq "p7"').status_code == 200
    with CaptureQueriesContext(connection) as queries_:
        assert idp.get("/Users", filter=SCANNING).status_code == 429
    assert not [query["sql"] for query in queries_ if "provisioning_account" in query["sql"]]
    rates.forget()
