"""The quality score of a connection: of a hundred logins, how many brought everything as it has to be."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from identity_hub.core.clock import now
from provisioning.models import Connection, Identity
from provisioning.services import configuration
from saml_sp.models import LoginAttempt
from saml_sp.quality import quality_of
from tests.provisioning.cast import OPERATOR

from .parties import Browser, make_connection, make_tenant

OK = {"email": {"verdict": "ok", "source": "mail"}}
BAD = {"email": {"verdict": "malformed", "source": "mail"}}
WORSE = {**BAD, "title": {"verdict": "too-long", "source": "title"}}


def attempt(
    connection: Connection,
    verdicts: dict[str, Any],
    reason: str = "login:admitted",
    ago: timedelta = timedelta(hours=1),
) -> LoginAttempt:
    return LoginAttempt.objects.create(
        tenant_id=connection.tenant_id,
        connection=connection,
        outcome="admitted" if reason == "login:admitted" else "refused",
        reason=reason,
        verdicts=verdicts,
        at=now() - ago,
    )


SCORES = {
    "nobody has signed in": ([], None, {}),
    "all is well": ([OK] * 3, 100, {}),
    "one of three is not": ([OK, OK, BAD], 66, {"email": {"malformed": 1}}),
    "one of two hundred is not, and that is no hundred": (
        [OK] * 199 + [BAD],
        99,
        {"email": {"malformed": 1}},
    ),
    "two faults of one login are one login": (
        [OK, WORSE],
        50,
        {"email": {"malformed": 1}, "title": {"too-long": 1}},
    ),
    "what need not come lowers nothing": (
        [OK, {**OK, "title": {"verdict": "missing", "source": "", "optional": True}}],
        100,
        {},
    ),
    "what has to come does": (
        [OK, {"email": {"verdict": "missing", "source": ""}}],
        50,
        {"email": {"missing": 1}},
    ),
    "nothing is": ([BAD, WORSE], 0, {"email": {"malformed": 2}, "title": {"too-long": 1}}),
    "what was refused before it was read does not count": ([OK, {}], 100, {}),
}


@pytest.mark.parametrize(("verdicts", "score", "faults"), SCORES.values(), ids=list(SCORES))
def test_a_score(connection: Connection, verdicts: list[Any], score: int | None, faults: Any) -> None:
    for one in verdicts:
        attempt(connection, one)
    quality = quality_of(connection, now())
    assert (quality.score, quality.faults) == (score, faults)
    assert quality.logins == len([one for one in verdicts if one])


@pytest.mark.parametrize("reason", ["login:name-id-changed", "login:name-id-recycled"])
def test_a_key_that_changed_is_a_fault(connection: Connection, reason: str) -> None:
    attempt(connection, OK)
    attempt(connection, OK, reason=reason)
    quality = quality_of(connection, now())
    assert (quality.score, quality.changed_keys, quality.faults) == (50, 1, {})


def test_only_recent_logins_of_this_connection_count(connection: Connection, idp: Any) -> None:
    attempt(connection, BAD, ago=timedelta(days=31))
    attempt(make_connection(connection.tenant, idp, name="Another"), BAD)
    attempt(make_connection(make_tenant("evil", "evil.example"), idp), BAD)
    attempt(connection, OK)
    quality = quality_of(connection, now())
    assert (quality.score, quality.logins) == (100, 1)


def test_it_is_asked_by_one_statement(connection: Connection) -> None:
    attempt(connection, WORSE)
    with CaptureQueriesContext(database) as asked:
        quality_of(connection, now())
    assert len(asked) <= 1


def test_logins_make_the_score(browser: Browser) -> None:
    assert browser.sign_in().status_code == 302
    assert browser.sign_in(attributes={"email": ["ada@corp.example"], "title": ["N/A"]}).status_code == 302
    assert browser.sign_in(attributes={"email": ["eve@corp.example"]}, name_id="p-2").status_code == 302
    quality = quality_of(browser.connection, now())
    assert (quality.score, quality.logins) == (66, 3)
    assert quality.faults == {"title": {"malformed": 1}}


def test_an_email_that_moves_is_counted_and_lowers_nothing(browser: Browser) -> None:
    configuration.add_domain(
        tenant=browser.connection.tenant,
        domain="new.example",
        how="operator",
        actor=OPERATOR,
        reason="As agreed",
    )
    configuration.change_connection(
        connection=browser.connection,
        changes={},
        domains=["corp.example", "new.example"],
        actor=OPERATOR,
        reason="As agreed",
    )
    browser.sign_in()
    browser.sign_in(attributes={"email": ["ada@new.example"]})
    quality = quality_of(browser.connection, now())
    assert (quality.moved_emails, quality.score) == (1, 100)


def test_the_command_says_it_to_a_script(connection: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    attempt(connection, OK)
    attempt(connection, WORSE)
    call_command("attribute_quality", connection=str(connection.pk), json=True)
    answer = json.loads(capsys.readouterr().out)
    assert answer["score"] == 50
    assert answer["faults"] == {"email": {"malformed": 1}, "title": {"too-long": 1}}
    assert (answer["logins"], answer["faultless"], answer["changed_keys"]) == (2, 1, 0)


def test_the_command_says_it_to_a_person(connection: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("attribute_quality", connection=connection.name)
    assert "nobody signed in" in capsys.readouterr().out
    attempt(connection, BAD)
    call_command("attribute_quality", connection=connection.name)
    told = capsys.readouterr().out
    assert "0 of 100" in told
    assert "malformed" in told


@pytest.fixture
def root(client: Client, db: None) -> Client:
    client.force_login(
        Identity.objects.create(local=True, login_name="root", is_superuser=True, display_name="Root")
    )
    return client


def test_the_pages_of_the_admin_show_it(root: Client, browser: Browser) -> None:
    configuration.change_connection(
        connection=browser.connection,
        changes={"preset": "okta", "attribute_rules": {"title": {"allowed": ["Countess"]}}},
        actor=OPERATOR,
        reason="As agreed",
    )
    browser.sign_in(attributes={"email": ["ada@corp.example"], "title": ["Boss<script>"]})
    page = root.get(f"/admin/provisioning/connection/{browser.connection.pk}/change/").content.decode()
    assert "0 of 100" in page
    assert "Not allowed: 1" in page
    assert "oktaId" in page
    attempt = LoginAttempt.objects.get()
    page = root.get(f"/admin/saml_sp/loginattempt/{attempt.pk}/change/").content.decode()
    assert "Not allowed" in page
    assert "Boss" not in page
    refused = LoginAttempt.objects.create(outcome="refused", reason="saml:unsigned")
    page = root.get(f"/admin/saml_sp/loginattempt/{refused.pk}/change/").content.decode()
    assert "They were not read" in page
