"""Every refusal that compares two things tells an administrator both; tests/attacks look at each message's."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from identity_hub.core.clock import now
from identity_hub.settings import BASE_DIR
from provisioning.decision.policy import Switch
from provisioning.models import AuditValue, Connection
from provisioning.services import switches
from saml_sp.errors import MESSAGES
from saml_sp.models import LoginAttempt
from tests.attacks.catalogue import LOGOUTS, attacks
from tests.provisioning.cast import OPERATOR

from .comparisons import ALONE, COMPARING, LOGINS, LOGINS_ALONE, OF_A_PERSON, assert_both_sides
from .idp import PERSISTENT, TRANSIENT
from .parties import Browser
from .test_login import push

CODES = sorted(code for code in MESSAGES if code.startswith("saml:"))


def test_every_code_compares_or_is_said_to_compare_nothing() -> None:
    assert sorted([*COMPARING, *OF_A_PERSON, *ALONE]) == CODES


def test_the_document_lists_every_code() -> None:
    rows = re.findall(r"^\| (`saml:.+?) \|", (BASE_DIR / "docs" / "saml.md").read_text(), re.M)
    assert sorted(code for row in rows for code in re.findall(r"`(saml:[a-z-]+)`", row)) == CODES


ELSEWHERE = {"saml:authentication-old", "saml:authentication-weak", "saml:request-expired"}
"""Looked at by test_requests.py and test_protocol.py: they take a connection or a clock of their own."""


@pytest.mark.parametrize("code", sorted((COMPARING | OF_A_PERSON) - ELSEWHERE))
def test_a_message_is_posted_that_is_refused_as(code: str) -> None:
    """So that what it tells is looked at."""
    assert code in {attack.reason for attack in (*attacks(), *LOGOUTS)}


# The decision's own refusals.

LOGIN_CODES = sorted(code for code in MESSAGES if code.startswith("login:"))


def test_every_refusal_of_the_decision_compares_or_is_said_to_compare_nothing() -> None:
    assert sorted([*LOGINS, *LOGINS_ALONE]) == LOGIN_CODES


def limited(**fields: Any) -> Callable[[Browser], None]:
    def arrange(browser: Browser) -> None:
        Connection.objects.filter(pk=browser.connection.pk).update(**fields)

    return arrange


def stopped(browser: Browser) -> None:
    switches.stop(connection=browser.connection, switch=Switch.JIT_CREATE, reason="x", actor=OPERATOR)


def two_people(browser: Browser) -> None:
    limited(external_id_attribute="oid")(browser)
    push(browser.connection, user_name="ada", external_id="p-4711")
    push(browser.connection, user_name="bob", external_id="key-of-bob")


def bound(browser: Browser) -> None:
    limited(external_id_attribute="oid")(browser)
    push(browser.connection, user_name="ada", external_id="key-of-ada")
    said = {"oid": ["key-of-ada"], "email": ["ada@corp.example"]}
    assert browser.sign_in(name_id="first-name-id", attributes=said).status_code == 302


NAMED = f"NameID ({PERSISTENT})"
CASES: dict[str, tuple[Callable[[Browser], None], dict[str, Any], str, list[str]]] = {
    "login:no-account": (limited(jit="off"), {}, NAMED, [f"{NAMED}: p-4711"]),
    "login:creation-stopped": (stopped, {}, NAMED, [f"{NAMED}: p-4711"]),
    "login:subject-transient": (
        limited(),
        {"name_id_format": TRANSIENT},
        f"NameID ({TRANSIENT})",
        [f"NameID ({TRANSIENT}): p-4711"],
    ),
    "login:disputed": (
        two_people,
        {"attributes": {"oid": ["key-of-bob"], "email": ["ada@corp.example"]}},
        f"{NAMED}, externalId",
        [f"{NAMED}: p-4711", "externalId: key-of-bob"],
    ),
    "login:domain-not-allowed": (
        limited(),
        {"attributes": {"email": ["ada@elsewhere.example"]}},
        "another value",
        ["ada@elsewhere.example"],
    ),
    "login:group-not-allowed": (
        limited(group_attribute="groups", jit_groups=["staff"]),
        {"attributes": {"email": ["ada@corp.example"], "groups": ["guests"]}},
        "another value",
        ["guests"],
    ),
    "login:attribute-not-allowed": (
        limited(jit_attributes={"department": ["Sales"]}),
        {"attributes": {"email": ["ada@corp.example"], "department": ["Engines"]}},
        "another value",
        ["Engines"],
    ),
    "login:name-id-changed": (
        bound,
        {"name_id": "second-name-id", "attributes": {"oid": ["key-of-ada"], "email": ["ada@corp.example"]}},
        "",
        ["NameID second-name-id where first-name-id was known"],
    ),
    "login:name-id-recycled": (
        bound,
        {"name_id": "first-name-id", "attributes": {"oid": ["key-of-eve"], "email": ["ada@corp.example"]}},
        "",
        ["externalId key-of-eve where key-of-ada was known"],
    ),
}


@pytest.mark.parametrize("code", sorted(LOGINS))
def test_the_administrator_sees_what_came_and_what_was_expected_at(browser: Browser, code: str) -> None:
    arrange, changes, found, values = CASES[code]
    arrange(browser)
    assert browser.sign_in(**changes).status_code == 403
    attempt = LoginAttempt.objects.latest("at")
    assert (attempt.reason, attempt.detail.get("found", "")) == (code, found)
    assert AuditValue.objects.get(pk=attempt.audit_id).values["found"] == values
    assert_both_sides(attempt)


def test_an_administrator_reads_which_date_of_the_metadata_has_passed(browser: Browser) -> None:
    until = now() - timedelta(minutes=5)
    Connection.objects.update(metadata_valid_until=until)
    assert browser.client.get(reverse("saml:login", args=[browser.connection.pk])).status_code == 403
    attempt = LoginAttempt.objects.get()
    assert attempt.reason == "connection:not-configured"
    assert attempt.detail["valid_until"] == until.isoformat()
    assert attempt.detail["now"] > attempt.detail["valid_until"]


@pytest.mark.parametrize("metadata", ["", "<broken", "<x/>"])
def test_an_administrator_reads_what_is_wrong_with_the_metadata(browser: Browser, metadata: str) -> None:
    Connection.objects.update(idp_metadata=metadata, config_version=7)
    assert browser.client.get(reverse("saml:login", args=[browser.connection.pk])).status_code == 403
    assert {"expected", "found"} == set(LoginAttempt.objects.get().detail)
