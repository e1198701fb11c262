"""Logins that have to succeed, whatever a real IdP signs, encrypts and names."""

from datetime import timedelta
from typing import Any

import pytest
import xmlsec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate
from django.db import connection
from django.test.utils import CaptureQueriesContext
from time_machine import travel

from identity_hub.core.clock import now
from identity_hub.core.ids import new_id
from provisioning.decision.types import Actor, Channel, Intent, Observation, Profile
from provisioning.models import Account, Connection, Identity, Session
from provisioning.services import configuration, submit
from provisioning.sessions import SessionStore
from saml_sp import client
from saml_sp.models import LoginAttempt
from tests.provisioning.cast import OPERATOR

from .idp import (
    EMAIL,
    PERSISTENT,
    SAML,
    TRANSIENT,
    UNSPECIFIED,
    TestIdp,
    assertion_xml,
    encrypt,
    key_pair,
    response_xml,
    sign,
    stamp,
)
from .parties import Browser, make_connection

C = xmlsec.constants
SESSIONS_WRITTEN = 'UPDATE "provisioning_session"'

SIGNED = {
    "the assertion": lambda idp, facts, cert: idp.signed_assertion(facts),
    "the Response": lambda idp, facts, cert: idp.signed_response(facts),
    "both": lambda idp, facts, cert: idp.signed_both(facts),
    "the assertion, by RSA with SHA-512": lambda idp, facts, cert: idp.signed_assertion(
        facts, signature=C.TransformRsaSha512, digest=C.TransformSha512
    ),
    "the assertion, without KeyInfo": lambda idp, facts, cert: idp.signed_assertion(facts, key_info=False),
    "the assertion, encrypted": lambda idp, facts, cert: idp.encrypted(facts, cert),
    "the assertion, encrypted with AES-128-CBC": lambda idp, facts, cert: idp.encrypted(
        facts, cert, cipher=C.TransformAes128Cbc
    ),
    "the Response around an encrypted assertion": lambda idp, facts, cert: idp.encrypted_in_signed_response(
        facts, cert
    ),
}


@pytest.mark.parametrize("how", SIGNED, ids=lambda how: f"signed: {how}")
def test_a_first_login_makes_an_account(browser: Browser, sp_certificate: bytes, how: str) -> None:
    answer = browser.post(SIGNED[how](browser.idp, browser.facts(), sp_certificate))
    assert answer.status_code == 302, LoginAttempt.objects.values_list("reason", "detail")
    assert answer["Location"] == "/me/"
    me = browser.me().json()
    assert me["userName"] == "p-4711"
    assert me["tenant"] == "corp"
    assert me["connection"]["name"] == "Test IdP"
    assert me["groups"] == []
    attempt = LoginAttempt.objects.get()
    assert (attempt.outcome, attempt.reason) == ("admitted", "login:account-created")
    assert Identity.objects.get().email == "ada@corp.example"


ATTRIBUTE_STYLES: dict[str, dict[str, list[str]]] = {
    "Okta and Google": {"email": ["ada@corp.example"], "firstName": ["Ada"], "lastName": ["Lovelace"]},
    "Entra and ADFS": {
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress": ["ada@corp.example"],
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname": ["Ada"],
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname": ["Lovelace"],
    },
    "Shibboleth": {
        "urn:oid:0.9.2342.19200300.100.1.3": ["ada@corp.example"],
        "urn:oid:2.5.4.42": ["Ada"],
        "urn:oid:2.5.4.4": ["Lovelace"],
    },
    "Keycloak": {
        "urn:oid:1.2.840.113549.1.9.1": ["ada@corp.example"],
        "givenName": ["Ada"],
        "surname": ["Lovelace"],
    },
    "SimpleSAMLphp": {"mail": ["ada@corp.example"], "givenName": ["Ada"], "sn": ["Lovelace"]},
    "Ping": {"emailAddress": ["Ada@corp.example"], "given_name": ["Ada"], "family_name": ["Lovelace"]},
}


@pytest.mark.parametrize("style", ATTRIBUTE_STYLES)
def test_attributes_arrive_in_the_style_of(browser: Browser, style: str) -> None:
    assert browser.sign_in(attributes=ATTRIBUTE_STYLES[style]).status_code == 302
    identity = Identity.objects.get()
    assert identity.email.lower() == "ada@corp.example"
    assert (identity.given_name, identity.family_name) == ("Ada", "Lovelace")


def fingerprint(name: str) -> str:
    return load_pem_x509_certificate(key_pair(name).certificate).fingerprint(SHA256()).hex()


def test_the_email_may_come_as_the_name_id_only(browser: Browser) -> None:
    assert browser.sign_in(name_id="ada@corp.example", name_id_format=EMAIL, attributes={}).status_code == 302
    identity = Identity.objects.get()
    assert (identity.user_name, identity.email) == ("ada@corp.example", "ada@corp.example")


def test_a_connection_may_name_its_attributes(browser: Browser) -> None:
    Connection.objects.update(
        attribute_map={"email": ["kontakt"], "given_name": ["vorname"]}, user_name_attribute="uid"
    )
    said = {
        "kontakt": ["ada@corp.example"],
        "vorname": ["Ada"],
        "uid": ["alovelace"],
        "email": ["x@other.example"],
    }
    assert (
        browser.sign_in(attributes=said, name_id="upn@corp.example", name_id_format=EMAIL).status_code == 302
    )
    identity = Identity.objects.get()
    assert (identity.user_name, identity.email, identity.given_name) == (
        "alovelace",
        "ada@corp.example",
        "Ada",
    )


@pytest.mark.parametrize(
    ("attribute_map", "friendly_name"),
    [
        pytest.param(
            {"email": ["work_mail"]}, "", id="whatever attribute the connection reads the e-mail from"
        ),
        pytest.param({"email": ["work_mail"]}, "mail", id="by its friendly name"),
        pytest.param({}, "", id="by its name"),
    ],
)
def test_a_name_or_a_key_never_comes_from_an_email_attribute(
    browser: Browser, attribute_map: dict[str, list[str]], friendly_name: str
) -> None:
    """Pre-hijack: an e-mail is often self-editable, so a stranger names himself after the next to be hired."""
    attribute = "urn:x:login" if friendly_name else "mail"
    # As it was set before the configuration refused that.
    Connection.objects.update(
        attribute_map=attribute_map,
        user_name_attribute=attribute,
        external_id_attribute=attribute,
        jit="create",
    )
    said = {attribute: ["victim@corp.example"]}
    facts = browser.facts(attributes=said if not attribute_map else said | {"work_mail": ["me@corp.example"]})
    xml = assertion_xml(facts).replace(
        f'Name="{attribute}"', f'Name="{attribute}" FriendlyName="{friendly_name}"'
    )
    push(browser.connection, user_name="somebody", external_id="victim@corp.example")
    browser.post(response_xml(facts, sign(xml, browser.idp.keys, id=facts.assertion_id)))
    attempt = LoginAttempt.objects.get()
    assert (attempt.reason, attempt.detail) == (
        "login:profile-incomplete",
        {"user_name": "not-allowed", "external_id": "not-allowed"},
    )
    assert Account.objects.get().user_name == "somebody"
    assert Account.objects.get().subject_value == ""


def test_a_name_that_grows_in_lower_case_is_too_long(browser: Browser) -> None:
    assert browser.sign_in(name_id="İ" * 300).status_code == 403
    assert LoginAttempt.objects.get().reason == "saml:attribute-too-long"


def test_a_transient_name_id_needs_a_configured_name(browser: Browser) -> None:
    assert browser.sign_in(name_id="_once", name_id_format=TRANSIENT).status_code == 403
    assert LoginAttempt.objects.get().reason == "login:subject-transient"
    Connection.objects.update(user_name_attribute="uid", external_id_attribute="oid")
    said = {"email": ["ada@corp.example"], "uid": ["ada"], "oid": ["o-1"]}
    for name_id in ("_one", "_two"):
        assert browser.sign_in(name_id=name_id, name_id_format=TRANSIENT, attributes=said).status_code == 302
    assert Account.objects.get().user_name == "ada"


def push(connection: Connection, **fields: Any) -> None:
    outcome = submit(
        Observation(
            channel=Channel.SCIM,
            intent=Intent.CREATE,
            tenant_id=connection.tenant_id,
            connection_id=connection.pk,
            at=now(),
            actor=Actor(kind="token", id=str(new_id())),
            active=True,
            resource={"userName": fields["user_name"]},
            **fields,
        )
    )
    assert outcome.created, outcome


@pytest.mark.parametrize(
    ("name_id", "format"),
    [("ext-1", PERSISTENT), ("ada", UNSPECIFIED)],
    ids=["a persistent NameID equals externalId", "a name equals userName"],
)
def test_somebody_whom_scim_delivered_signs_in(browser: Browser, name_id: str, format: str) -> None:
    Connection.objects.update(jit="off")
    push(browser.connection, user_name="ada", external_id="ext-1", profile=Profile(user_name="ada"))
    assert browser.sign_in(name_id=name_id, name_id_format=format).status_code == 302
    account = Account.objects.get()
    assert browser.me().json()["id"] == str(account.identity_id)
    assert LoginAttempt.objects.get().account_id == account.pk


def test_several_subject_confirmations_with_one_for_us(browser: Browser) -> None:
    foreign = (
        '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData '
        f'Recipient="https://other.example/acs" NotOnOrAfter="{stamp(now())}"/></saml:SubjectConfirmation>'
    )
    assert browser.sign_in(extra_confirmations=foreign).status_code == 302


def test_a_confirmation_for_somebody_else_may_end_at_the_end_of_time(browser: Browser) -> None:
    """It counts for nothing, so its date is not computed with either (9999 plus a minute is no date)."""
    foreign = (
        '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData '
        'Recipient="https://other.example/acs" NotOnOrAfter="9999-12-31T23:59:59Z"/></saml:SubjectConfirmation>'
    )
    assert browser.sign_in(extra_confirmations=foreign).status_code == 302


@pytest.mark.parametrize("seconds", [-55, 55], ids=["55 seconds behind", "55 seconds ahead"])
def test_a_clock_may_be_off(browser: Browser, seconds: int) -> None:
    at = now() + timedelta(seconds=seconds)
    facts = browser.facts(at=at, not_before=at, not_on_or_after=at + timedelta(minutes=1))
    assert browser.post(browser.idp.signed_assertion(facts)).status_code == 302


def test_an_encrypted_name_id_and_attribute(browser: Browser, sp_certificate: bytes) -> None:
    facts = browser.facts()
    plain = assertion_xml(facts)
    start, end = plain.index("<saml:NameID"), plain.index("</saml:NameID>") + len("</saml:NameID>")
    name_id = plain[start:end].replace("<saml:NameID", f'<saml:NameID xmlns:saml="{SAML}"')
    hidden = plain[:start] + encrypt(name_id, sp_certificate, wrapper="EncryptedID") + plain[end:]
    message = response_xml(facts, sign(hidden, browser.idp.keys, id=facts.assertion_id))
    assert browser.post(message).status_code == 302
    assert browser.me().json()["userName"] == "p-4711"


def test_the_second_of_two_certificates_is_as_good(tenant: Any) -> None:
    idp = TestIdp(
        entity_id="https://rolling.example", keys=key_pair("new"), more_certificates=(key_pair("old"),)
    )
    browser = Browser(connection=make_connection(tenant, idp), idp=idp)
    assert browser.sign_in().status_code == 302


@pytest.mark.parametrize(
    "key_info", [True, False], ids=["the message names the new certificate", "the message names none"]
)
def test_a_key_that_the_metadata_does_not_know_is_told_beside_those_it_knows(
    browser: Browser, idp: TestIdp, key_info: bool
) -> None:
    browser.idp = TestIdp(entity_id=idp.entity_id, keys=key_pair("rolled"))
    answer = browser.post(browser.idp.signed_assertion(browser.facts(), key_info=key_info))
    assert answer.status_code == 403
    attempt = LoginAttempt.objects.get()
    assert attempt.reason == "saml:signature-invalid"
    assert attempt.detail == {
        "expected": fingerprint("corp"),
        "found": fingerprint("rolled") if key_info else "no certificate in the message",
    }


def test_a_changed_configuration_is_obeyed_at_once(browser: Browser, idp: TestIdp) -> None:
    assert browser.sign_in().status_code == 302
    rolled = TestIdp(entity_id=idp.entity_id, keys=key_pair("rolled"))
    Connection.objects.update(idp_metadata=rolled.metadata(), config_version=2)
    assert browser.sign_in().status_code == 403
    browser.idp = rolled
    assert browser.sign_in().status_code == 302


def test_the_person_ends_where_she_wanted_to_go(browser: Browser) -> None:
    asked = browser.start("/me/?from=mail")
    answer = browser.post(browser.idp.signed_assertion(browser.idp.facts(asked, now())))
    assert answer["Location"] == "/me/?from=mail"


def test_the_session_lasts_no_longer_than_the_idp_says(browser: Browser) -> None:
    at = now()
    assert browser.sign_in(session_not_on_or_after=at + timedelta(minutes=20)).status_code == 302
    session = Session.objects.get()
    assert session.expire_date <= at + timedelta(minutes=20)
    store = SessionStore(session_key=session.session_key)
    store["anything"] = "written later"
    store.save()
    assert Session.objects.get().expire_date == session.expire_date


def limited(browser: Browser, **limits: int) -> None:
    configuration.change_connection(
        connection=browser.connection, changes=limits, actor=OPERATOR, reason="As agreed"
    )
    assert browser.sign_in().status_code == 302


def test_a_session_ends_by_its_age_however_it_is_used(browser: Browser) -> None:
    limited(browser, session_hours=2)
    for minutes, status in ((50, 200), (100, 200), (119, 200), (121, 401)):
        with travel(now() + timedelta(minutes=minutes), tick=False):
            assert browser.me().status_code == status, minutes
    assert Session.objects.get().expire_date <= now() + timedelta(hours=2)


def test_a_session_ends_when_it_lies_unused(browser: Browser) -> None:
    limited(browser, session_idle_minutes=30)
    at = now()
    for minutes in (29, 58, 87):
        with travel(at + timedelta(minutes=minutes), tick=False):
            assert browser.me().status_code == 200, "it is in use"
    with travel(at + timedelta(minutes=87 + 31), tick=False):
        assert browser.me().status_code == 401
    assert not Session.objects.exists(), "a later request finds nothing either"


def test_without_such_a_limit_a_session_may_lie(browser: Browser) -> None:
    limited(browser)
    with travel(now() + timedelta(hours=11), tick=False):
        assert browser.me().status_code == 200
    with travel(now() + timedelta(hours=13), tick=False):
        assert browser.me().status_code == 401


def test_being_used_is_written_down_once_a_minute(
    browser: Browser,
) -> None:
    limited(browser, session_idle_minutes=30)
    at = now()
    for seconds, writes in ((10, 0), (50, 0), (70, 1), (80, 0), (140, 1)):
        with travel(at + timedelta(seconds=seconds), tick=False), CaptureQueriesContext(connection) as asked:
            assert browser.me().status_code == 200
        assert len([one for one in asked if SESSIONS_WRITTEN in one["sql"]]) == writes, seconds


def test_a_limit_is_a_sensible_number(browser: Browser) -> None:
    for changes in ({"session_hours": 0}, {"session_hours": 10_000}, {"session_idle_minutes": 100_000}):
        with pytest.raises(configuration.Invalid):
            configuration.change_connection(
                connection=browser.connection, changes=changes, actor=OPERATOR, reason="As agreed"
            )


def test_two_tabs_both_end_signed_in(browser: Browser) -> None:
    first, second = browser.facts(), browser.facts()
    assert browser.post(browser.idp.signed_assertion(first)).status_code == 302
    assert browser.post(browser.idp.signed_assertion(second)).status_code == 302


def test_a_disabled_person_is_refused_and_the_assertion_stays_consumed(browser: Browser) -> None:
    assert browser.sign_in().status_code == 302
    account = Account.objects.get()
    submit(
        Observation(
            channel=Channel.SCIM,
            intent=Intent.DISABLE,
            tenant_id=account.tenant_id,
            connection_id=account.connection_id,
            account_id=account.pk,
            active=False,
            at=now(),
            actor=Actor(kind="token"),
        )
    )
    assert browser.me().status_code == 401
    message = browser.idp.signed_assertion(browser.facts())
    answer = browser.post(message)
    assert answer.status_code == 403
    assert b"Your account here is switched off" in answer.content
    assert browser.me().status_code == 401
    assert browser.post(message).status_code == 403


def test_the_client_of_a_connection_is_built_once(browser: Browser) -> None:
    assert client.client_of(browser.connection) is client.client_of(browser.connection)
