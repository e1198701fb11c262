"""What is made of each attribute of an assertion, and what a bad one does to an account."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from identity_hub.core.clock import now
from provisioning.decision.types import Profile
from provisioning.models import Account, AuditRecord, AuditValue, Connection, Identity
from provisioning.services import configuration, retention
from saml_sp.assertion import Attribute, NameId
from saml_sp.mapping import Person, Reading, Rules, read_person
from saml_sp.models import LoginAttempt
from saml_sp.refusal import Refusal
from tests.provisioning.cast import OPERATOR

from .idp import EMAIL, PERSISTENT, TRANSIENT, UNSPECIFIED
from .parties import Browser, administrator_of, make_tenant, nobody_came_in
from .test_login import push
from .test_presets import asserted

MAIL = "ada@corp.example"
GOOD = {"email": [MAIL], "givenName": ["Ada"], "sn": ["Lovelace"]}


def read(
    said: dict[str, list[str]], name_id: str = "p-4711", format: str = PERSISTENT, **rules: Any
) -> Reading:
    assertion = asserted(
        name_id=NameId(value=name_id, format=format) if name_id else None,
        attributes=tuple(
            Attribute(name=name, friendly_name="", values=tuple(values)) for name, values in said.items()
        ),
    )
    base: dict[str, Any] = {"attribute_map": {}, "user_name_attribute": "", "external_id_attribute": ""}
    return read_person(assertion, Rules(**(base | rules)))


JUDGED = {
    "a good value": ("given_name", {"givenName": ["Ada"]}, {}, "ok", "givenname"),
    "nothing": ("given_name", {}, {}, "missing", ""),
    "the same value twice": ("given_name", {"givenName": ["Ada", "Ada"]}, {}, "ok", "givenname"),
    "two values": ("department", {"ou": ["R&D", "Sales"]}, {}, "ambiguous", "ou"),
    "a placeholder beside a value": ("department", {"ou": ["-", "Sales"]}, {}, "ok", "ou"),
    "a placeholder": ("given_name", {"givenName": ["null"]}, {}, "malformed", "givenname"),
    "a template that nobody filled in": (
        "given_name",
        {"firstName": ["${user.firstName}"]},
        {},
        "malformed",
        "firstname",
    ),
    "too many letters": ("title", {"title": ["x" * 300]}, {}, "too-long", "title"),
    "letters that grow in lower case": ("title", {"title": ["İ" * 200]}, {}, "too-long", "title"),
    "a bad one, and a good one under the next name": (
        "display_name",
        {"displayName": ["N/A"], "cn": ["Ada Lovelace"]},
        {},
        "ok",
        "cn",
    ),
    "the name that the connection gives": (
        "given_name",
        {"vorname": ["Ada"], "givenName": ["Grace"]},
        {"attribute_map": {"given_name": ["vorname"]}},
        "ok",
        "vorname",
    ),
    "one that the connection does not read": (
        "department",
        {"department": ["Sales"]},
        {"attribute_map": {"department": []}},
        "missing",
        "",
    ),
    "not the format that the connection asks for": (
        "hr_number",
        {"employeeNumber": ["A-17"]},
        {"attribute_rules": {"hr_number": {"format": "digits"}}},
        "malformed",
        "employeenumber",
    ),
    "one of the allowed values, in another case": (
        "department",
        {"department": ["SALES"]},
        {"attribute_rules": {"department": {"allowed": ["Sales", "R&D"]}}},
        "ok",
        "department",
    ),
    "none of the allowed values": (
        "department",
        {"department": ["Marketing"]},
        {"attribute_rules": {"department": {"allowed": ["Sales", "R&D"]}}},
        "not-allowed",
        "department",
    ),
    "a language tag as Java writes it": ("locale", {"locale": ["de_DE"]}, {}, "ok", "locale"),
    "an e-mail": ("email", {"mail": [MAIL]}, {}, "ok", "mail"),
    "no e-mail": ("email", {"mail": ["ada"]}, {}, "malformed", "mail"),
    "two e-mails": ("email", {"mail": [MAIL], "email": ["boss@corp.example"]}, {}, "ambiguous", "email"),
    "a key that everybody has": (
        "external_id",
        {"oid": ["00000000-0000-0000-0000-000000000000"]},
        {"external_id_attribute": "oid"},
        "malformed",
        "oid",
    ),
    "a key that is an e-mail": (
        "external_id",
        {"mail": [MAIL]},
        {"external_id_attribute": "mail"},
        "not-allowed",
        "mail",
    ),
    "a key whose attribute did not come": (
        "external_id",
        {},
        {"external_id_attribute": "oid"},
        "missing",
        "",
    ),
    "the name, from the NameID": ("user_name", {}, {}, "ok", "NameID"),
}


@pytest.mark.parametrize(
    ("attribute", "said", "rules", "verdict", "source"), JUDGED.values(), ids=list(JUDGED)
)
def test_a_verdict(
    attribute: str, said: dict[str, list[str]], rules: dict[str, Any], verdict: str, source: str
) -> None:
    judged = read(said, **rules).verdicts[attribute]
    assert (judged.verdict, judged.source) == (verdict, source)
    assert bool(judged.value) == (verdict == "ok")


def test_every_hub_attribute_has_a_verdict_and_only_what_was_asked_or_sent_is_kept() -> None:
    reading = read(
        GOOD,
        external_id_attribute="oid",
        required=["email", "title"],
        attribute_map={"department": ["dept"]},
        attribute_rules={"hr_number": {"format": "digits"}},
    )
    assert {name: judged.verdict.value for name, judged in reading.verdicts.items()} == {
        **dict.fromkeys(("name_id", "user_name", "email", "given_name", "family_name"), "ok"),
        **dict.fromkeys(("external_id", "title", "display_name", "locale", "time_zone"), "missing"),
        **dict.fromkeys(("hr_number", "department"), "missing"),
    }
    assert reading.record() == {
        "name_id": {"verdict": "ok", "source": "NameID"},
        "user_name": {"verdict": "ok", "source": "NameID"},
        "external_id": {"verdict": "missing", "source": ""},
        "email": {"verdict": "ok", "source": "email"},
        "given_name": {"verdict": "ok", "source": "givenname"},
        "family_name": {"verdict": "ok", "source": "sn"},
        "title": {"verdict": "missing", "source": ""},
        "department": {"verdict": "missing", "source": "", "optional": True},
        "hr_number": {"verdict": "missing", "source": "", "optional": True},
    }


def test_no_value_is_in_what_is_kept_or_shown() -> None:
    reading = read(GOOD | {"title": ["N/A"], "department": ["Analytical Engines"]})
    told = f"{reading.record()} {reading.verdicts}"
    assert not [value for value in (MAIL, "Ada", "Lovelace", "N/A", "Analytical", "p-4711") if value in told]


def person(reading: Reading) -> Person:
    assert isinstance(reading.outcome, Person)
    return reading.outcome


@pytest.mark.parametrize("value", ["null", "(null)", "0", "${user.id}", "-", "undefined"])
@pytest.mark.parametrize("format", [PERSISTENT, UNSPECIFIED, EMAIL])
def test_a_name_id_that_everybody_gets_is_nobodys(value: str, format: str) -> None:
    """Else the second person to sign in would be the first one."""
    read_without = person(read({"uid": ["ada"]}, value, format, user_name_attribute="uid"))
    assert (read_without.subject, read_without.login_names) == (None, ("ada",))
    assert read_without.faults["name_id"] == "malformed"


def test_a_transient_name_id_is_no_fault() -> None:
    came = person(read(GOOD | {"uid": ["ada"]}, "_once", TRANSIENT, user_name_attribute="uid"))
    assert (came.user_name, came.login_names, dict(came.faults)) == ("ada", ("ada",), {})
    assert came.subject is not None
    assert came.subject.is_transient


def test_a_name_of_the_wrong_format_names_nobody_but_a_key_still_finds_her() -> None:
    came = person(read(GOOD, attribute_rules={"user_name": {"format": "digits"}}))
    assert came.user_name == ""
    assert came.faults == {"user_name": "malformed"}
    assert came.subject is not None


@pytest.mark.parametrize("name", ["name_id", "user_name", "external_id"])
def test_a_key_too_long_to_be_kept_ends_the_login(name: str) -> None:
    long = "x" * 600
    reading = read(
        {"uid": [long if name == "user_name" else "ada"], "oid": [long if name == "external_id" else "1a"]},
        long if name == "name_id" else "p-4711",
        user_name_attribute="uid",
        external_id_attribute="oid",
    )
    assert isinstance(reading.outcome, Refusal)
    assert (reading.outcome.reason, reading.outcome.detail["attribute"]) == ("saml:attribute-too-long", name)
    assert reading.record()[name]["verdict"] == "too-long"


# Over HTTP


def last_attempt() -> LoginAttempt:
    attempt = LoginAttempt.objects.order_by("-at").first()
    assert attempt is not None
    return attempt


MAKES_NO_ACCOUNT = {
    "a required attribute is missing": ({"email": [MAIL], "sn": ["Lovelace"]}, {"given_name": "missing"}),
    "a required attribute is a placeholder": (GOOD | {"givenName": ["null"]}, {"given_name": "malformed"}),
    "a required attribute has two values": (
        GOOD | {"sn": ["Lovelace", "Byron"]},
        {"family_name": "ambiguous"},
    ),
    "several things are wrong": (
        {"email": ["ada"], "givenName": ["12"]},
        {"email": "malformed", "given_name": "malformed", "family_name": "missing"},
    ),
    "the key is a template": (GOOD | {"oid": ["${user.objectid}"]}, {"external_id": "malformed"}),
    "the key is everybody's": (GOOD | {"oid": ["0"]}, {"external_id": "malformed"}),
    "the department is not allowed": (GOOD | {"department": ["Marketing"]}, {"department": "not-allowed"}),
}


@pytest.mark.parametrize(("said", "detail"), MAKES_NO_ACCOUNT.values(), ids=list(MAKES_NO_ACCOUNT))
def test_bad_data_makes_no_account(
    browser: Browser, connection: Connection, said: dict[str, list[str]], detail: dict[str, str]
) -> None:
    required = ["email", "given_name", "family_name"]
    configuration.change_connection(
        connection=connection,
        changes={
            "required_attributes": [*required, "department"] if "department" in said else required,
            "attribute_rules": {"department": {"allowed": ["Sales"]}},
            "external_id_attribute": "oid",
        },
        actor=OPERATOR,
        reason="As agreed",
    )
    answer = browser.sign_in(attributes=said)
    assert answer.status_code == 403
    attempt = last_attempt()
    assert (attempt.reason, attempt.detail) == ("login:profile-incomplete", detail)
    assert {name: attempt.verdicts[name]["verdict"] for name in detail} == detail
    assert nobody_came_in()


def test_what_is_not_required_and_bad_is_left_out(browser: Browser) -> None:
    said = GOOD | {"title": ["N/A"], "locale": ["de-DE,en;q=0.5"], "department": ["a", "b"]}
    assert browser.sign_in(attributes=said).status_code == 302
    identity = Identity.objects.get()
    assert (identity.email, identity.given_name) == (MAIL, "Ada")
    assert (identity.title, identity.locale, identity.department) == ("", "", "")
    assert set(Account.objects.get().assertion) == {"user_name", "email", "given_name", "family_name"}
    assert last_attempt().verdicts["locale"] == {"verdict": "malformed", "source": "locale"}


BAD_LATER = {
    "a placeholder": {"givenName": ["null"], "sn": ["-"], "title": ["N/A"], "email": ["undefined"]},
    "two values": {"givenName": ["Ada", "Eve"], "sn": ["A", "B"], "title": ["x", "y"], "email": [MAIL]},
    "letters without end": {name: ["x" * 300] for name in ("givenName", "sn", "title")} | {"email": [MAIL]},
}


@pytest.mark.parametrize("confirmed", [False, True], ids=["that a login made", "that SCIM delivered"])
@pytest.mark.parametrize("bad", BAD_LATER.values(), ids=list(BAD_LATER))
def test_a_bad_value_locks_nobody_out_and_takes_no_good_one_away(
    browser: Browser, bad: dict[str, list[str]], confirmed: bool
) -> None:
    if confirmed:
        push(browser.connection, user_name="ada", external_id="p-4711", profile=Profile(user_name="ada"))
    assert browser.sign_in(attributes=GOOD | {"title": ["Countess"]}).status_code == 302
    before = Account.objects.get().assertion
    assert browser.sign_in(attributes=bad).status_code == 302
    identity, account = Identity.objects.get(), Account.objects.get()
    assert (identity.given_name, identity.family_name, identity.title) == ("Ada", "Lovelace", "Countess")
    assert identity.email == MAIL
    assert account.assertion == before
    assert last_attempt().verdicts["given_name"]["verdict"] in ("malformed", "ambiguous", "too-long")


def test_a_value_that_the_idp_no_longer_sends_is_gone(browser: Browser) -> None:
    browser.sign_in(attributes=GOOD | {"title": ["Countess"]})
    browser.sign_in(attributes=GOOD)
    assert "title" not in Account.objects.get().assertion


def test_two_people_with_the_same_placeholder_for_a_key_are_not_one(browser: Browser) -> None:
    Connection.objects.update(external_id_attribute="oid", required_attributes=[])
    assert browser.sign_in(name_id="p-1", attributes=GOOD | {"oid": ["o-1"]}).status_code == 302
    other = Browser(connection=browser.connection, idp=browser.idp)
    assert other.sign_in(name_id="null", attributes={"oid": ["null"]}).status_code == 403
    assert last_attempt().reason == "login:subject-transient"
    assert Identity.objects.count() == 1


def test_a_refused_reading_keeps_its_verdicts(browser: Browser) -> None:
    browser.sign_in(attributes={"email": [MAIL, "boss@corp.example"]})
    attempt = last_attempt()
    assert (attempt.reason, attempt.verdicts["email"]["verdict"]) == ("saml:emails-disagree", "ambiguous")
    assert attempt.at <= now()


def test_the_names_under_which_two_addresses_came_are_told(browser: Browser) -> None:
    browser.sign_in(attributes={"email": [MAIL], "mail": ["boss@corp.example"]})
    attempt = last_attempt()
    assert attempt.reason == "saml:emails-disagree"
    assert attempt.detail == {"count": "2", "sources": "email and mail"}


def test_both_lengths_of_a_key_that_is_too_long_are_told() -> None:
    for name, said in {"name_id": {}, "external_id": {"oid": ["x" * 600]}}.items():
        reading = read(said, name_id="x" * 700 if name == "name_id" else "p-1", external_id_attribute="oid")
        assert isinstance(reading.outcome, Refusal)
        length = {"name_id": "700", "external_id": "600"}[name]
        assert reading.outcome.detail == {"attribute": name, "length": length, "limit": "512"}


CONTRADICTIONS: dict[str, tuple[dict[str, Any], dict[str, list[str]], str, list[str]]] = {
    "two e-mails of one attribute": (
        {},
        {"email": [MAIL, "boss@corp.example"]},
        "saml:emails-disagree",
        [f"email: {MAIL}", "email: boss@corp.example"],
    ),
    "e-mails of two attributes": (
        {},
        {"email": [MAIL], "mail": ["boss@corp.example"]},
        "saml:emails-disagree",
        [f"email: {MAIL}", "mail: boss@corp.example"],
    ),
    "two keys": (
        {"external_id_attribute": "oid"},
        {"email": [MAIL], "oid": ["key-1", "key-2"]},
        "saml:attribute-ambiguous",
        ["key-1", "key-2"],
    ),
    "two names": (
        {"user_name_attribute": "uid"},
        {"email": [MAIL], "uid": ["ada", "grace"]},
        "saml:attribute-ambiguous",
        ["ada", "grace"],
    ),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_the_administrator_reads_both_values_where_an_assertion_contradicts_itself_by(
    browser: Browser,
    connection: Connection,
    administrator: Client,
    caplog: pytest.LogCaptureFixture,
    what: str,
) -> None:
    changes, said, reason, both = CONTRADICTIONS[what]
    if changes:
        configuration.change_connection(
            connection=connection, changes=changes, actor=OPERATOR, reason="As agreed"
        )
    with caplog.at_level(logging.INFO, "saml_sp.sign_in"):
        answer = browser.sign_in(attributes=said)
    attempt, logged = last_attempt(), [record.msg for record in caplog.records]
    assert logged
    assert (answer.status_code, attempt.reason) == (403, reason)
    assert not Account.objects.exists()
    record = AuditRecord.objects.get(pk=attempt.audit_id)
    assert (record.tenant_id, record.connection_id, record.reason, record.verdict) == (
        connection.tenant_id,
        connection.pk,
        reason,
        "refused",
    )
    page = administrator.get(f"/admin/saml_sp/loginattempt/{attempt.pk}/change/").content.decode()
    assert ", ".join(both) in page
    for value in (one.rpartition(": ")[2] for one in both):
        # A person's value: neither in the log, nor in what is kept for good, nor before her own eyes.
        kept = (attempt.detail, attempt.verdicts, record.changes, answer.content.decode(), logged)
        assert value not in str(kept)
    beside = AuditValue.objects.filter(pk=record.pk)
    assert retention.trim_found(at=now() + timedelta(days=29)) == 0
    assert beside.get().values == {"found": both}
    assert retention.trim_found(at=now() + timedelta(days=31)) == 1


def test_another_tenants_administrator_reads_neither(browser: Browser, connection: Connection) -> None:
    browser.sign_in(attributes={"email": [MAIL, "boss@corp.example"]})
    elsewhere = administrator_of(make_tenant("other", "other.example"))
    address = f"/admin/saml_sp/loginattempt/{last_attempt().pk}/change/"
    assert "boss@corp.example" not in elsewhere.get(address, follow=True).content.decode()


def test_what_cannot_be_configured(connection: Connection) -> None:
    refused: dict[str, dict[str, Any]] = {
        "external_id_attribute": {"external_id_attribute": "mail"},
        "user_name_attribute": {"user_name_attribute": "urn:oid:0.9.2342.19200300.100.1.3"},
        "attribute_map": {"attribute_map": {"shoe_size": ["x"]}},
        "attribute_rules": {"attribute_rules": {"title": {"format": "(a+)+"}}},
        "preset": {"preset": "netscape"},
    }
    for field, changes in refused.items():
        with pytest.raises(configuration.Invalid) as caught:
            configuration.change_connection(
                connection=connection, changes=changes, actor=OPERATOR, reason="As agreed"
            )
        assert caught.value.field == field


EMAIL_NAMES = [
    *("email", "Mail", "emailAddress", "user.mail", "workMail", "primary_email", "otherMails", "e-mail"),
    *("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", "urn:oid:1.2.840.113549.1.9.1"),
    *("kontakt", "Kontakt"),
]


@pytest.mark.parametrize("name", EMAIL_NAMES)
@pytest.mark.parametrize("field", ["user_name_attribute", "external_id_attribute"])
def test_no_email_attribute_is_configured_as_a_name_or_a_key(
    connection: Connection, field: str, name: str
) -> None:
    """Pre-hijack: who may edit his e-mail would choose whom he is taken for."""
    with pytest.raises(configuration.Invalid) as caught:
        configuration.change_connection(
            connection=connection,
            changes={field: name, "attribute_map": {"email": ["Kontakt"]}},
            actor=OPERATOR,
            reason="As agreed",
        )
    assert caught.value.field == field


def test_nor_is_the_key_made_an_email_attribute_afterwards(connection: Connection) -> None:
    configuration.change_connection(
        connection=connection,
        changes={"external_id_attribute": "kontakt"},
        actor=OPERATOR,
        reason="As agreed",
    )
    with pytest.raises(configuration.Invalid):
        configuration.change_connection(
            connection=connection,
            changes={"attribute_map": {"email": ["kontakt"]}},
            actor=OPERATOR,
            reason="As agreed",
        )


@pytest.mark.parametrize(
    "name", ["uid", "mailNickname", "oktaId", "http://x/claims/upn", "mailboxGuid", "emailVerified"]
)
def test_what_only_sounds_like_an_email_attribute_may_be_a_name(connection: Connection, name: str) -> None:
    configuration.change_connection(
        connection=connection, changes={"user_name_attribute": name}, actor=OPERATOR, reason="As agreed"
    )
