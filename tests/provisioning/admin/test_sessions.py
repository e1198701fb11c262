"""Who is signed in, as an administrator sees and ends it: never by the key, and of one tenant."""

import re
from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.test import Client

from identity_hub.core.clock import now
from provisioning.models import AuditRecord, AuditValue, OpenSession, Session
from saml_sp.models import LoginAttempt

from ..cast import session_of
from .conftest import Enter
from .scene import Scene

LIST = "/admin/provisioning/opensession/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def page(session: Session, rest: str = "change/") -> str:
    return f"{LIST}{session.handle}/{rest}"


def shown(client: Client, **question: str) -> list[str]:
    """The handles on the list."""
    return [row.pk for row in client.get(LIST, question).context["cl"].result_list]


def test_the_list_says_who_and_where_and_until_when(admin: Client, ours: Scene) -> None:
    at = now()
    session = session_of(
        ours.held,
        connection_id=ours.where.connection.pk,
        user_agent=FIREFOX,
        network="192.0.2.0",
        seen_at=at,
        ends_unused_at=at + timedelta(minutes=30),
    )
    text = admin.get(LIST).content.decode()
    for word in (
        "Hal Held",
        "Firefox on Linux",
        ours.where.connection.name,
        "192.0.2.0",
        "Administrator sign-in",
    ):
        assert word in text, word
    text = admin.get(page(session)).content.decode()
    for word in ("Hal Held", FIREFOX, f"{at:%Y-%m-%d %H:%M}", f"/identity/{ours.held.pk}/change/"):
        assert word in text, word


def test_the_key_is_on_no_page_and_leads_to_none(admin: Client, root: Client, ours: Scene) -> None:
    keys = set(Session.objects.values_list("session_key", flat=True))
    addresses = [
        LIST,
        f"/admin/provisioning/identity/{ours.active.pk}/change/",
        *(page(ours.session, rest) for rest in ("change/", "end/", "end-all/", "history/")),
    ]
    for client in (admin, root):
        for address in addresses:
            answer = client.get(address)
            said = answer.content.decode() + answer.headers.get("Location", "")
            assert not any(key in said for key in keys), address
    for rest in ("change/", "end/", "end-all/"):
        assert root.get(f"{LIST}{ours.session.session_key}/{rest}").status_code == 404
    assert admin.get(LIST, {"session_key__startswith": "a"}).status_code == 400
    assert not hasattr(OpenSession, "session_key")


def test_what_is_over_is_not_shown(admin: Client, ours: Scene) -> None:
    at = now()
    over = session_of(ours.held, expire_date=at - timedelta(seconds=1))
    unused = session_of(ours.held, seen_at=at - timedelta(hours=1), ends_unused_at=at - timedelta(minutes=30))
    used = session_of(ours.held, seen_at=at, ends_unused_at=at + timedelta(minutes=30))
    handles = shown(admin)
    assert used.handle in handles
    assert not {over.handle, unused.handle} & set(handles)
    assert admin.get(page(over)).status_code == 404


def test_nobodys_session_is_not_shown(root: Client, ours: Scene) -> None:
    anonymous = Session.objects.create(
        session_key="f" * 32, session_data="", expire_date=now() + timedelta(hours=1)
    )
    assert anonymous.handle not in shown(root)


@pytest.mark.parametrize(
    "question",
    [
        pytest.param({"q": "hal@acme.example"}, id="by e-mail"),
        pytest.param({"q": "Hal Held"}, id="by name"),
        pytest.param({"q": "firefox"}, id="by browser"),
        pytest.param({"q": "192.0.2.77"}, id="by an address of the network"),
        pytest.param({"source": "connection"}, id="by connection"),
        pytest.param({"identity_id": "held"}, id="from the identity's page"),
    ],
)
def test_it_is_found(admin: Client, ours: Scene, question: dict[str, str]) -> None:
    Session.objects.filter(pk=ours.session.pk).update(connection_id=None)
    session = session_of(
        ours.held, connection_id=ours.where.connection.pk, user_agent=FIREFOX, network="192.0.2.0"
    )
    ids = {"connection": str(ours.where.connection.pk), "held": str(ours.held.pk)}
    assert shown(admin, **{name: ids.get(value, value) for name, value in question.items()}) == [
        session.handle
    ]


@pytest.mark.parametrize("text", ["nobody", "10.0.0.1", "a\x00b", "not.an.address"])
def test_what_means_nothing_finds_nothing(admin: Client, ours: Scene, text: str) -> None:
    answer = admin.get(LIST, {"q": text})
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        assert not answer.context["cl"].result_list


def test_one_ends_with_a_reason(admin: Client, ours: Scene) -> None:
    other = session_of(ours.active)
    assert admin.get(page(ours.session, "end/")).status_code == 200
    assert admin.post(page(ours.session, "end/"), {"reason": ""}).status_code == 200
    assert Session.objects.filter(pk=ours.session.pk).exists()
    assert admin.post(page(ours.session, "end/"), {"reason": "Lost phone"})["Location"] == LIST
    assert not Session.objects.filter(pk=ours.session.pk).exists()
    assert Session.objects.filter(pk=other.pk).exists()
    record = AuditRecord.objects.get(reason="identity:session-ended")
    assert (record.identity_id, record.actor_id) == (ours.active.pk, str(ours.administrator.pk))
    assert AuditValue.objects.get(pk=record.pk).values == {"reason": "Lost phone"}


def calm(answer: HttpResponse, address: str) -> tuple[int, str]:
    """The page without what is new on every page, and without what it repeats of its address."""
    text = answer.content.decode().replace(address, "")
    return answer.status_code, re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", text)


@pytest.mark.parametrize("rest", ["change/", "end/", "end-all/", "history/"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_one_that_has_ended_reads_like_one_that_never_was(
    admin: Client, ours: Scene, theirs: Scene, method: str, rest: str
) -> None:
    """Attack: a handle is tried, to learn whether another organisation has a session by it."""
    over = session_of(ours.held)
    Session.objects.filter(pk=over.pk).delete()
    keys = (over.handle, theirs.session.handle, "0" * 32, "garbage")
    addresses = [f"{LIST}{key}/{rest}" for key in keys]
    ended, *others = [
        calm(getattr(admin, method)(address, {"reason": "Again"}), address) for address in addresses
    ]
    assert ended[0] == 404
    assert all(word in ended[1] for word in ("No such session is open any more", f'href="{LIST}"'))
    assert others == [ended] * 3
    assert not AuditRecord.objects.filter(reason__contains="session").exists()


def test_one_that_has_ended_leads_back_to_its_person(admin: Client, ours: Scene, theirs: Scene) -> None:
    of_identity = f"/admin/provisioning/identity/{ours.active.pk}/"
    addresses = [
        f"{of_identity}end-session/{handle}/" for handle in (ours.session.handle, theirs.session.handle)
    ]
    assert (
        "The session has ended."
        in admin.post(addresses[0], {"reason": "Lost phone"}, follow=True).content.decode()
    )
    ended, foreign = (calm(admin.post(each, {"reason": "Again"}), each) for each in addresses)
    assert ended == foreign
    assert ended[0] == 404
    assert all(
        word in ended[1] for word in ("No such session is open any more", f'href="{of_identity}change/"')
    )
    assert Session.objects.filter(pk=theirs.session.pk).exists()


def test_all_of_a_person_end_and_are_gone_from_the_list(admin: Client, enter: Enter, ours: Scene) -> None:
    browser = enter(ours.staff)
    assert browser.get("/admin/").status_code == 200
    (handle,) = shown(admin, identity_id=str(ours.staff.pk))
    assert admin.post(f"{LIST}{handle}/end-all/", {"reason": "Left"}).status_code == 302
    assert browser.get("/admin/").status_code == 302
    assert shown(admin, identity_id=str(ours.staff.pk)) == []
    assert AuditRecord.objects.get(reason="identity:sessions-ended").identity_id == ours.staff.pk


def test_another_tenants_administrator_sees_and_ends_nothing(
    admin: Client, ours: Scene, theirs: Scene
) -> None:
    assert theirs.session.handle not in shown(admin)
    for rest in ("change/", "end/", "end-all/", "history/"):
        assert admin.get(page(theirs.session, rest)).status_code == 404
        assert admin.post(page(theirs.session, rest), {"reason": "x"}).status_code in (403, 404)
    # One's own person, and another's session.
    mixed = f"/admin/provisioning/identity/{ours.active.pk}/end-session/{theirs.session.handle}/"
    assert admin.post(mixed, {"reason": "x"}).status_code == 404
    assert Session.objects.filter(pk=theirs.session.pk).exists()


def test_a_superusers_session_is_not_a_tenants(admin: Client, root: Client, ours: Scene) -> None:
    of_root = Session.objects.filter(tenant_id=None, identity__isnull=False).get()
    assert of_root.handle not in shown(admin)
    assert of_root.handle in shown(root)
    assert root.get(page(of_root)).status_code == 200


def test_it_is_found_from_the_identity_and_from_the_login(admin: Client, ours: Scene) -> None:
    wanted = f"{LIST}?identity_id={ours.active.pk}"
    text = admin.get(f"/admin/provisioning/identity/{ours.active.pk}/change/").content.decode()
    assert wanted in text
    assert page(ours.session) in text
    LoginAttempt.objects.filter(pk=ours.attempt.pk).update(identity_id=ours.active.pk)
    text = admin.get(f"/admin/saml_sp/loginattempt/{ours.attempt.pk}/change/").content.decode()
    assert wanted in text
    assert "1 open" in text


def test_the_list_costs_the_same_for_one_and_for_many(
    admin: Client, ours: Scene, django_assert_max_num_queries: object
) -> None:
    for _ in range(40):
        session_of(ours.active, connection_id=ours.where.connection.pk)
    with django_assert_max_num_queries(14):  # type: ignore[operator]
        admin.get(LIST)
