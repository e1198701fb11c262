"""Logins that begin at the IdP: off by default, and where they are taken, with rules of their own."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from time_machine import travel

from identity_hub.core.clock import now
from provisioning.models import Connection, Session
from provisioning.services import configuration
from saml_sp.models import ConsumedAssertion, LoginAttempt
from tests.provisioning.cast import OPERATOR

from .idp import Asked, Facts
from .parties import Browser, nobody_came_in


@pytest.fixture
def portal(browser: Browser) -> Browser:
    """A connection whose IdP has a page of tiles."""
    configuration.change_connection(
        connection=browser.connection, changes={"idp_initiated": True}, actor=OPERATOR, reason="As agreed"
    )
    return browser


def unasked(browser: Browser, at: datetime | None = None, **changes: Any) -> Facts:
    base = f"{settings.HUB_PUBLIC_URL}/saml/{browser.connection.pk}"
    nothing = Asked(id="", issuer=f"{base}/metadata", acs=f"{base}/acs", url="")
    facts = browser.idp.facts(nothing, at or now(), in_response_to=None, confirmation_in_response_to=None)
    return facts.but(**changes)


def reasons() -> list[str]:
    return list(LoginAttempt.objects.order_by("at").values_list("reason", flat=True))


def test_they_are_refused_unless_the_connection_takes_them(browser: Browser) -> None:
    assert not Connection.objects.get().idp_initiated
    assert browser.post(browser.idp.signed_assertion(unasked(browser))).status_code == 403
    assert reasons() == ["saml:unsolicited"]
    assert nobody_came_in()


@pytest.mark.parametrize("signed", ["signed_assertion", "signed_response", "signed_both"])
def test_a_tile_signs_a_person_in(portal: Browser, signed: str) -> None:
    message = getattr(portal.idp, signed)(unasked(portal))
    answer = portal.post(message, RelayState="/me/?tile=1")
    assert (answer.status_code, answer["Location"]) == (302, "/me/?tile=1")
    assert portal.me().json()["userName"] == "p-4711"


def test_logins_that_begin_here_go_on(portal: Browser) -> None:
    asked = portal.start("/me/?a=1")
    message = portal.idp.signed_assertion(portal.idp.facts(asked, now()))
    answer = portal.post(message, RelayState="/admin/")
    assert answer["Location"] == "/me/?a=1", "where the person wanted to go, not what the IdP sends along"


@pytest.mark.parametrize(
    "relay_state", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_no_relay_state_leads_elsewhere(portal: Browser, relay_state: str) -> None:
    answer = portal.post(portal.idp.signed_assertion(unasked(portal)), RelayState=relay_state)
    assert (answer.status_code, answer["Location"]) == (302, "/me/")


def test_an_answer_to_a_request_does_not_pass_for_one_that_nobody_asked_for(portal: Browser) -> None:
    """Attack: the Response's own InResponseTo is not signed here, and the thief leaves it out."""
    stolen = portal.idp.signed_assertion(portal.facts())
    start = stolen.index(" InResponseTo=")
    assert start < stolen.index("<saml:Assertion"), "the Response's own"
    end = stolen.index('"', stolen.index('"', start) + 1) + 1
    thief = Browser(connection=portal.connection, idp=portal.idp)
    assert thief.post(stolen[:start] + stolen[end:]).status_code == 403
    assert reasons() == ["saml:request-foreign"]
    assert nobody_came_in()


def test_one_that_names_a_request_is_judged_by_that_request(portal: Browser) -> None:
    facts = unasked(portal, in_response_to="_nobody")
    assert portal.post(portal.idp.signed_response(facts)).status_code == 403
    assert reasons() == ["saml:request-unknown"]


@pytest.mark.parametrize(("seconds", "status"), [(170, 302), (190, 403)])
def test_it_is_fresh(portal: Browser, seconds: int, status: int) -> None:
    """Two minutes, and one for clocks."""
    facts = unasked(portal, at=now() - timedelta(seconds=seconds))
    assert portal.post(portal.idp.signed_assertion(facts)).status_code == status
    if status == 403:
        assert reasons() == ["saml:too-old"]


def test_it_counts_once_also_within_the_time_of_a_double_click(portal: Browser) -> None:
    """Attack: nothing tells two browsers apart that did not ask."""
    message = portal.idp.signed_assertion(unasked(portal))
    assert portal.post(message).status_code == 302
    stranger = Browser(connection=portal.connection, idp=portal.idp, client=Client())
    answer = stranger.post(message)
    assert answer.status_code == 403
    assert settings.SESSION_COOKIE_NAME not in answer.cookies
    assert stranger.me().status_code == 401
    assert reasons() == ["login:account-created", "saml:replayed"]
    assert (Session.objects.count(), ConsumedAssertion.objects.count()) == (1, 1)


def test_it_counts_once_as_long_as_its_window_lasts(portal: Browser) -> None:
    message = portal.idp.signed_assertion(unasked(portal))
    assert portal.post(message).status_code == 302
    with travel(now() + timedelta(seconds=100), tick=True):
        assert portal.post(message).status_code == 403
    assert reasons()[-1] == "saml:replayed"


def test_every_other_rule_holds(portal: Browser) -> None:
    broken: dict[str, Facts] = {
        "saml:audience-foreign": unasked(portal, audience="https://other.example"),
        "saml:recipient-foreign": unasked(portal, recipient="https://other.example/acs"),
        "saml:confirmation-endless": unasked(portal, confirmation_endless=True),
        "saml:conditions-missing": unasked(portal, conditions=False),
        "login:domain-not-allowed": unasked(portal, attributes={"email": ["ada@other.example"]}),
    }
    for reason, facts in broken.items():
        assert portal.post(portal.idp.signed_assertion(facts)).status_code == 403
        assert reasons()[-1] == reason
    assert (
        portal.post(portal.idp.signed_assertion(unasked(portal)).replace("p-4711", "p-1")).status_code == 403
    )
    assert reasons()[-1] == "saml:signature-invalid"
    assert nobody_came_in()
