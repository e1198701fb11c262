"""The timeline of one person: every source in one list, in order, narrowed and in pages."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from time_machine import travel

from identity_hub.core.clock import now
from provisioning import request_log
from provisioning.decision.types import GroupObservation, HoldKind, Intent
from provisioning.models import DirectoryGroup, Identity, Roster, RosterRow
from provisioning.selectors import story
from provisioning.services import merging, people, submit
from provisioning.services.groups import submit_group

from .admin.scene import group_of
from .cast import OPERATOR, House, extend, push, pushed, session_of, sign_in, user

pytestmark = pytest.mark.django_db

ADA = "ada@acme.example"


def identity(outcome: Any) -> Identity:
    return Identity.objects.get(pk=outcome.identity_id)


def told(of: Identity, **asked: Any) -> list[str]:
    return [entry.reason for entry in story.page(of, **asked).entries]


def move(where: House, group: DirectoryGroup, **members: Any) -> None:
    submit_group(
        GroupObservation(
            intent=Intent.UPDATE,
            tenant_id=where.tenant.pk,
            connection_id=where.connection.pk,
            at=now(),
            actor=OPERATOR,
            group_id=group.pk,
            **members,
        )
    )


def roster(where: House, *people: tuple[str, str, bool]) -> Roster:
    row = Roster.objects.create(
        tenant=where.tenant,
        connection=where.connection,
        source="csv",
        status="complete",
        as_of=now(),
        requested_by="command:tests",
    )
    for line, (name, key, active) in enumerate(people, 1):
        RosterRow.objects.create(
            tenant_id=where.tenant.pk,
            roster_id=row.pk,
            line=line,
            user_name=name,
            user_name_key=name.lower(),
            external_id=key,
            active=active,
            fingerprint=b"",
        )
    return row


def refused_request(where: House, number: int = 1) -> None:
    request_log.note(
        request_log.Entry(
            tenant_id=where.tenant.pk,
            connection_id=where.connection.pk,
            token_id=where.connection.tokens.first().pk,
            digest_key=bytes(where.tenant.digest_key),
            at=now(),
            milliseconds=1.0,
            request_id=f"request-refused-{number:04d}",
            method="PATCH",
            action="user.update",
            status=400,
            scim_type="invalidValue",
            detail="A value is not of its type.",
            keys=(("user_name", ADA),),
        )
    )


@pytest.fixture
def ada(acme: House) -> Identity:
    """A person to whom everything has happened."""
    created = push(acme, user(ADA, "e1"))
    sign_in(acme, ADA, email=ADA, format="unspecified")
    group = group_of(acme, "Engineers", [created.account_id])
    move(acme, group, remove=(created.account_id,))
    refused_request(acme)
    submit(pushed(acme, Intent.UPDATE, user(ADA, "e1", active=False), created.account_id))
    sign_in(acme, ADA, email=ADA, format="unspecified")
    roster(acme, (ADA, "e1", False))
    row = identity(created)
    people.place_hold(identity=row, kind=HoldKind.ADMIN, reason="Asked by HR", actor=OPERATOR)
    other = push(extend(acme.tenant, "Okta"), user("adal@okta.example", "o1"))
    merging.merge(winner=row, loser=identity(other), reason="One person", actor=OPERATOR)
    return row


def test_every_source_is_in_one_list_the_newest_first(ada: Identity) -> None:
    page = story.page(ada)
    assert [entry.at for entry in page.entries] == sorted((e.at for e in page.entries), reverse=True)
    assert page.older is None
    reasons = [entry.reason for entry in page.entries]
    assert reasons[-1] == "account:created"
    assert {
        "identity:merged",
        "identity:held",
        "roster:inactive",
        "login:identity-held",
        "account:disabled",
        "400 invalidValue",
        "group:updated",
        "group:created",
        "login:account-bound",
    } <= set(reasons)
    sentences = {entry.sentence for entry in page.entries}
    assert "Put into the group Engineers." in sentences
    assert "Taken out of the group Engineers." in sentences
    assert "Asked by HR" in {entry.said for entry in page.entries}


FILTERS = [
    pytest.param({"source": "saml"}, {"login:account-bound", "login:identity-held"}, id="what logins did"),
    pytest.param({"kind": "refused"}, {"login:identity-held", "400 invalidValue"}, id="what was refused"),
    pytest.param({"kind": "hold"}, {"account:disabled", "identity:held"}, id="holds"),
    pytest.param({"kind": "group"}, {"group:created", "group:updated"}, id="groups"),
    pytest.param({"kind": "roster"}, {"roster:inactive", "roster:missing"}, id="rosters and runs"),
    pytest.param({"kind": "link"}, {"identity:merged"}, id="links and merges"),
    pytest.param(
        {"source": "scim", "kind": "push"},
        {"account:created", "account:disabled", "400 invalidValue"},
        id="pushes",
    ),
    pytest.param({"source": "admin", "kind": "hold"}, {"identity:held"}, id="holds by administrators"),
    pytest.param({"source": "saml", "kind": "group"}, set(), id="what cannot be"),
]


@pytest.mark.parametrize(("asked", "reasons"), FILTERS)
def test_one_source_or_kind_alone(
    ada: Identity, acme: House, asked: dict[str, str], reasons: set[str]
) -> None:
    okta = ada.accounts.exclude(connection=acme.connection).get().connection
    roster(House(acme.tenant, okta, ""), ("somebody@okta.example", "o9", True))
    assert set(told(ada, **asked)) == reasons


def test_whoever_ended_is_told_of_it_under_the_old_id(ada: Identity) -> None:
    loser = Identity.objects.get(merged_into=ada)
    assert told(loser) == ["identity:merged-into", "account:created"]


def test_links_lead_to_where_it_came_from(ada: Identity, acme: House) -> None:
    links = {(entry.reason, link.page) for entry in story.page(ada).entries for link in entry.links}
    assert {
        ("account:created", "account"),
        ("account:created", "auditrecord"),
        ("roster:inactive", "roster"),
        ("group:updated", "directorygroup"),
        ("400 invalidValue", "scimrequest-row"),
        ("identity:merged", "identity"),
    } <= links


def test_a_finding_is_told_when_it_was_opened(acme: House) -> None:
    login = sign_in(acme, "p-1", email=ADA)
    push(acme, user(ADA, "e1"))
    assert "account:weak-match" in told(identity(login), kind="finding")
    (finding,) = [e for e in story.page(identity(login)).entries if e.reason == "account:weak-match"]
    assert [link.page for link in finding.links] == ["finding"]


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_pages_lose_nothing_and_tell_nothing_twice(ada: Identity, limit: int) -> None:
    whole = [(e.at, e.reason, e.rank) for e in story.page(ada).entries]
    gathered, before = [], None
    for _ in range(len(whole)):
        page = story.page(ada, before=before, limit=limit)
        gathered += [(e.at, e.reason, e.rank) for e in page.entries]
        before = page.older
        if before is None:
            break
    assert gathered == whole


def test_every_way_in_which_sessions_end_is_of_that_kind(acme: House) -> None:
    row = identity(push(acme, user(ADA, "e1")))
    kept, _ = session_of(row), session_of(row)
    people.end_other_sessions(identity=row, session_key=kept.pk)
    people.end_session(session=kept, actor=OPERATOR, reason="Lost phone")
    people.end_sessions(identity=row, reason="Lost phone", actor=OPERATOR)
    people.place_hold(identity=row, kind=HoldKind.ADMIN, reason="Asked by HR", actor=OPERATOR)
    assert told(row, kind="session") == [
        "identity:held",
        "identity:sessions-ended",
        "identity:session-ended",
        "identity:other-sessions-ended",
    ]


def test_however_much_happened_in_one_moment_is_told(acme: House) -> None:
    created = push(acme, user(ADA, "e1"))
    with travel(now() + timedelta(minutes=1), tick=False):
        for number in range(story.AT_ONCE * 2):
            group_of(acme, f"Group {number}", [created.account_id])
    with travel(now() + timedelta(minutes=2), tick=False):
        people.end_sessions(identity=identity(created), reason="Lost phone", actor=OPERATOR)
    first = story.page(identity(created))
    assert [entry.reason for entry in first.entries] == [
        "identity:sessions-ended",
        *["group:created"] * (story.AT_ONCE * 2),
    ]
    assert told(identity(created), before=first.older) == ["account:created"]


def test_more_events_cost_no_more_statements(acme: House, ada: Identity) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            story.page(ada)
        return len(queries)

    few = statements()
    account = ada.accounts.get(connection=acme.connection)
    for number in range(8):
        active = bool(number % 2)
        submit(pushed(acme, Intent.UPDATE, user(ADA, "e1", active=active), account.pk))
        sign_in(acme, ADA, email=ADA, format="unspecified")
        refused_request(acme, number + 2)
        group_of(acme, f"Group {number}", [account.pk])
        roster(acme, (ADA, "e1", active))
    assert statements() == few
    assert few <= 16


def test_nobody_else_is_told_of(acme: House, globex: House, ada: Identity) -> None:
    other = push(acme, user("bob@acme.example", "e2"))
    stranger = push(globex, user(ADA, "e1"))
    group_of(globex, "Engineers", [stranger.account_id])
    assert set(told(identity(other))) == {"account:created", "roster:missing"}
    assert told(identity(stranger)) == ["group:created", "account:created"]


def test_what_happened_before_somebody_asked_is_all_there_is(ada: Identity) -> None:
    assert told(ada, before=now() - timedelta(days=1)) == []
