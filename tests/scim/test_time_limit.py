"""A filter or an order that no index serves ends in time, and takes nothing with it."""

import pytest

from scim import queries
from tests.scim import rows
from tests.scim.clients import Idp, error_of

pytestmark = pytest.mark.django_db

SCANNING = " or ".join(f'title co "{n}{n}"' for n in range(150))


@pytest.mark.parametrize(
    "query",
    [{"filter": SCANNING}, {"sortBy": "title", "filter": SCANNING}],
    ids=["a filter", "a filter and an order"],
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
