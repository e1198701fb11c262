"""What an administrator does about an IdP's metadata on the connection's page."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from provisioning.models import AuditRecord, AuditValue, Connection, Finding, Identity, Tenant
from provisioning.services import configuration
from provisioning.services.metadata import proposal_digest
from saml_sp import metadata
from saml_sp.tasks import SCHEDULE
from tests.identity_hub.core.test_outbound import server
from tests.provisioning.cast import OPERATOR

from .idp import KeyPair, TestIdp, key_pair
from .parties import make_connection, make_tenant
from .test_metadata import FEDERATION, NEW, NEWER, OLD, Address, idp_with, signed


@pytest.fixture
def admin(tenant: Tenant) -> Client:
    return _administrator(tenant)


def _administrator(tenant: Tenant) -> Client:
    client = Client()
    client.force_login(
        Identity.objects.create(
            local=True, login_name=f"admin-{tenant.slug}", tenant=tenant, is_tenant_administrator=True
        )
    )
    return client


@pytest.fixture
def address(idp: TestIdp) -> Iterator[Address]:
    published = Address(document=idp.metadata())
    with server(published.answer) as url:
        published.url = url
        yield published


def page_of(connection: Connection, act: str = "change") -> str:
    return f"/admin/provisioning/connection/{connection.pk}/{act}/"


def document_of(*pairs: KeyPair, **options: Any) -> str:
    return idp_with(*pairs, **options).metadata()


GIVEN = {
    "a paste": lambda document, address: {"idp_metadata": document},
    "a file": lambda document, address: {"file": SimpleUploadedFile("idp.xml", document.encode())},
    "an address": lambda document, address: {"metadata_url": address.url, "follow": "on"},
    "an address that is read once": lambda document, address: {"metadata_url": address.url},
}


@pytest.mark.parametrize("how", GIVEN)
def test_metadata_is_imported_by(admin: Client, connection: Connection, address: Address, how: str) -> None:
    address.document = document_of(NEW, OLD)
    answer = admin.post(
        page_of(connection, "import-metadata"), {"reason": "x"} | GIVEN[how](address.document, address)
    )
    assert answer.status_code == 302, answer.context["form"].errors
    connection.refresh_from_db()
    assert connection.idp_metadata == address.document
    assert connection.metadata_url == (address.url if how == "an address" else "")
    page = admin.get(page_of(connection)).content.decode()
    assert "CN=new" in page
    assert "CN=corp" in page
    record = AuditRecord.objects.get(reason="metadata:taken")
    assert (record.actor_kind, record.changes[0]["source"]) == (
        "identity",
        "address" if "address" in how else how.removeprefix("a "),
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        pytest.param({}, "Please paste the document", id="nothing"),
        pytest.param({"idp_metadata": "hello"}, "not well-formed", id="no XML"),
        pytest.param({"metadata_url": "file:///etc/passwd"}, "must begin with https://", id="no web address"),
        pytest.param({"idp_metadata": document_of(NEW)}, "None of the keys", id="only new keys"),
        pytest.param(
            {"idp_metadata": document_of(NEW), "new_keys_known": "on", "reason": " "},
            "This field is required",
            id="only new keys, confirmed without a reason",
        ),
        pytest.param(
            {
                "idp_metadata": document_of(OLD),
                "metadata_signing_certificates": FEDERATION.certificate.decode(),
            },
            "not signed as a whole",
            id="no signature where a certificate is given",
        ),
        pytest.param(
            {"idp_metadata": document_of(OLD), "metadata_signing_certificates": "hello"},
            "no certificate in PEM form",
            id="a certificate that is none",
        ),
    ],
)
def test_an_import_that_cannot_be_says_why_and_changes_nothing(
    admin: Client, connection: Connection, given: dict[str, str], sentence: str
) -> None:
    answer = admin.post(page_of(connection, "import-metadata"), {"reason": "x"} | given)
    assert answer.status_code == 200
    assert sentence in answer.content.decode()
    connection.refresh_from_db()
    assert connection.idp_metadata == document_of(OLD)


def test_new_keys_are_taken_when_somebody_knows_them(admin: Client, connection: Connection) -> None:
    given = {"idp_metadata": document_of(NEW), "new_keys_known": "on", "reason": "Seen on their page"}
    assert admin.post(page_of(connection, "import-metadata"), given).status_code == 302
    connection.refresh_from_db()
    assert (connection.status, connection.idp_metadata) == ("active", document_of(NEW))
    record = AuditRecord.objects.get(reason="metadata:taken")
    assert AuditValue.objects.get(record_id=record.pk).values == {"reason": "Seen on their page"}


def test_a_signed_document_is_imported_with_its_certificate(admin: Client, connection: Connection) -> None:
    given = {
        "idp_metadata": signed(idp_with(NEW, OLD).metadata('ID="_root"')),
        "metadata_signing_certificates": FEDERATION.certificate.decode(),
        "reason": "x",
    }
    assert admin.post(page_of(connection, "import-metadata"), given).status_code == 302
    connection.refresh_from_db()
    assert "BEGIN CERTIFICATE" in connection.metadata_signing_certificates
    assert "asked for" in admin.get(page_of(connection)).content.decode()


@pytest.fixture
def followed(connection: Connection, address: Address) -> Connection:
    return configuration.change_connection(
        connection=connection, changes={"metadata_url": address.url}, actor=OPERATOR, reason="As agreed"
    )


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        pytest.param(document_of(OLD), "Nothing has changed", id="nothing new"),
        pytest.param(document_of(NEW, OLD), "The new metadata is in use", id="one key more"),
        pytest.param(document_of(NEW), "The connection is frozen", id="only new keys"),
        pytest.param("hello", "Nothing was taken. The IdP metadata is not well-formed", id="nothing of use"),
    ],
)
def test_fetching_now_says_what_came_of_it(
    admin: Client, followed: Connection, address: Address, document: str, sentence: str
) -> None:
    address.document = document
    answer = admin.post(page_of(followed, "fetch-metadata"), follow=True)
    assert sentence in answer.content.decode()
    assert admin.get(page_of(followed, "fetch-metadata")).status_code == 405


@pytest.fixture
def frozen(followed: Connection, address: Address) -> Connection:
    address.document = document_of(NEW, entity_id="https://evil.example")
    metadata.refresh(followed, actor=SCHEDULE)
    followed.refresh_from_db()
    return followed


def test_what_changed_stands_side_by_side(admin: Client, frozen: Connection) -> None:
    page = admin.get(page_of(frozen)).content.decode()
    waits = page[page.index("New metadata waits for a decision") :]
    for told in (
        "another entityID",
        "https://idp.example/metadata",
        "https://evil.example",
        "CN=corp",
        "CN=new",
    ):
        assert told in waits
    finding = Finding.objects.get()
    assert (
        "Take the new metadata"
        in admin.get(f"/admin/provisioning/finding/{finding.pk}/change/").content.decode()
    )


@pytest.mark.parametrize(
    ("act", "entity_id"),
    [("confirm-metadata", "https://evil.example"), ("reject-metadata", "https://idp.example/metadata")],
)
def test_the_decision_needs_a_reason_and_what_was_seen(
    admin: Client, frozen: Connection, address: Address, act: str, entity_id: str
) -> None:
    question = admin.get(page_of(frozen, act))
    assert key_pair("new") is NEW
    assert "CN=new" in question.content.decode()
    seen = question.context["form"].initial["seen"]
    assert admin.post(page_of(frozen, act), {"reason": "", "seen": seen}).status_code == 200
    for unseen in ({"seen": "0" * 16}, {"seen": ""}, {}):
        late = admin.post(page_of(frozen, act), {"reason": "Fine", **unseen})
        assert "Other metadata has come since you looked" in late.content.decode()
        frozen.refresh_from_db()
        assert frozen.status == "frozen"
    assert admin.post(page_of(frozen, act), {"reason": "Asked them", "seen": seen}).status_code == 302
    frozen.refresh_from_db()
    assert (frozen.status, frozen.idp_entity_id) == ("active", entity_id)
    assert admin.get(page_of(frozen, act)).status_code == 302


@pytest.mark.parametrize("act", ["confirm-metadata", "reject-metadata"])
def test_a_form_that_came_too_late_shows_the_new_document_and_can_be_sent_again(
    admin: Client, frozen: Connection, address: Address, act: str
) -> None:
    seen = admin.get(page_of(frozen, act)).context["form"].initial["seen"]
    address.document = document_of(NEWER, entity_id="https://evil.example")
    metadata.refresh(frozen, actor=SCHEDULE)
    late = admin.post(page_of(frozen, act), {"reason": "Asked them", "seen": seen})
    assert ("CN=newer" in late.content.decode(), "CN=new<" in late.content.decode()) == (True, False)
    shown = {name: late.context["form"][name].value() for name in ("reason", "seen")}
    assert shown["reason"] == "Asked them"
    assert admin.post(page_of(frozen, act), shown).status_code == 302
    frozen.refresh_from_db()
    assert frozen.status == "active"


def test_the_page_of_the_finding_decides_only_about_what_it_showed(
    admin: Client, frozen: Connection, address: Address
) -> None:
    page = f"/admin/provisioning/finding/{Finding.objects.get().pk}"
    seen = admin.get(f"{page}/change/").context["decision"].initial["seen"]
    for unseen in ("", "0" * 16):
        answer = {"remedy": "take", "reason": "Fine", "seen": unseen}
        told = admin.post(f"{page}/decide/", answer, follow=True)
        assert "Other metadata has come since you looked" in told.content.decode()
    admin.post(f"{page}/decide/", {"remedy": "take", "reason": "Fine", "seen": seen})
    frozen.refresh_from_db()
    assert frozen.status == "active"


def test_the_finding_that_can_no_longer_be_approved_says_so(
    admin: Client, frozen: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    Connection.objects.update(proposed_metadata=frozen.proposed_metadata.replace("X509Certificate", "X"))
    frozen.refresh_from_db()
    finding = Finding.objects.get()
    answer = admin.post(
        f"/admin/provisioning/finding/{finding.pk}/decide/",
        {"remedy": "take", "reason": "Fine", "seen": proposal_digest(frozen)},
        follow=True,
    )
    assert "Nothing was decided" in answer.content.decode()
    assert Finding.objects.get().status == "open"


@pytest.mark.parametrize("act", ["import-metadata", "fetch-metadata", "confirm-metadata", "reject-metadata"])
def test_another_tenants_administrator_finds_nothing_there(frozen: Connection, act: str) -> None:
    other = make_tenant("globex", "globex.example")
    make_connection(other, idp_with(OLD))
    stranger = _administrator(other)
    for answer in (stranger.get(page_of(frozen, act)), stranger.post(page_of(frozen, act), {"reason": "x"})):
        assert answer.status_code == 404
    frozen.refresh_from_db()
    assert frozen.status == "frozen"
