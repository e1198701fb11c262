"""An IdP that changes its entityID keeps its people, once a person has said that it is the same IdP."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client

from identity_hub.core.clock import now
from provisioning.decision.types import Intent
from provisioning.digests import keyed
from provisioning.models import Account, AuditRecord, Connection, Finding, Session, Tenant, Tombstone
from provisioning.services import metadata as services
from provisioning.services.metadata import Source
from provisioning.services.submission import submit
from saml_sp.tasks import SCHEDULE
from tests.provisioning.cast import House, pushed

from .idp import EMAIL, TestIdp
from .parties import Browser, make_connection
from .test_metadata import NEW
from .test_metadata_pages import admin, page_of

__all__ = ["admin"]

RENAMED = "https://login.example/idp"
SEEN = {"reason": "Seen on their page"}


@pytest.fixture
def renamed(idp: TestIdp) -> TestIdp:
    return replace(idp, entity_id=RENAMED, keys=NEW)


def freeze(connection: Connection, idp: TestIdp) -> None:
    services.offer_metadata(
        connection=connection,
        document=idp.metadata(),
        at=now(),
        actor=SCHEDULE,
        reason="As agreed",
        source=Source(kind="address"),
        freezes=True,
    )


def on_the_page(admin: Client, connection: Connection, idp: TestIdp, name_ids: str) -> None:
    freeze(connection, idp)
    given = {"seen": services.proposal_digest(connection), "name_ids": name_ids, **SEEN}
    assert admin.post(page_of(connection, "confirm-metadata"), given).status_code == 302


def by_hand(admin: Client, connection: Connection, idp: TestIdp, name_ids: str) -> None:
    given = {"idp_metadata": idp.metadata(), "new_keys_known": "on", "name_ids": name_ids, **SEEN}
    answer = admin.post(page_of(connection, "import-metadata"), given)
    assert answer.status_code == 302, answer.content


def by_command(admin: Client, connection: Connection, idp: TestIdp, name_ids: str) -> None:
    freeze(connection, idp)
    options = ["--new-name-ids"] if name_ids == "new" else []
    digest = services.proposal_digest(connection)
    call_command(
        "decide_metadata",
        *("--connection", str(connection.pk), "--confirm", digest, "--reason", "Seen", *options),
    )


def by_its_finding(admin: Client, connection: Connection, idp: TestIdp) -> None:
    freeze(connection, idp)
    page = f"/admin/provisioning/finding/{Finding.objects.get().pk}"
    assert "people keep their NameIDs" in admin.get(f"{page}/change/").content.decode()
    given = {"remedy": "take", "seen": services.proposal_digest(connection), **SEEN}
    assert admin.post(f"{page}/decide/", given).status_code == 302


Way = Callable[[Client, Connection, TestIdp, str], None]
WAYS = {"on its page": on_the_page, "by an import by hand": by_hand, "by command": by_command}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@ways
def test_people_keep_their_name_ids_when_a_new_entity_id_is_confirmed(
    browser: Browser, admin: Client, renamed: TestIdp, way: Way
) -> None:
    assert browser.sign_in().status_code == 302
    account = Account.objects.get()
    way(admin, browser.connection, renamed, "kept")
    later = Browser(connection=browser.connection, idp=renamed)
    assert later.sign_in().status_code == 302
    assert Account.objects.get().identity_id == account.identity_id
    assert [each.me().status_code for each in (browser, later)] == [200, 200]
    assert not Finding.objects.filter(status="open").exists()
    record = AuditRecord.objects.get(reason__in=["metadata:confirmed", "metadata:taken"])
    assert record.changes[0]["name_ids"] == {"are": "kept", "accounts": 1}

    path = f"/saml/{browser.connection.pk}/logout"
    xml = renamed.logout_request(
        destination=f"{settings.HUB_PUBLIC_URL}{path}", name_id="p-4711", at=now(), qualifier=RENAMED
    )
    assert Client().get(f"{path}?{renamed.signed_query(xml)}").status_code == 302
    assert [each.me().status_code for each in (browser, later)] == [401, 401]


def test_people_keep_their_name_ids_when_the_finding_is_approved(
    browser: Browser, admin: Client, renamed: TestIdp
) -> None:
    browser.sign_in()
    by_its_finding(admin, browser.connection, renamed)
    later = Browser(connection=browser.connection, idp=renamed)
    assert later.sign_in().status_code == 302
    assert Account.objects.get().subject_issuer == RENAMED


@ways
def test_people_are_recognised_by_their_names_when_its_name_ids_are_new(
    browser: Browser, admin: Client, renamed: TestIdp, way: Way
) -> None:
    Connection.objects.update(user_name_attribute="uid")
    browser.connection.refresh_from_db()
    ada = {"uid": ["ada"], "email": ["ada@corp.example"]}
    assert browser.sign_in(attributes=ada).status_code == 302
    account = Account.objects.get()
    way(admin, browser.connection, renamed, "new")
    assert Account.objects.get().subject_value == ""
    later = Browser(connection=browser.connection, idp=renamed)
    assert later.sign_in(name_id="q-1", attributes=ada).status_code == 302
    bound = Account.objects.get()
    assert (bound.identity_id, bound.subject_value) == (account.identity_id, "q-1")
    assert later.sign_in(name_id="p-4711", attributes=ada).status_code == 403, (
        "from now on, that one is somebody else"
    )


def waits(admin: Client, connection: Connection, idp: TestIdp) -> None:
    freeze(connection, idp)


def rejected(admin: Client, connection: Connection, idp: TestIdp) -> None:
    freeze(connection, idp)
    given = {"seen": services.proposal_digest(connection), **SEEN}
    assert admin.post(page_of(connection, "reject-metadata"), given).status_code == 302


def not_confirmed(admin: Client, connection: Connection, idp: TestIdp) -> None:
    answer = admin.post(page_of(connection, "import-metadata"), {"idp_metadata": idp.metadata(), **SEEN})
    assert "names another entityID" in answer.content.decode()


def taken_by_a_draft(admin: Client, connection: Connection, idp: TestIdp) -> None:
    Connection.objects.update(status="draft")
    connection.refresh_from_db()
    answer = admin.post(page_of(connection, "import-metadata"), {"idp_metadata": idp.metadata(), **SEEN})
    assert answer.status_code == 302


def only_other_keys(admin: Client, connection: Connection, idp: TestIdp) -> None:
    on_the_page(admin, connection, replace(idp, entity_id=connection.idp_entity_id), "new")


UNASKED = {
    "metadata that waits": waits,
    "metadata that is rejected": rejected,
    "an import without the confirmation": not_confirmed,
    "what a draft takes unasked": taken_by_a_draft,
    "other keys under the same entityID": only_other_keys,
}


@pytest.mark.parametrize("happens", UNASKED.values(), ids=UNASKED)
def test_nobody_s_name_id_moves_by(
    browser: Browser, admin: Client, renamed: TestIdp, happens: Callable[[Client, Connection, TestIdp], None]
) -> None:
    browser.sign_in()
    happens(admin, browser.connection, renamed)
    account = Account.objects.get()
    assert (account.subject_issuer, account.subject_value) == (browser.idp.entity_id, "p-4711")


def test_the_page_says_how_many_keep_their_name_ids(
    browser: Browser, admin: Client, renamed: TestIdp
) -> None:
    browser.sign_in()
    Browser(connection=browser.connection, idp=browser.idp).sign_in(
        name_id="eve@corp.example", name_id_format=EMAIL, attributes={"email": ["eve@corp.example"]}
    )
    freeze(browser.connection, renamed)
    page = admin.get(page_of(browser.connection, "confirm-metadata")).content.decode()
    assert "1 person keeps the same NameID, unless you say that they are new." in page
    assert "people are recognised by externalId or userName" in page
    assert "Its NameIDs" not in admin.get(page_of(browser.connection, "reject-metadata")).content.decode()


def test_another_connection_s_people_stay_where_they_are(
    browser: Browser, tenant: Tenant, admin: Client, renamed: TestIdp
) -> None:
    second = Browser(connection=make_connection(tenant, browser.idp, name="Second"), idp=browser.idp)
    browser.sign_in()
    second.sign_in(attributes={"email": ["eve@corp.example"]})
    on_the_page(admin, browser.connection, renamed, "kept")
    assert dict(Account.objects.values_list("connection_id", "subject_issuer")) == {
        browser.connection.pk: RENAMED,
        second.connection.pk: browser.idp.entity_id,
    }
    assert Session.objects.filter(connection_id=second.connection.pk).exists()


def test_who_is_bound_under_the_new_name_already_stays_so(
    browser: Browser, admin: Client, renamed: TestIdp
) -> None:
    """As after an IdP that went back to a name of earlier days."""
    browser.sign_in()
    other = Browser(connection=browser.connection, idp=browser.idp)
    other.sign_in(name_id="p-2", attributes={"email": ["eve@corp.example"]})
    Account.objects.filter(subject_value="p-2").update(subject_issuer=RENAMED, subject_value="p-4711")
    by_hand(admin, browser.connection, renamed, "kept")
    assert sorted(Account.objects.values_list("subject_issuer", "subject_value")) == [
        (browser.idp.entity_id, "p-4711"),
        (RENAMED, "p-4711"),
    ]
    assert AuditRecord.objects.get(reason="metadata:taken").changes[0]["name_ids"]["accounts"] == 0


def test_a_deleted_account_answers_to_its_name_id_under_the_new_entity_id(
    browser: Browser, admin: Client, renamed: TestIdp
) -> None:
    browser.sign_in()
    account = Account.objects.get()
    house = House(browser.connection.tenant, browser.connection, "")
    submit(pushed(house, Intent.DELETE, account_id=account.pk))
    by_hand(admin, browser.connection, renamed, "kept")
    wanted = keyed(
        bytes(browser.connection.tenant.digest_key), "subject", browser.connection.pk, f"{RENAMED}\0p-4711"
    )
    assert bytes(Tombstone.objects.get().subject_digest) == wanted
