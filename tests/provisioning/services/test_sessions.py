"""Sessions: whose they are, how they begin, and how every way of being out ends them at the next request."""

from datetime import timedelta
from functools import partial

import pytest
from django.contrib.auth import get_user
from django.contrib.sessions.backends.base import SessionBase
from django.test import Client, RequestFactory

from identity_hub.core.clock import now
from provisioning.decision.reasons import Act
from provisioning.decision.types import HoldKind, Intent
from provisioning.models import AuditRecord, Identity, OpenSession, Session
from provisioning.models.sessions import handle_of
from provisioning.services import configuration, people, retention, sessions, submit
from provisioning.sessions import SessionStore

from ..cast import OPERATOR, House, asserted, push, pushed, sign_in, user
from .test_races import while_it_is_open

pytestmark = pytest.mark.django_db


def begin(where: House, name_id: str = "p-1", **options: object) -> SessionBase:
    outcome = submit(asserted(where, name_id, email=f"{name_id}@{where.domain}"))
    request = RequestFactory(headers={"User-Agent": "Test"}).get("/")
    request.session = SessionStore()
    assert sessions.open(
        request,
        connection=where.connection,
        identity_id=outcome.identity_id,
        account_id=outcome.account_id,
        **options,
    )
    return request.session


def whose(session: SessionBase) -> object:
    request = RequestFactory().get("/")
    request.session = SessionStore(session.session_key)
    return get_user(request)


def test_a_session_knows_its_identity_connection_and_device(acme: House) -> None:
    session = begin(acme)
    row = Session.objects.get(pk=session.session_key)
    assert (row.tenant_id, row.connection_id, row.user_agent) == (acme.tenant.pk, acme.connection.pk, "Test")
    assert OpenSession.objects.get().pk == row.handle == handle_of(row.session_key)
    assert row.identity == whose(session)


def test_a_session_that_lies_unused_is_not_open_any_more(acme: House) -> None:
    acme.connection.session_idle_minutes = 30
    session = begin(acme)
    row = Session.objects.get(pk=session.session_key)
    assert row.ends_unused_at - row.seen_at == timedelta(minutes=30)
    assert [open.pk for open in OpenSession.objects.all()] == [row.handle]
    Session.objects.update(ends_unused_at=now() - timedelta(seconds=1))
    assert not OpenSession.objects.exists()
    assert retention.trim_sessions(at=now()) == 1


@pytest.mark.django_db(transaction=True)
def test_a_session_that_two_end_at_once_ends_once(acme: House) -> None:
    begin(acme)
    shown = OpenSession.objects.get()
    end = partial(people.end_open_session, session=shown, actor=OPERATOR, reason="Lost phone")
    assert while_it_is_open(end, end) is False
    assert AuditRecord.objects.filter(reason=Act.SESSION_ENDED).count() == 1


def test_a_session_without_an_idle_limit_says_nothing_of_its_use(acme: House) -> None:
    row = Session.objects.get(pk=begin(acme).session_key)
    assert (row.seen_at, row.ends_unused_at) == (None, None)
    assert OpenSession.objects.get().pk == row.handle


def test_a_session_knows_its_network_and_not_its_address(acme: House) -> None:
    assert Session.objects.get(pk=begin(acme).session_key).network == "127.0.0.0"


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        pytest.param("Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", "Firefox on Linux", id="Firefox"),
        pytest.param(
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/138.0 Safari/537.36 Edg/138.0",
            "Edge on Windows",
            id="Edge says Chrome and Safari too",
        ),
        pytest.param(
            "Mozilla/5.0 (iPhone; like Mac OS X) Version/18 Safari/604.1", "Safari on iPhone", id="iPhone"
        ),
        pytest.param("curl/8", "Unknown device", id="a program"),
        pytest.param("", "Unknown device", id="nothing"),
    ],
)
def test_a_device_is_told_in_a_few_words(user_agent: str, device: str) -> None:
    assert OpenSession(user_agent=user_agent).device == device


def test_a_session_lasts_no_longer_than_the_idp_says(acme: House) -> None:
    session = begin(acme, not_on_or_after=now() + timedelta(minutes=10))
    assert Session.objects.get(pk=session.session_key).expire_date <= now() + timedelta(minutes=10)


def test_a_hold_ends_every_session_and_lifting_it_brings_none_back(acme: House) -> None:
    session = begin(acme)
    identity = Identity.objects.get()
    people.place_hold(identity=identity, kind=HoldKind.ADMIN, reason="gone", actor=OPERATOR)
    assert not whose(session).is_authenticated
    people.lift_hold(identity=identity, kind=HoldKind.ADMIN, reason="back", actor=OPERATOR)
    assert not whose(session).is_authenticated


def test_ending_sessions_leaves_the_person_enabled(acme: House) -> None:
    session = begin(acme)
    people.end_sessions(identity=Identity.objects.get(), reason="lost phone", actor=OPERATOR)
    assert not whose(session).is_authenticated
    assert sign_in(acme, "p-1", email="p-1@acme.example").accepted


def test_no_session_begins_for_somebody_who_was_disabled_meanwhile(acme: House) -> None:
    created = push(acme, user("ada@acme.example", "e1"))
    submit(pushed(acme, Intent.UPDATE, user("ada@acme.example", "e1", active=False), created.account_id))
    request = RequestFactory().get("/")
    request.session = SessionStore()
    assert not sessions.open(
        request,
        connection=acme.connection,
        identity_id=created.identity_id,
        account_id=created.account_id,
    )
    assert not Session.objects.exists()


def test_a_local_sign_in_is_on_record(acme: House, client: Client) -> None:
    configuration.create_local_identity(
        login_name="root",
        password="a long enough password",
        superuser=True,
        actor=OPERATOR,
        reason="As agreed",
    )
    client.post("/admin/login/", {"username": "root", "password": "wrong"})
    assert not AuditRecord.objects.filter(reason="identity:local-signed-in").exists()
    client.post(
        "/admin/login/",
        {"username": "root", "password": "a long enough password"},
        headers={"User-Agent": "Browser"},
    )
    record = AuditRecord.objects.get(reason="identity:local-signed-in")
    assert record.actor_id == str(Identity.objects.get(login_name="root").pk)
    assert Session.objects.get().user_agent == "Browser"
    assert Identity.objects.get(login_name="root").last_login == record.at
