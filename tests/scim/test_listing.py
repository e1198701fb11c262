"""The hub is a SCIM service provider with cursors, so one of its connections can be listed into another."""

from functools import partial

import pytest
from pytest_django.live_server_helper import LiveServer

from provisioning.models import RosterRow
from provisioning.services import pulls, roster_sources
from provisioning.sources.wire import Wire
from tests.provisioning.cast import OPERATOR, House, extend, house, push, user

PEOPLE = 405


@pytest.fixture
def theirs(transactional_db: None) -> House:
    where = house("globex")
    for number in range(PEOPLE):
        push(where, user(f"person{number}@globex.example", f"key-{number}", title=f"Adviser {number}"))
    return where


@pytest.mark.parametrize(
    "chosen", ["", 'userName sw "person1"'], ids=["everybody", "those whom a filter chooses"]
)
def test_a_real_server_is_listed_page_by_page(live_server: LiveServer, theirs: House, chosen: str) -> None:
    ours = extend(theirs.tenant, "Ours")
    source = roster_sources.keep_source(
        connection=ours.connection,
        actor=OPERATOR,
        reason="As agreed",
        fields={
            "kind": "scim",
            "base_address": f"{live_server.url}/scim/v2",
            "chosen": chosen,
            "mapping": {
                "external_id": "externalId",
                "user_name": "userName",
                "active": "active",
                "title": "title",
            },
        },
        secret=theirs.token,
    )
    seen: list[int] = []
    roster = pulls.pull(
        source=source,
        actor=OPERATOR,
        make_wire=partial(Wire, wait=lambda seconds: pytest.fail(f"waited {seconds} s")),
        progress=seen.append,
    )
    wanted = {f"key-{n}" for n in range(PEOPLE) if not chosen or str(n).startswith("1")}
    assert (roster.status, roster.note, roster.row_count) == ("complete", "", len(wanted))
    assert seen == ([200, 400, 405] if not chosen else [len(wanted)])
    rows = RosterRow.objects.filter(roster_id=roster.pk)
    assert set(rows.values_list("external_id", flat=True)) == wanted
    assert roster.fields == ["external_id", "user_name", "active", "title"]
