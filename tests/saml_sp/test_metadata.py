"""The life of an IdP's metadata: what is taken, what is refused, and what freezes a connection."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from django.urls import reverse
from lxml import etree
from time_machine import travel

from identity_hub.core.clock import now
from provisioning.decision.readiness import Item
from provisioning.decision.types import Actor
from provisioning.models import AuditRecord, Connection, Finding, OutboxMessage, Tenant
from provisioning.selectors.readiness import readiness
from provisioning.services import configuration, findings, setup
from provisioning.services import metadata as services
from provisioning.services.configuration import Invalid
from provisioning.services.metadata import Source, Taken
from saml_sp import metadata, tasks
from tests.identity_hub.core.test_certificates import UNREADABLE, pem_of
from tests.identity_hub.core.test_outbound import say, server
from tests.provisioning.cast import OPERATOR
from tests.provisioning.services.test_races import at_once

from .idp import DS, KeyPair, TestIdp, ending, key_pair, parse, sign, small_curve
from .parties import Browser, make_connection, make_tenant

OLD, NEW, NEWER = key_pair("corp"), key_pair("new"), key_pair("newer")
SHORT = key_pair("short", bits=1024)
SMALL = small_curve("small")
ENTITY = "https://idp.example/metadata"


def idp_with(*pairs: KeyPair, entity_id: str = ENTITY) -> TestIdp:
    """An IdP that publishes these and signs by the last."""
    return TestIdp(entity_id=entity_id, keys=pairs[-1], more_certificates=pairs[:-1])


def among_others(*documents: str, attributes: str = "") -> str:
    return (
        f'<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" {attributes}>'
        f"{''.join(documents)}</md:EntitiesDescriptor>"
    )


@dataclass
class Address:
    """A server on loopback that publishes one document, and what it was asked."""

    document: str = ""
    status: int = 200
    etag: str = ""
    asked: list[str | None] = field(default_factory=list)
    url: str = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        known = handler.headers["If-None-Match"]
        self.asked.append(known)
        if self.etag and known == self.etag:
            say(handler, 304)
        else:
            say(handler, self.status, self.document.encode(), **({"ETag": self.etag} if self.etag else {}))


@pytest.fixture
def address(idp: TestIdp) -> Iterator[Address]:
    published = Address(document=idp.metadata())
    with server(published.answer) as url:
        published.url = url
        yield published


@pytest.fixture
def followed(connection: Connection, address: Address) -> Connection:
    """The connection, from now on following its IdP's address."""
    return configuration.change_connection(
        connection=connection, changes={"metadata_url": address.url}, actor=OPERATOR, reason="As agreed"
    )


def loopback_tls(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate for 127.0.0.1 that nobody trusts until SSL_CERT_FILE names it."""
    private = serialization.load_pem_private_key(key_pair("server").key, password=None)
    assert isinstance(private, rsa.RSAPrivateKey)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(key_pair("server").key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    return context


def refresh(connection: Connection) -> Taken | None:
    connection.refresh_from_db()
    return metadata.refresh(connection, actor=tasks.SCHEDULE)


def problem_of(connection: Connection) -> str:
    connection.refresh_from_db()
    return connection.metadata_problem


def unreadable(what: str) -> KeyPair:
    return KeyPair(key=OLD.key, certificate=pem_of(UNREADABLE[what]).encode())


# What a refresh does.

REFRESHED: dict[str, tuple[str, Taken, str]] = {
    "the same document": (idp_with(OLD).metadata(), Taken.UNCHANGED, "active"),
    "a new ID, a new end and white space at the end": (
        idp_with(OLD).metadata('ID="_2" validUntil="2100-01-01T00:00:00Z"') + "\n",
        Taken.UNCHANGED,
        "active",
    ),
    "a second key beside the old one": (idp_with(NEW, OLD).metadata(), Taken.TAKEN, "active"),
    "another address to sign in at": (
        replace(idp_with(OLD), sso="https://idp.example/other").metadata(),
        Taken.TAKEN,
        "active",
    ),
    "the same key in a renewed certificate": (
        idp_with(ending("corp", now() + timedelta(days=900))).metadata(),
        Taken.TAKEN,
        "active",
    ),
    "the old key beside a certificate with a version that X.509 does not know": (
        idp_with(unreadable("a version that X.509 does not know"), OLD).metadata(),
        Taken.TAKEN,
        "active",
    ),
    "the old key beside a certificate with a subject that is no UTF-8": (
        idp_with(unreadable("a subject that is no UTF-8"), OLD).metadata(),
        Taken.TAKEN,
        "active",
    ),
    "the same IdP among others": (
        among_others(idp_with(OLD).metadata(), idp_with(NEW, entity_id="https://other.example").metadata()),
        Taken.UNCHANGED,
        "active",
    ),
    "another entityID with the same key": (
        idp_with(OLD, entity_id="https://evil.example").metadata(),
        Taken.FROZEN,
        "frozen",
    ),
    "a short key beside the old one": (idp_with(SHORT, OLD).metadata(), Taken.TAKEN, "active"),
    "a short key beside one that was not known": (idp_with(SHORT, NEW).metadata(), Taken.FROZEN, "frozen"),
    "only keys that were not known": (idp_with(NEW).metadata(), Taken.FROZEN, "frozen"),
    "only new keys, and the old one in a certificate that has ended": (
        idp_with(ending("corp", now() - timedelta(days=1)), NEW).metadata(),
        Taken.FROZEN,
        "frozen",
    ),
}


@pytest.mark.parametrize("what", REFRESHED)
def test_a_refresh_that_finds(followed: Connection, address: Address, what: str) -> None:
    address.document, outcome, status = REFRESHED[what]
    before = followed.config_version
    assert refresh(followed) is outcome
    followed.refresh_from_db()
    assert (followed.status, followed.metadata_problem) == (status, "")
    assert followed.metadata_checked_at is not None
    # A new client is built only where there is something new.
    assert followed.config_version == before + (outcome is Taken.TAKEN)
    assert bool(followed.proposed_metadata) == (outcome is Taken.FROZEN)
    if outcome is Taken.FROZEN:
        assert followed.idp_entity_id == ENTITY


REFUSED = {
    "no XML": ("hello", "not well-formed"),
    "another kind of document": ("<html/>", "no identity provider"),
    "no signing certificate": (
        idp_with(OLD).metadata().replace("signing", "encryption"),
        "no signing certificate",
    ),
    "only a key that is too short": (
        idp_with(SHORT).metadata(),
        "it has an RSA key of 1024 bits, of 2048 that are needed",
    ),
    "only a curve that is too small": (
        idp_with(SMALL).metadata(),
        "it has a curve of 192 bits, of 256 that are needed",
    ),
    "only certificates that cannot be read": (
        idp_with(unreadable("a subject that is no UTF-8"), unreadable("a version far beyond")).metadata(),
        "no signing certificate that can be used. Of its 2 signing certificates 2 cannot be read",
    ),
    "certificates that have all ended": (
        idp_with(ending("corp", now() - timedelta(days=1))).metadata(),
        "Every signing certificate in the IdP metadata has ended",
    ),
    "a document that is over": (
        idp_with(OLD).metadata('validUntil="2020-01-01T00:00:00Z"'),
        "was valid until 2020-01-01",
    ),
    "a collection that is over": (
        among_others(idp_with(OLD).metadata(), attributes='validUntil="2020-01-01T00:00:00Z"'),
        "was valid until 2020-01-01",
    ),
    "a collection without this IdP": (
        among_others(
            idp_with(OLD, entity_id="https://a.example").metadata(),
            idp_with(OLD, entity_id="https://b.example").metadata(),
        ),
        f"not one with the entityID {ENTITY}",
    ),
    "an IdP that is described twice": (
        idp_with(OLD)
        .metadata()
        .replace("</md:EntityDescriptor>", "<md:IDPSSODescriptor/></md:EntityDescriptor>"),
        "more than once",
    ),
    "far too much": (idp_with(OLD).metadata() + " " * 2 * 1024 * 1024, "larger than 2048 KiB"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refresh_keeps_the_old_metadata_and_says_why_when_it_finds(
    followed: Connection, address: Address, what: str
) -> None:
    address.document, sentence = REFUSED[what]
    assert refresh(followed) is None
    assert sentence in problem_of(followed)
    assert (followed.status, followed.idp_metadata) == ("active", idp_with(OLD).metadata())
    since = followed.metadata_failing_since
    refresh(followed)
    followed.refresh_from_db()
    assert followed.metadata_failing_since == since
    address.document = idp_with(OLD).metadata()
    assert refresh(followed) is Taken.UNCHANGED
    followed.refresh_from_db()
    assert (followed.metadata_problem, followed.metadata_failing_since) == ("", None)


def test_a_certificate_that_cannot_be_read_is_left_out_and_told_of(
    followed: Connection, address: Address, idp: TestIdp
) -> None:
    told = "Of its 2 signing certificates 1 cannot be read."
    for what in UNREADABLE:
        address.document = idp_with(unreadable(what), OLD).metadata()
        refresh(followed)
        followed.refresh_from_db()
        known = services.known_idp(followed)
        assert known is not None
        assert ([one.subject for one in known.certificates], known.left_out) == (["CN=corp"], (told,))
        assert Browser(connection=followed, idp=idp).sign_in().status_code == 302
    first = AuditRecord.objects.filter(reason="metadata:taken").latest("at")
    assert first.changes[0]["left_out"] == [told]
    judged = {one.item: one for one in readiness(followed, now())}
    assert judged[Item.CERTIFICATE].sentence == f"Good until 2119-12-08. {told}"


def test_a_short_key_that_was_taken_once_is_no_known_one(
    followed: Connection, address: Address, idp: TestIdp
) -> None:
    """Attack: it was factored, and vouches for metadata with the attacker's keys beside it."""
    Connection.objects.update(idp_metadata=idp_with(SHORT, OLD).metadata())
    address.document = idp_with(SHORT, NEW).metadata()
    assert refresh(followed) is Taken.FROZEN
    # Of a time at which only the short key was there, nothing is known by which another could be believed.
    services.reject(
        connection=followed, reason="Not ours", actor=OPERATOR, seen=services.proposal_digest(followed)
    )
    Connection.objects.update(idp_metadata=idp_with(SHORT).metadata())
    address.document = idp_with(SHORT, NEWER).metadata()
    assert refresh(followed) is Taken.FROZEN


def test_the_readiness_list_says_why_a_short_key_does_not_count(connection: Connection) -> None:
    Connection.objects.update(idp_metadata=idp_with(SHORT).metadata())
    connection.refresh_from_db()
    judged = {one.item: one for one in readiness(connection, now())}[Item.CERTIFICATE]
    assert judged.is_open
    assert "counts for nothing: it has an RSA key of 1024 bits" in judged.sentence


def test_what_has_not_changed_is_not_sent_again(followed: Connection, address: Address) -> None:
    address.etag = '"one"'
    assert [refresh(followed) for _ in range(3)] == [Taken.UNCHANGED] * 3
    assert address.asked == [None, '"one"', '"one"']
    address.etag, address.document = '"two"', idp_with(NEW, OLD).metadata()
    assert refresh(followed) is Taken.TAKEN
    assert refresh(followed) is Taken.UNCHANGED
    assert address.asked[3:] == ['"one"', '"two"']
    assert not AuditRecord.objects.filter(reason="metadata:taken").exclude(actor_kind="schedule").exists()


def test_what_was_refused_is_asked_for_in_full_again(followed: Connection, address: Address) -> None:
    address.etag, address.document = '"bad"', "no XML"
    assert [refresh(followed) for _ in range(2)] == [None, None]
    assert address.asked == [None, None]


def test_another_address_or_certificate_is_read_in_full(followed: Connection, address: Address) -> None:
    address.etag = '"one"'
    refresh(followed)
    for change in (
        {"metadata_url": address.url + "x"},
        {"metadata_signing_certificates": NEW.certificate.decode()},
    ):
        configuration.change_connection(
            connection=followed, changes=change, actor=OPERATOR, reason="As agreed"
        )
        refresh(followed)
    assert address.asked == [None, None, None]


def test_an_address_that_is_away_is_a_problem_and_no_more(followed: Connection, address: Address) -> None:
    address.status = 503
    assert refresh(followed) is None
    assert problem_of(followed) == "127.0.0.1 answered with status 503."
    assert followed.status == "active"


def test_production_reads_no_address_inside(followed: Connection, address: Address, settings: Any) -> None:
    settings.HUB_PRODUCTION = True
    assert refresh(followed) is None
    assert "https://" in problem_of(followed)
    Connection.objects.update(metadata_url=address.url.replace("http:", "https:"))
    assert refresh(followed) is None
    assert "private address" in problem_of(followed)
    assert address.asked == []


def test_it_is_read_over_tls_by_a_name_that_is_verified(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    published = Address(document=idp_with(NEW, OLD).metadata())
    with server(published.answer, tls=loopback_tls(tmp_path)) as url:
        connection = configuration.change_connection(
            connection=connection, changes={"metadata_url": url}, actor=OPERATOR, reason="As agreed"
        )
        assert refresh(connection) is None
        assert "TLS connection to 127.0.0.1 failed" in problem_of(connection)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.crt"))
        assert refresh(connection) is Taken.TAKEN


# What a refresh does to a draft: nobody signs in through it, and its test login shows the IdP of that day.

TESTED = {
    "another entityID": (idp_with(OLD, entity_id="https://other.example").metadata(), Taken.TAKEN, False),
    "only keys that were not known": (idp_with(NEW).metadata(), Taken.TAKEN, False),
    "a second key beside the old one": (idp_with(NEW, OLD).metadata(), Taken.TAKEN, True),
    "nothing new": (idp_with(OLD).metadata(), Taken.UNCHANGED, True),
}


def shown(connection: Connection) -> set[str]:
    """What of the readiness list a test login and its sign-out have met."""
    tested = (Item.MAPPING, Item.KEY, Item.SIGN_OUT)
    return {one.item.value for one in readiness(connection, now()) if one.item in tested and not one.is_open}


def try_a_login(connection: Connection) -> None:
    setup.note_test(
        connection=connection,
        actor=OPERATOR,
        passed=True,
        verdicts=dict.fromkeys(connection.required_attributes, "ok"),
        key="name-id",
    )
    setup.prove(connection=connection, item=Item.SIGN_OUT, actor=OPERATOR)
    assert shown(connection) == {"mapping", "key", "sign-out"}


@pytest.mark.parametrize("what", TESTED)
def test_a_refresh_of_a_draft_takes_what_it_finds_and_asks_for_another_test_where_that_may_be_another_idp(
    followed: Connection, address: Address, what: str
) -> None:
    Connection.objects.update(status="draft")
    try_a_login(followed)
    address.document, outcome, still = TESTED[what]
    assert refresh(followed) is outcome
    followed.refresh_from_db()
    assert (followed.status, followed.idp_metadata) == ("draft", address.document)
    assert shown(followed) == ({"mapping", "key", "sign-out"} if still else set())
    assert not Finding.objects.exists()
    try_a_login(followed)


def test_a_test_that_was_judged_by_the_metadata_before_counts_for_nothing(
    followed: Connection, address: Address
) -> None:
    Connection.objects.update(status="draft")
    as_read = Connection.objects.get()
    address.document = idp_with(NEW).metadata()
    assert refresh(followed) is Taken.TAKEN
    setup.note_test(connection=as_read, actor=OPERATOR, passed=True, verdicts={"email": "ok"}, key="name-id")
    setup.prove(connection=as_read, item=Item.SIGN_OUT, actor=OPERATOR)
    followed.refresh_from_db()
    assert shown(followed) == set()


def test_what_was_accepted_in_writing_stays_so_whatever_a_refresh_finds(
    followed: Connection, address: Address
) -> None:
    Connection.objects.update(status="draft")
    setup.accept(connection=followed, item=Item.KEY, reason="As agreed", actor=OPERATOR)
    address.document = idp_with(NEW).metadata()
    assert refresh(followed) is Taken.TAKEN
    followed.refresh_from_db()
    assert shown(followed) == {"key"}


def test_keys_that_somebody_has_compared_are_the_idps_that_was_tested(connection: Connection) -> None:
    try_a_login(connection)
    assert import_(connection, idp_with(NEW).metadata(), confirmed=True) is Taken.TAKEN
    connection.refresh_from_db()
    assert shown(connection) == {"mapping", "key", "sign-out"}


# What a person sees meanwhile.


def test_logins_by_the_old_and_by_the_new_key_pass_while_both_are_published(
    followed: Connection, address: Address, browser: Browser
) -> None:
    assert browser.sign_in().status_code == 302
    address.document = idp_with(OLD, NEW).metadata()
    assert refresh(followed) is Taken.TAKEN
    for pair in (OLD, NEW):
        browser.idp = idp_with(pair)
        assert browser.sign_in().status_code == 302
    address.document = idp_with(NEW).metadata()
    assert refresh(followed) is Taken.TAKEN
    assert browser.sign_in().status_code == 302
    browser.idp = idp_with(OLD)
    assert browser.sign_in().status_code == 403


def test_nobody_signs_in_while_it_is_frozen_and_sessions_stay(
    followed: Connection, address: Address, browser: Browser
) -> None:
    assert browser.sign_in().status_code == 302
    facts = browser.facts()
    address.document = idp_with(NEW).metadata()
    assert refresh(followed) is Taken.FROZEN
    login = browser.client.get(reverse("saml:login", args=[followed.pk]))
    assert (login.status_code, b"This sign-in is paused" in login.content) == (403, True)
    for signed_by in (OLD, NEW):
        assert browser.post(idp_with(signed_by).signed_assertion(facts)).status_code == 403
    assert browser.me().status_code == 200


def test_metadata_that_is_over_admits_nobody_in_a_process_that_knows_it_too(
    followed: Connection, address: Address, browser: Browser
) -> None:
    ends = (now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    address.document = idp_with(OLD).metadata(f'validUntil="{ends}"')
    refresh(followed)
    assert browser.sign_in().status_code == 302
    with travel(now() + timedelta(hours=2), tick=False):
        assert browser.client.get(reverse("saml:login", args=[followed.pk])).status_code == 403
        address.document = idp_with(OLD).metadata('validUntil="2100-01-01T00:00:00Z"')
        assert refresh(followed) is Taken.UNCHANGED
        assert browser.sign_in().status_code == 302


# Confirming and rejecting.


@pytest.fixture
def frozen(followed: Connection, address: Address) -> Connection:
    address.document, address.etag = idp_with(NEW).metadata(), '"new"'
    assert refresh(followed) is Taken.FROZEN
    followed.refresh_from_db()
    return followed


def seen(connection: Connection) -> str:
    return services.proposal_digest(connection)


def test_freezing_asks_once_and_shows_both_sides(frozen: Connection, address: Address) -> None:
    address.etag = ""
    assert [refresh(frozen) for _ in range(3)] == [Taken.FROZEN] * 3
    finding = Finding.objects.get()
    assert (finding.kind, finding.severity, finding.status) == ("connection:idp-replaced", "high", "open")
    assert finding.evidence["causes"] == ["all-keys"]
    subjects = [finding.evidence[side]["certificates"][0]["subject"] for side in ("before", "after")]
    assert subjects == ["CN=corp", "CN=new"]
    assert OutboxMessage.objects.filter(topic="finding.opened").count() == 1
    assert AuditRecord.objects.filter(reason="connection:frozen").count() == 1


def test_what_waits_stays_the_same_while_only_its_dates_are_new(frozen: Connection, address: Address) -> None:
    before, address.etag = seen(frozen), ""
    for hours in (1, 2):
        until = f'ID="_{hours}" validUntil="{now() + timedelta(days=hours):%Y-%m-%dT%H:%M:%SZ}"'
        address.document = idp_with(NEW).metadata(until)
        assert refresh(frozen) is Taken.FROZEN
    frozen.refresh_from_db()
    assert AuditRecord.objects.filter(reason="connection:frozen").count() == 1
    assert frozen.proposed_metadata == address.document
    services.confirm(connection=frozen, reason="Compared", actor=OPERATOR, seen=before)
    frozen.refresh_from_db()
    assert (frozen.status, frozen.idp_metadata) == ("active", address.document)


def test_confirming_takes_the_new_keys(frozen: Connection, browser: Browser) -> None:
    services.confirm(
        connection=frozen, reason="Asked the IdP's administrator", actor=OPERATOR, seen=seen(frozen)
    )
    assert (frozen.status, frozen.proposed_metadata) == ("active", "")
    assert Finding.objects.get().status == "approved"
    assert AuditRecord.objects.get(reason="metadata:confirmed").changes[0]["fields"] == ["certificates"]
    browser.idp = idp_with(NEW)
    assert browser.sign_in().status_code == 302


def test_rejecting_keeps_the_old_keys_and_is_remembered(
    frozen: Connection, browser: Browser, address: Address
) -> None:
    services.reject(connection=frozen, reason="Nobody there knows of it", actor=OPERATOR, seen=seen(frozen))
    assert (frozen.status, frozen.proposed_metadata) == ("active", "")
    assert Finding.objects.get().status == "rejected"
    assert browser.sign_in().status_code == 302
    for _ in range(2):
        assert refresh(frozen) is None
        assert "rejected on" in problem_of(frozen)
    assert (frozen.status, Finding.objects.count()) == ("active", 1)
    address.document = idp_with(NEWER).metadata()
    assert refresh(frozen) is Taken.FROZEN, "what is new again is asked about again"


@pytest.mark.parametrize(("approve", "key"), [(True, NEW), (False, OLD)], ids=["approving", "rejecting"])
def test_deciding_the_finding_decides_the_metadata(
    frozen: Connection, browser: Browser, approve: bool, key: KeyPair
) -> None:
    outcome = findings.decide(
        finding=Finding.objects.get(), approve=approve, reason="Looked", actor=OPERATOR, seen=seen(frozen)
    )
    assert outcome.accepted
    frozen.refresh_from_db()
    assert frozen.status == "active"
    browser.idp = idp_with(key)
    assert browser.sign_in().status_code == 302


def test_nobody_confirms_a_document_that_he_has_not_seen(frozen: Connection, address: Address) -> None:
    before = seen(frozen)
    address.document, address.etag = idp_with(NEWER).metadata(), '"newer"'
    assert refresh(frozen) is Taken.FROZEN
    for digest in (before, ""):
        for act in (services.confirm, services.reject):
            with pytest.raises(Invalid, match="Other metadata has come"):
                act(connection=frozen, reason="Fine", actor=OPERATOR, seen=digest)
        with pytest.raises(Invalid, match="Other metadata has come"):
            findings.decide(
                finding=Finding.objects.get(status="open"),
                approve=True,
                reason="Fine",
                actor=OPERATOR,
                seen=digest,
            )
    assert list(Finding.objects.order_by("opened_at").values_list("status", flat=True)) == [
        "obsolete",
        "open",
    ]
    frozen.refresh_from_db()
    services.confirm(connection=frozen, reason="Fine", actor=OPERATOR, seen=seen(frozen))
    assert frozen.idp_metadata == address.document


def test_an_old_document_that_comes_back_waits_for_the_decision_too(
    frozen: Connection, address: Address
) -> None:
    address.document, address.etag = idp_with(OLD).metadata(), ""
    assert refresh(frozen) is Taken.FROZEN
    frozen.refresh_from_db()
    assert (frozen.status, frozen.proposed_metadata) == ("frozen", idp_with(NEW).metadata())


def test_a_frozen_connection_becomes_active_only_by_a_decision(frozen: Connection) -> None:
    with pytest.raises(Invalid, match="confirm or reject"):
        setup.activate(connection=frozen, actor=OPERATOR, reason="As agreed")
    with pytest.raises(Invalid, match="first confirm or reject"):
        configuration.change_connection(
            connection=frozen,
            changes={"idp_metadata": idp_with(OLD).metadata()},
            actor=OPERATOR,
            reason="As agreed",
            new_keys_known=True,
        )


def test_what_was_disabled_meanwhile_stays_so(frozen: Connection) -> None:
    setup.disable(connection=frozen, reason="Until we know", actor=OPERATOR)
    with pytest.raises(Invalid, match="confirm or reject"):
        setup.activate(connection=frozen, actor=OPERATOR, reason="As agreed")
    services.reject(connection=frozen, reason="No", actor=OPERATOR, seen=seen(frozen))
    assert frozen.status == "disabled"


def test_a_proposal_whose_certificate_has_ended_meanwhile_cannot_be_confirmed(
    followed: Connection, address: Address
) -> None:
    address.document = idp_with(ending("new", now() + timedelta(days=1))).metadata()
    assert refresh(followed) is Taken.FROZEN
    with travel(now() + timedelta(days=2), tick=False), pytest.raises(Invalid, match="has ended"):
        services.confirm(connection=followed, reason="Fine", actor=OPERATOR, seen=seen(followed))


# What a person imports.


def import_(connection: Connection, document: str, **options: Any) -> Taken:
    read = metadata.from_bytes(document.encode(), options.get("certificates") or "", Source(kind="paste"))
    return metadata.take(connection, read, actor=OPERATOR, **{"reason": "As agreed"} | options)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        pytest.param(idp_with(NEW).metadata(), "None of the keys", id="only new keys"),
        pytest.param(
            idp_with(OLD, entity_id="https://x.example").metadata(), "another entityID", id="another IdP"
        ),
    ],
)
def test_an_import_that_replaces_the_idp_asks_instead_of_freezing(
    connection: Connection, document: str, sentence: str
) -> None:
    with pytest.raises(Invalid, match=sentence):
        import_(connection, document)
    with pytest.raises(Invalid, match=sentence):
        configuration.change_connection(
            connection=connection, changes={"idp_metadata": document}, actor=OPERATOR, reason="As agreed"
        )
    connection.refresh_from_db()
    assert connection.status == "active"
    assert import_(connection, document, confirmed=True, reason="New IdP") is Taken.TAKEN
    assert not Finding.objects.exists()


def test_a_draft_takes_whatever_is_imported(connection: Connection) -> None:
    Connection.objects.update(status="draft")
    assert import_(connection, idp_with(NEW, entity_id="https://new.example").metadata()) is Taken.TAKEN
    assert connection.idp_entity_id == "https://new.example"


@pytest.mark.parametrize(
    ("actor", "status"),
    [
        pytest.param(tasks.SCHEDULE, "draft", id="is a draft again, so that its readiness list is asked"),
        pytest.param(OPERATOR, "active", id="stays active on an operator's word"),
    ],
)
def test_a_connection_that_only_pushed_with_its_first_metadata(
    tenant: Tenant, actor: Actor, status: str
) -> None:
    pushes = make_connection(tenant, None, name="Pushes")
    read = metadata.from_bytes(idp_with(OLD).metadata().encode(), "", Source(kind="paste"))
    assert metadata.take(pushes, read, actor=actor, reason="As agreed") is Taken.TAKEN
    assert pushes.status == status


# The signature of a document.

FEDERATION, STRANGER = key_pair("federation"), key_pair("stranger")


def signed(document: str, by: KeyPair = FEDERATION, **options: Any) -> str:
    return sign(document, by, id="_root", **options)


def _wrapped() -> str:
    """A genuine document inside one that nobody signed, whose first IdP is the attacker's."""
    genuine = signed(idp_with(OLD).metadata('ID="_root"'))
    return among_others(idp_with(NEW, entity_id="https://evil.example").metadata(), genuine)


def _moved() -> str:
    """The genuine signature, over a genuine document kept inside, at the root of a forged one."""
    genuine = parse(signed(idp_with(OLD).metadata('ID="_root"')))
    forged = parse(idp_with(NEW).metadata('ID="_forged"'))
    signature = genuine.find(f"{{{DS}}}Signature")
    forged.insert(0, signature)
    forged.append(genuine)
    return str(etree.tostring(forged, encoding="unicode"))


def _same_id() -> str:
    """The genuine document kept inside under xml:id, at the root a forged one with the same ID."""
    genuine = parse(signed(idp_with(OLD).metadata('ID="_root"')))
    forged = parse(idp_with(NEW).metadata('ID="_root"'))
    forged.insert(0, genuine.find(f"{{{DS}}}Signature"))
    genuine.set("{http://www.w3.org/XML/1998/namespace}id", "_root")
    forged.append(genuine)
    return str(etree.tostring(forged, encoding="unicode"))


C = xmlsec.constants
SIGNED: dict[str, tuple[Callable[[], str], str]] = {
    "one that is not signed": (lambda: idp_with(OLD).metadata(), "not signed as a whole"),
    "one that somebody else signed": (
        lambda: signed(idp_with(OLD).metadata('ID="_root"'), STRANGER),
        "not signed by the certificate",
    ),
    "one that was changed after it was signed": (
        lambda: signed(idp_with(OLD).metadata('ID="_root"')).replace("idp.example/sso", "evil.example/sso"),
        "not signed by the certificate",
    ),
    "one signed with SHA-1": (
        lambda: signed(idp_with(OLD).metadata('ID="_root"'), signature=C.TransformRsaSha1),
        "saml:algorithm",
    ),
    "a signed document among others that are not": (_wrapped, "not signed as a whole"),
    "the signature of another element": (_moved, "saml:signature-reference"),
    "two elements with the ID that was signed": (_same_id, "does not say clearly"),
    "one with a DOCTYPE": (
        lambda: "<!DOCTYPE x>" + signed(idp_with(OLD).metadata('ID="_root"')),
        "does not say clearly",
    ),
}


@pytest.mark.parametrize("what", SIGNED)
def test_with_a_certificate_given_this_is_refused(followed: Connection, address: Address, what: str) -> None:
    configuration.change_connection(
        connection=followed,
        changes={"metadata_signing_certificates": FEDERATION.certificate.decode()},
        actor=OPERATOR,
        reason="As agreed",
    )
    make, sentence = SIGNED[what]
    address.document = make()
    assert refresh(followed) is None
    assert sentence in problem_of(followed)
    with pytest.raises(Invalid, match=sentence):
        import_(followed, address.document, certificates=FEDERATION.certificate.decode())


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: signed(idp_with(NEW, OLD).metadata('ID="_root"')), id="one IdP"),
        pytest.param(
            lambda: signed(
                among_others(
                    idp_with(NEW, entity_id="https://other.example").metadata(),
                    idp_with(NEW, OLD).metadata(),
                    attributes='ID="_root"',
                )
            ),
            id="the IdP among others",
        ),
    ],
)
@pytest.mark.parametrize(
    "trusted", [[FEDERATION], [STRANGER, FEDERATION]], ids=["its signer", "two signers, the second its"]
)
def test_a_document_that_is_signed_as_a_whole_is_taken(
    followed: Connection, address: Address, make: Callable[[], str], trusted: list[KeyPair]
) -> None:
    certificates = "\n".join(pair.certificate.decode() for pair in trusted)
    address.document = make()
    configuration.change_connection(
        connection=followed,
        changes={"metadata_signing_certificates": certificates},
        actor=OPERATOR,
        reason="As agreed",
    )
    assert refresh(followed) is Taken.TAKEN
    followed.refresh_from_db()
    assert followed.idp_entity_id == ENTITY
    assert "other.example" not in followed.idp_metadata


def test_a_certificate_that_is_none_is_no_setting(connection: Connection) -> None:
    unreadable = pem_of(UNREADABLE["a version that X.509 does not know"])
    for field_, value in (
        ("metadata_signing_certificates", "hello"),
        ("metadata_signing_certificates", NEW.certificate.decode() + unreadable),
        ("metadata_signing_certificates", key_pair("short", bits=1024).certificate.decode()),
        ("metadata_url", "file:///etc/passwd"),
    ):
        with pytest.raises(Invalid) as refused:
            configuration.change_connection(
                connection=connection, changes={field_: value}, actor=OPERATOR, reason="As agreed"
            )
        assert refused.value.field == field_


# The schedule.


def test_the_schedule_asks_each_address_and_one_that_fails_stops_no_other(
    followed: Connection, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_connection(
        make_tenant("other", "other.example"), idp_with(OLD), name="Other", metadata_url="http://127.0.0.1:1/"
    )
    draft, disabled = (
        make_connection(followed.tenant, idp_with(OLD), name=status, metadata_url=address.url, status=status)
        for status in ("draft", "disabled")
    )
    ordered: list[tuple[str, str]] = []
    monkeypatch.setattr(
        tasks.refresh_metadata, "apply_async", lambda arguments, **options: ordered.append(arguments)
    )
    tasks.refresh_all_metadata()
    assert set(ordered) == {(str(row.tenant_id), str(row.pk)) for row in (followed, other, draft)}
    address.document = idp_with(NEW, OLD).metadata()
    for arguments in [*ordered, (str(disabled.tenant_id), str(disabled.pk))]:
        tasks.refresh_metadata(*arguments)
    assert problem_of(other) != ""
    for row in (followed, draft):
        assert (problem_of(row), row.idp_metadata) == ("", address.document)
    assert (problem_of(disabled), disabled.idp_metadata) == ("", idp_with(OLD).metadata())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("document", "reason"),
    [
        pytest.param(idp_with(NEW).metadata(), "connection:frozen", id="freezes once"),
        pytest.param(idp_with(NEW, OLD).metadata(), "metadata:taken", id="is taken once"),
    ],
)
def test_what_several_workers_read_at_once(
    followed: Connection, address: Address, document: str, reason: str
) -> None:
    address.document = document
    at_once(*[lambda: metadata.refresh(Connection.objects.get(), actor=tasks.SCHEDULE)] * 4)
    assert AuditRecord.objects.filter(reason=reason).count() == 1
    assert Finding.objects.count() == (reason == "connection:frozen")


def test_a_worker_that_read_earlier_takes_nothing_back(followed: Connection) -> None:
    at = now()
    common = {
        "connection": followed,
        "actor": OPERATOR,
        "source": Source(kind="address"),
        "freezes": True,
        "reason": None,
    }
    newer, older = idp_with(OLD, NEW).metadata(), idp_with(OLD).metadata()
    assert services.offer_metadata(document=newer, at=at, **common) is Taken.TAKEN
    assert services.offer_metadata(document=older, at=at - timedelta(seconds=5), **common) is Taken.UNCHANGED
    assert followed.idp_metadata == newer
