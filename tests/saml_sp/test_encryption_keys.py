"""Each connection has keys of its own to encrypt for: nothing opens at another, and they change without a gap."""

import base64
from io import StringIO
from threading import Barrier, Thread
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from provisioning.models import AuditRecord, AuditValue, Connection, Tenant
from provisioning.services import sealed
from provisioning.services.invalid import Invalid
from saml_sp import encryption_keys
from saml_sp.models import EncryptionKey
from tests.provisioning.cast import OPERATOR

from .idp import TestIdp, key_pair
from .parties import Browser, certificate_of, make_connection, make_tenant
from .test_own_keys import published


def text_of(certificate: bytes) -> str:
    return base64.b64encode(load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)).decode()


def renewed(connection: Connection) -> EncryptionKey:
    seen = encryption_keys.in_use(connection)[0].number
    row = encryption_keys.renew(connection, seen=seen, actor=OPERATOR, reason="As agreed")
    connection.refresh_from_db()
    return row


def test_the_metadata_names_one_key_of_the_connection_and_goes_on_naming_it(browser: Browser) -> None:
    first = published(browser, "encryption")
    assert first == published(browser, "encryption") == [text_of(certificate_of(browser.connection))]
    assert first[0] not in published(browser, "signing")


def test_another_connection_has_another_key(browser: Browser, tenant: Tenant, idp: TestIdp) -> None:
    other = make_connection(tenant, TestIdp(entity_id="https://other.example", keys=idp.keys), name="Other")
    assert certificate_of(other) != certificate_of(browser.connection)
    answer = browser.post(browser.idp.encrypted(browser.facts(), certificate_of(other)))
    assert answer.status_code == 403


@pytest.mark.parametrize("which", ["older", "newer"])
def test_while_keys_change_what_is_encrypted_opens_that_is_for_the(browser: Browser, which: str) -> None:
    certificates = {"older": certificate_of(browser.connection)}
    # It has been read into this process before.
    facts = browser.facts()
    assert browser.post(browser.idp.encrypted(facts, certificates["older"])).status_code == 302
    certificates["newer"] = renewed(browser.connection).certificate.encode()
    assert published(browser, "encryption") == [text_of(certificates["newer"])]
    answer = browser.post(browser.idp.encrypted(browser.facts(), certificates[which]))
    assert (answer.status_code, answer.headers.get("Location")) == (302, "/me/")


def test_a_key_that_was_ended_opens_nothing_and_is_gone(browser: Browser) -> None:
    older = certificate_of(browser.connection)
    assert browser.post(browser.idp.encrypted(browser.facts(), older)).status_code == 302
    renewed(browser.connection)
    encryption_keys.end(browser.connection, number=1, actor=OPERATOR, reason="As agreed")
    assert browser.post(browser.idp.encrypted(browser.facts(), older)).status_code == 403
    row = EncryptionKey.objects.get(number=1)
    assert (row.sealed, row.ended_at is not None) == ("", True)


@pytest.mark.parametrize(
    "number", [pytest.param(2, id="the newest"), pytest.param(7, id="one of no such number")]
)
def test_what_cannot_be_ended_is(connection: Connection, number: int) -> None:
    certificate_of(connection)
    renewed(connection)
    with pytest.raises(Invalid, match="older"):
        encryption_keys.end(connection, number=number, actor=OPERATOR, reason="As agreed")


def test_the_second_of_two_clicks_makes_no_other_key(connection: Connection) -> None:
    certificate_of(connection)
    renewed(connection)
    with pytest.raises(Invalid, match="meanwhile"):
        encryption_keys.renew(connection, seen=1, actor=OPERATOR, reason="As agreed")
    with pytest.raises(Invalid, match="older one first"):
        encryption_keys.renew(connection, seen=2, actor=OPERATOR, reason="As agreed")
    assert EncryptionKey.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_processes_that_need_the_first_key_together_make_one() -> None:
    idp = TestIdp(entity_id="https://idp.example/metadata", keys=key_pair("corp"))
    connection = make_connection(make_tenant("corp", "corp.example"), idp)
    together, found = Barrier(2), []

    def need() -> None:
        together.wait()
        found.append(certificate_of(connection))
        database.close()

    threads = [Thread(target=need) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert EncryptionKey.objects.count() == 1


def test_only_the_first_encrypted_login_of_a_process_reads_the_key(
    browser: Browser, sp_certificate: bytes
) -> None:
    def asked(answer: str) -> int:
        with CaptureQueriesContext(database) as queries:
            assert browser.post(answer).status_code == 302
        return sum("saml_sp_encryptionkey" in query["sql"] for query in queries)

    assert asked(browser.idp.signed_assertion(browser.facts())) == 0
    assert asked(browser.idp.encrypted(browser.facts(), sp_certificate)) == 1
    assert asked(browser.idp.encrypted(browser.facts(), sp_certificate)) == 0


def test_the_private_key_is_sealed_for_its_row_and_by_the_first_of_the_keys(
    connection: Connection, settings: Any
) -> None:
    certificate_of(connection)
    row = EncryptionKey.objects.get()
    assert "PRIVATE KEY" not in row.sealed
    settings.CREDENTIAL_KEYS = ["n" * 32, *settings.CREDENTIAL_KEYS]
    assert sealed.reseal_everything() == (1, [])
    settings.CREDENTIAL_KEYS = ["n" * 32]
    (pem,) = encryption_keys.private_keys(connection)
    assert pem.startswith(b"-----BEGIN PRIVATE KEY")
    settings.CREDENTIAL_KEYS = ["m" * 32]
    with structlog.testing.capture_logs() as logs:
        assert encryption_keys.private_keys(connection) == ()
    assert [entry["event"] for entry in logs] == ["saml:encryption-key-closed"]
    assert sealed.reseal_everything() == (0, [row.pk])


def test_an_administrator_makes_a_new_key_and_ends_the_older(
    administrator: Client, connection: Connection
) -> None:
    page = reverse("admin:provisioning_connection_change", args=[connection.pk])
    assert "read for the first time" in administrator.get(page).content.decode()
    certificate_of(connection)
    new, end = (
        f"{page.removesuffix('change/')}new-encryption-key/",
        f"{page.removesuffix('change/')}end-encryption-key/",
    )
    assert administrator.get(end).status_code == 302
    said = {"reason": "The old one was copied", "seen": "1"}
    for _ in range(2):
        administrator.post(new, said)
    assert [row.number for row in encryption_keys.in_use(connection)] == [2, 1]
    shown = administrator.get(page).content.decode()
    assert "End the older one" in shown
    assert "PRIVATE" not in shown
    for _ in range(2):
        administrator.post(end, said)
    assert [row.number for row in encryption_keys.in_use(connection)] == [2]
    records = AuditRecord.objects.filter(reason__startswith="connection:encryption-key").order_by("pk")
    assert [record.reason.rpartition("-")[2] for record in records] == ["made", "ended"]
    assert AuditValue.objects.get(record_id=records[0].pk).values["reason"] == said["reason"]


def test_an_operator_does_the_same_by_command(connection: Connection) -> None:
    def run(*options: str) -> str:
        out = StringIO()
        call_command("encryption_key", "--connection", str(connection.pk), *options, stdout=out)
        return out.getvalue()

    assert "none yet" in run()
    certificate_of(connection)
    with pytest.raises(CommandError, match="reason"):
        run("--new")
    run("--new", "--reason", "As agreed")
    run("--end", "1", "--reason", "As agreed")
    assert "2" in run()
    assert [row.number for row in encryption_keys.in_use(connection)] == [2]
