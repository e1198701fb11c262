"""Signing out here tells the IdP, and never waits for it; signing out there ends every session here."""

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.conf import settings
from django.core.cache import cache
from django.db import OperationalError, transaction
from django.http import HttpResponse
from django.test import Client
from lxml import etree
from time_machine import travel

from identity_hub.core.clock import now
from provisioning.decision.reasons import Act
from provisioning.models import Account, AuditRecord, Connection, Identity, Session, Tenant
from provisioning.services import people
from saml_sp import logout
from saml_sp.models import LoginAttempt
from tests.provisioning.services.test_races import closing, until_somebody_waits

from .idp import (
    EMAIL,
    PERSISTENT,
    SAML,
    SAMLP,
    SUCCESS,
    TRANSIENT,
    TestIdp,
    assertion_xml,
    inflate,
    key_pair,
    parse,
    response_xml,
    sign,
)
from .parties import Browser, make_connection

UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"


def sign_out(browser: Browser) -> HttpResponse:
    browser.client.get("/logout/")
    csrf = browser.client.cookies["hub_csrf"].value
    answer: HttpResponse = browser.client.post("/logout/", {"csrfmiddlewaretoken": csrf})
    assert not Session.objects.exists(), "whatever the IdP does"
    assert browser.me().status_code == 401
    return answer


def told(answer: HttpResponse) -> etree._Element:
    assert answer.status_code == 302
    return parse(inflate(parse_qs(urlsplit(answer["Location"]).query)["SAMLRequest"][0]))


def test_the_idp_is_told_whose_session_ended(browser: Browser) -> None:
    assert browser.sign_in(session_index="_s-2f51e07ab46ca3d9").status_code == 302
    answer = sign_out(browser)
    assert answer["Location"].startswith(f"{browser.idp.slo}?")
    root = told(answer)
    assert root.tag == f"{{{SAMLP}}}LogoutRequest"
    assert root.get("Destination") == browser.idp.slo
    assert root.get("NotOnOrAfter") > root.get("IssueInstant")
    base = f"{settings.HUB_PUBLIC_URL}/saml/{browser.connection.pk}"
    assert root.findtext(f"{{{SAML}}}Issuer") == f"{base}/metadata"
    name_id = root.find(f"{{{SAML}}}NameID")
    assert (name_id.text, name_id.get("Format")) == ("p-4711", PERSISTENT)
    assert root.findtext(f"{{{SAMLP}}}SessionIndex") == "_s-2f51e07ab46ca3d9"


def test_the_second_half_of_a_double_click_tells_the_idp_too(browser: Browser) -> None:
    browser.sign_in()
    browser.client.get("/logout/")
    again = Client()
    again.cookies.update(browser.client.cookies)
    stranger, later = Client(), Client()
    later.cookies.update(browser.client.cookies)
    asked = {"csrfmiddlewaretoken": browser.client.cookies["hub_csrf"].value}
    first, second = (told(client.post("/logout/", asked)) for client in (browser.client, again))
    assert [one.findtext(f"{{{SAML}}}NameID") for one in (first, second)] == ["p-4711", "p-4711"]
    assert first.get("ID") != second.get("ID")
    assert stranger.post("/logout/").status_code == 200
    cache.clear()
    assert later.post("/logout/", asked).status_code == 200


def test_an_administrator_s_own_way_out_tells_the_idp_too(browser: Browser) -> None:
    browser.sign_in()
    Identity.objects.update(is_tenant_administrator=True)
    browser.client.get("/admin/")
    asked = {"csrfmiddlewaretoken": browser.client.cookies["hub_csrf"].value}
    answer = browser.client.post("/admin/logout/", asked)
    assert (answer.status_code, answer["Location"]) == (307, "/logout/")
    assert told(browser.client.post(answer["Location"], asked)).tag == f"{{{SAMLP}}}LogoutRequest"
    assert browser.me().status_code == 401


def test_the_request_is_signed_over_the_query_as_it_is_sent(browser: Browser) -> None:
    browser.sign_in()
    content, signature = urlsplit(sign_out(browser)["Location"]).query.split("&Signature=")
    assert parse_qs(content)["SigAlg"] == ["http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"]
    key = x509.load_pem_x509_certificate(Path(settings.SAML_SP_CERT_FILE).read_bytes()).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(
        base64.b64decode(unquote_plus(signature)), content.encode(), padding.PKCS1v15(), hashes.SHA256()
    )


def test_a_name_is_told_as_it_came(browser: Browser) -> None:
    """An IdP looks for the NameID with its format and both qualifiers."""
    facts = browser.facts(name_id="ada@corp.example", name_id_format=EMAIL)
    named = assertion_xml(facts).replace(
        "<saml:NameID ",
        '<saml:NameID NameQualifier="https://idp.example" SPNameQualifier="https://hub.example" ',
    )
    browser.post(response_xml(facts, sign(named, browser.idp.keys, id=facts.assertion_id)))
    root = told(sign_out(browser))
    name_id = root.find(f"{{{SAML}}}NameID")
    assert dict(name_id.attrib) == {
        "Format": EMAIL,
        "NameQualifier": "https://idp.example",
        "SPNameQualifier": "https://hub.example",
    }
    assert name_id.text == "ada@corp.example"
    assert root.find(f"{{{SAMLP}}}SessionIndex") is None


def test_an_idp_that_takes_only_posts_gets_a_signed_form(tenant: Tenant) -> None:
    idp = TestIdp(entity_id="https://post.example", keys=key_pair("corp"), slo_binding=POST)
    browser = Browser(connection=make_connection(tenant, idp), idp=idp)
    browser.sign_in()
    page = sign_out(browser)
    assert page.status_code == 200
    assert f'action="{idp.slo}"'.encode() in page.content
    found = re.search(rb'name="SAMLRequest" value="([^"]+)"', page.content)
    assert found is not None
    root = parse(base64.b64decode(found[1]))
    assert root.find(f"{{{SAML}}}NameID").text == "p-4711"
    method = root.find(".//{http://www.w3.org/2000/09/xmldsig#}SignatureMethod")
    assert method.get("Algorithm") == "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"


def test_an_idp_that_takes_none_is_not_told(tenant: Tenant) -> None:
    idp = TestIdp(entity_id="https://plain.example", keys=key_pair("corp"), slo="")
    browser = Browser(connection=make_connection(tenant, idp), idp=idp)
    browser.sign_in()
    answer = sign_out(browser)
    assert (answer.status_code, b"You are signed out" in answer.content) == (200, True)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"status": "disabled"},
        {"idp_metadata": "", "config_version": 9},
        {"idp_metadata": "<x/>", "config_version": 9},
    ],
    ids=["disabled", "no metadata", "broken metadata"],
)
def test_a_connection_that_is_out_of_order_keeps_nobody_in(browser: Browser, spoilt: dict[str, Any]) -> None:
    browser.sign_in()
    Connection.objects.update(**spoilt)
    assert sign_out(browser).status_code == 200


@pytest.mark.parametrize("status", ["frozen", "draft"])
def test_a_connection_that_admits_nobody_still_tells_the_idp(browser: Browser, status: str) -> None:
    browser.sign_in()
    Connection.objects.update(status=status)
    answer = sign_out(browser)
    assert answer["Location"].startswith(f"{browser.idp.slo}?")
    assert told(answer).findtext(f"{{{SAML}}}NameID") == "p-4711"


def test_a_local_session_ends_without_an_idp(client: Client, db: None) -> None:
    client.force_login(Identity.objects.create(local=True, login_name="root", is_superuser=True))
    assert client.post("/logout/").status_code == 200
    assert not Session.objects.exists()


def test_the_answer_of_the_idp_changes_nothing(browser: Browser) -> None:
    browser.sign_in()
    sign_out(browser)
    address = f"/saml/{browser.connection.pk}/logout"
    page = browser.client.get(address, {"SAMLResponse": "x", "RelayState": "y"})
    assert (page.status_code, b"You are signed out" in page.content) == (200, True)


@pytest.mark.parametrize("method", ["get", "post"])
def test_whoever_is_signed_in_is_not_told_that_she_is_out(browser: Browser, method: str) -> None:
    browser.sign_in()
    address = f"/saml/{browser.connection.pk}/logout"
    page = getattr(browser.client, method)(address, {"SAMLResponse": "x"}, follow=True)
    text = page.content.decode()
    assert (page.status_code, "You are still signed in" in text) == (200, True)
    assert "You are signed out" not in text
    assert browser.me().status_code == 200
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text)
    assert token is not None
    left = browser.client.post("/logout/", {"csrfmiddlewaretoken": token.group(1)})
    assert left.status_code in (200, 302)
    assert browser.me().status_code == 401


def test_the_answer_by_a_form_ends_on_the_same_page(browser: Browser) -> None:
    browser.sign_in()
    sign_out(browser)
    page = browser.client.post(f"/saml/{browser.connection.pk}/logout", {"SAMLResponse": "x"}, follow=True)
    assert (page.status_code, b"You are signed out" in page.content) == (200, True)


def request_of(browser: Browser, *, ago: timedelta = timedelta()) -> str:
    """The address by which the IdP signs ada out, as her browser opens it."""
    path = f"/saml/{browser.connection.pk}/logout"
    xml = browser.idp.logout_request(
        destination=f"{settings.HUB_PUBLIC_URL}{path}", at=now() - ago, name_id="p-4711"
    )
    return f"{path}?{browser.idp.signed_query(xml)}"


def test_an_idp_logout_that_failed_in_the_middle_may_come_again(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Browser(connection=browser.connection, idp=browser.idp)
    for each in (browser, other):
        each.sign_in()
    address, end_session, ended = request_of(browser), people.end_session, []

    def failing(**arguments: Any) -> None:
        ended.append(arguments)
        if len(ended) == 2:
            raise OperationalError
        end_session(**arguments)

    with monkeypatch.context() as patched:
        patched.setattr(people, "end_session", failing)
        assert Client().get(address).status_code == 503
    assert [each.me().status_code for each in (browser, other)] == [200, 200]
    assert Client().get(address).status_code == 302
    assert [each.me().status_code for each in (browser, other)] == [401, 401]


@pytest.mark.django_db(transaction=True)
def test_an_idp_logout_that_lost_a_race_is_tried_again(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Browser(connection=browser.connection, idp=browser.idp)
    for each in (browser, other):
        each.sign_in()
    address, looked_for, begun = request_of(browser), logout._sessions, []

    def told(*arguments: Any) -> list[Session]:
        begun.append(arguments)
        return looked_for(*arguments)

    monkeypatch.setattr(logout, "_sessions", told)
    first, last = Session.objects.order_by("pk")
    locked = Session.objects.select_for_update()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            locked.get(pk=last.pk)
            answer = pool.submit(closing(Client(raise_request_exception=False).get), address)
            until_somebody_waits()
            # Each has what the other wants: PostgreSQL ends the one that has waited longer.
            locked.get(pk=first.pk)
        assert answer.result(30).status_code == 302
    assert len(begun) == 2
    assert [each.me().status_code for each in (browser, other)] == [401, 401]
    assert AuditRecord.objects.filter(reason=Act.SESSION_ENDED).count() == 2


def test_an_idp_logout_that_is_opened_twice_is_answered_twice(browser: Browser) -> None:
    browser.sign_in()
    address = request_of(browser)
    first, second = browser.client.get(address), browser.client.get(address)
    answers = [
        parse(inflate(parse_qs(urlsplit(one["Location"]).query)["SAMLResponse"][0]))
        for one in (first, second)
    ]
    assert answers[0].get("InResponseTo") == answers[1].get("InResponseTo")
    assert AuditRecord.objects.filter(reason=Act.SESSION_ENDED).count() == 1


def test_what_was_answered_once_ends_nothing_later(browser: Browser) -> None:
    browser.sign_in()
    address = request_of(browser)
    assert browser.client.get(address).status_code == 302
    browser.sign_in()
    assert browser.client.get(address).status_code == 302
    assert browser.me().status_code == 200
    with travel(now() + timedelta(seconds=31)):
        assert browser.client.get(address).status_code == 403
    assert Client().get(address).status_code == 403, "another browser's"


def test_whose_sign_out_was_refused_learns_that_she_may_still_be_signed_in(browser: Browser) -> None:
    browser.sign_in()
    page = browser.client.get(request_of(browser, ago=timedelta(hours=1)))
    text = page.content.decode()
    assert (page.status_code, "You may still be signed in here" in text) == (403, True)
    assert LoginAttempt.objects.get(reason="saml:too-old").reference in text
    assert 'href="/logout/"' in text
    assert browser.me().status_code == 200


@pytest.mark.parametrize(
    ("known", "query", "status", "reason", "sentence"),
    [
        pytest.param(True, "", 400, "saml:malformed", "no message", id="without a message"),
        pytest.param(True, "?SAMLRequest=", 400, "saml:malformed", "no message", id="with an empty one"),
        pytest.param(False, "", 404, "connection:unknown", "out of date", id="of no connection"),
        pytest.param(
            False, "?SAMLRequest=x", 404, "connection:unknown", "out of date", id="of none, with a message"
        ),
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_an_address_to_sign_out_at_speaks_of_signing_out(
    browser: Browser, method: str, known: bool, query: str, status: int, reason: str, sentence: str
) -> None:
    browser.sign_in()
    connection = browser.connection.pk if known else uuid4()
    page = getattr(browser.client, method)(f"/saml/{connection}/logout{query}")
    text = page.content.decode()
    assert page.status_code == status
    assert all(part in text for part in ("nothing has changed", sentence, 'href="/logout/"'))
    assert not any(part in text for part in ("Start again", "could not be signed in", "sign-in page"))
    assert LoginAttempt.objects.get(reason=reason).reference in text
    assert browser.me().status_code == 200


@dataclass(frozen=True, kw_only=True)
class Said:
    """How the IdP signs a person in, and by what it signs her out."""

    mapping: dict[str, Any] = field(default_factory=dict)
    name_id: str = "ada@corp.example"
    format: str = EMAIL
    qualifier: str = ""
    attributes: dict[str, list[str]] = field(default_factory=dict)
    logout: dict[str, str] = field(default_factory=dict)

    def signs_in(self, browser: Browser, **changes: Any) -> None:
        attributes = {"email": ["ada@corp.example"]} | self.attributes
        told = {"name_id": self.name_id, "name_id_format": self.format, "attributes": attributes} | changes
        facts = browser.facts(**told)
        xml = assertion_xml(facts)
        if self.qualifier:
            xml = xml.replace("<saml:NameID ", f'<saml:NameID NameQualifier="{self.qualifier}" ')
        answer = browser.post(response_xml(facts, sign(xml, browser.idp.keys, id=facts.assertion_id)))
        assert answer.status_code == 302, answer.content

    def signs_out(self, browser: Browser) -> HttpResponse:
        return logout_by_idp(browser, **{"name_id": self.name_id, "format": self.format} | self.logout)


def logout_by_idp(browser: Browser, **named: Any) -> HttpResponse:
    path = f"/saml/{browser.connection.pk}/logout"
    xml = browser.idp.logout_request(destination=f"{settings.HUB_PUBLIC_URL}{path}", at=now(), **named)
    answer: HttpResponse = Client().get(f"{path}?{browser.idp.signed_query(xml)}")
    return answer


BY_UID: dict[str, Any] = {
    "mapping": {"user_name_attribute": "uid"},
    "attributes": {"uid": ["ada"], "email": ["ada@corp.example"]},
}
OTHERS = "https://realm.example"
ENDS = {
    "an e-mail address, where the userName is an attribute": Said(**BY_UID),
    "a NameID without a format, where the userName is an attribute": Said(**BY_UID, format=UNSPECIFIED),
    "a persistent NameID, where the userName is an attribute": Said(
        **BY_UID, name_id="p-4711", format=PERSISTENT
    ),
    "a NameID that names no person for longer than a session": Said(
        **BY_UID, name_id="_t-1", format=TRANSIENT
    ),
    "an asserted e-mail address, named without a format": Said(logout={"format": UNSPECIFIED}),
    "a NameID with a qualifier, named without one": Said(qualifier=OTHERS),
    "a NameID without a qualifier, named with the IdP's own": Said(
        logout={"qualifier": "https://idp.example/metadata"}
    ),
    "only a SessionIndex that is known": Said(
        logout={"name_id": "somebody", "session_index": "_s-2f51e07ab46ca3d9"}
    ),
}


@pytest.mark.parametrize("said", ENDS.values(), ids=ENDS)
def test_an_idp_logout_ends_every_session_of_the_subject_by(browser: Browser, said: Said) -> None:
    Connection.objects.update(**said.mapping)
    others = [Browser(connection=browser.connection, idp=browser.idp) for _ in range(2)]
    bob = {"uid": ["bob"], "email": ["bob@corp.example"]}
    said.signs_in(browser, session_index="_s-2f51e07ab46ca3d9")
    said.signs_in(others[0], session_index="_s-00000000000000ff")
    said.signs_in(others[1], name_id="bob@corp.example", attributes=bob)
    assert said.signs_out(browser).status_code == 302
    assert [each.me().status_code for each in (browser, *others)] == [401, 401, 200]


def test_a_name_of_one_session_ends_the_person_s_others_too(browser: Browser) -> None:
    """As a transient NameID, which is another one for each session."""
    Connection.objects.update(user_name_attribute="uid")
    other = Browser(connection=browser.connection, idp=browser.idp)
    said = Said(**BY_UID, name_id="_t-1", format=TRANSIENT)
    said.signs_in(browser)
    said.signs_in(other, name_id="_t-2")
    said.signs_out(browser)
    assert [each.me().status_code for each in (browser, other)] == [401, 401]


def test_a_person_who_was_renamed_since_is_signed_out_by_the_name_of_the_session(browser: Browser) -> None:
    said = Said(**BY_UID)
    Connection.objects.update(**said.mapping)
    said.signs_in(browser)
    Account.objects.update(user_name="augusta", user_name_key="augusta", subject_value="p-1")
    said.signs_out(browser)
    assert browser.me().status_code == 401


ENDS_NONE = {
    "another's name": Said(logout={"name_id": "bob@corp.example"}),
    "the name in other letters": Said(logout={"name_id": "ADA@corp.example"}),
    "the userName, which the IdP never called a NameID": Said(**BY_UID, logout={"name_id": "ada"}),
    "the same value as a persistent NameID": Said(logout={"format": PERSISTENT}),
    "the same value in another realm": Said(qualifier=OTHERS, logout={"qualifier": "https://x.example"}),
    "a SessionIndex that may be a counter": Said(logout={"name_id": "somebody", "session_index": "_s-2"}),
}


@pytest.mark.parametrize("said", ENDS_NONE.values(), ids=ENDS_NONE)
def test_an_idp_logout_that_names_nobody_here_is_a_success_and_noted_for(
    browser: Browser, said: Said, caplog: pytest.LogCaptureFixture
) -> None:
    Connection.objects.update(**said.mapping)
    said.signs_in(browser, session_index="_s-2")
    answer = said.signs_out(browser)
    response = parse(inflate(parse_qs(urlsplit(answer["Location"]).query)["SAMLResponse"][0]))
    assert response.find(f".//{{{SAMLP}}}StatusCode").get("Value") == SUCCESS
    assert browser.me().status_code == 200
    assert "logout:no-session" in caplog.text
    assert str(browser.connection.pk) in caplog.text
    assert "corp.example" not in caplog.text


def test_an_idp_logout_ends_no_session_of_another_connection(browser: Browser, tenant: Tenant) -> None:
    idp = TestIdp(entity_id="https://second.example", keys=key_pair("corp"))
    second = Browser(connection=make_connection(tenant, idp, name="Second"), idp=idp)
    browser.sign_in()
    second.sign_in(attributes={"email": ["eve@corp.example"]})
    assert logout_by_idp(second, name_id="p-4711").status_code == 302
    assert [each.me().status_code for each in (browser, second)] == [200, 401]


def test_what_the_idp_calls_a_person_is_in_no_log(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        browser.sign_in()
        sign_out(browser)
    assert "p-4711" not in caplog.text
