"""What the hub asks of an IdP, and that it takes nothing less."""

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree

from identity_hub.core.clock import now
from provisioning.services import configuration
from saml_sp.models import LoginAttempt
from tests.provisioning.cast import OPERATOR

from .comparisons import assert_both_sides
from .idp import PERSISTENT, SAML, SAMLP, Facts, assertion_xml, inflate, parse, response_xml, sign
from .parties import Browser, nobody_came_in

MFA = "https://refeds.org/profile/mfa"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"


def wish(browser: Browser, **changes: Any) -> None:
    browser.connection = configuration.change_connection(
        connection=browser.connection, changes=changes, actor=OPERATOR, reason="As agreed"
    )


def asked(browser: Browser) -> etree._Element:
    return parse(inflate(parse_qs(urlsplit(browser.start().url).query)["SAMLRequest"][0]))


def saying(browser: Browser, facts: Facts, old: str, new: str) -> str:
    """A Response whose signed assertion says something else in one place."""
    xml = assertion_xml(facts)
    assert xml.count(old) == 1
    return response_xml(facts, sign(xml.replace(old, new), browser.idp.keys, id=facts.assertion_id))


def test_nothing_is_asked_for_unless_the_connection_says_so(browser: Browser) -> None:
    root = asked(browser)
    assert root.get("ForceAuthn") is None
    assert root.find(f"{{{SAMLP}}}RequestedAuthnContext") is None
    policy = root.find(f"{{{SAMLP}}}NameIDPolicy")
    assert policy is None or policy.get("Format") is None


def test_what_the_connection_wishes_is_asked_for(browser: Browser) -> None:
    wish(browser, force_authn=True, authn_contexts=[MFA, PASSWORD], name_id_format=PERSISTENT)
    root = asked(browser)
    assert root.get("ForceAuthn") == "true"
    policy = root.find(f"{{{SAMLP}}}NameIDPolicy")
    assert (policy.get("Format"), policy.get("AllowCreate")) == (PERSISTENT, "true")
    context = root.find(f"{{{SAMLP}}}RequestedAuthnContext")
    assert context.get("Comparison") == "exact"
    assert [one.text for one in context.iter(f"{{{SAML}}}AuthnContextClassRef")] == [MFA, PASSWORD]


@pytest.mark.parametrize(
    ("said", "status"), [(MFA, 302), (PASSWORD, 403), (f"{MFA}/", 403), (MFA.upper(), 403), ("", 403)]
)
def test_no_weaker_authentication_is_taken(browser: Browser, said: str, status: int) -> None:
    wish(browser, authn_contexts=[MFA])
    message = saying(browser, browser.facts(), PASSWORD, said)
    assert browser.post(message).status_code == status
    if status == 403:
        attempt = LoginAttempt.objects.get()
        assert attempt.reason == "saml:authentication-weak"
        assert_both_sides(attempt)
        assert nobody_came_in()


def test_any_of_several_ways_is_taken(browser: Browser) -> None:
    wish(browser, authn_contexts=[MFA, PASSWORD])
    assert browser.sign_in().status_code == 302


@pytest.mark.parametrize(("minutes", "status"), [(0, 302), (2, 403), (600, 403)])
def test_an_authentication_from_before_the_request_is_old(
    browser: Browser, minutes: int, status: int
) -> None:
    wish(browser, force_authn=True)
    facts = browser.facts()
    instant = (now() - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    xml = assertion_xml(facts)
    start = xml.index('AuthnInstant="')
    message = saying(browser, facts, xml[start : start + 35], f'AuthnInstant="{instant}"')
    assert browser.post(message).status_code == status
    if status == 403:
        attempt = LoginAttempt.objects.get()
        assert attempt.reason == "saml:authentication-old"
        assert_both_sides(attempt)
        assert nobody_came_in()


def test_also_a_login_that_begins_at_the_idp_is_authenticated_anew(browser: Browser) -> None:
    wish(browser, force_authn=True, idp_initiated=True)
    facts = browser.facts(in_response_to=None, confirmation_in_response_to=None)
    xml = assertion_xml(facts)
    start = xml.index('AuthnInstant="')
    instant = (now() - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    message = saying(browser, facts, xml[start : start + 35], f'AuthnInstant="{instant}"')
    assert browser.post(message).status_code == 403
    assert LoginAttempt.objects.get().reason == "saml:authentication-old"


def test_without_the_wish_an_old_authentication_is_as_good(browser: Browser) -> None:
    facts = browser.facts()
    xml = assertion_xml(facts)
    start = xml.index('AuthnInstant="')
    instant = (now() - timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (
        browser.post(saying(browser, facts, xml[start : start + 35], f'AuthnInstant="{instant}"')).status_code
        == 302
    )


def test_logins_that_begin_at_the_idp_are_authenticated_as_strongly(browser: Browser) -> None:
    wish(browser, idp_initiated=True, authn_contexts=[MFA])
    facts = browser.facts(in_response_to=None, confirmation_in_response_to=None)
    assert browser.post(browser.idp.signed_assertion(facts)).status_code == 403
    assert LoginAttempt.objects.get().reason == "saml:authentication-weak"
