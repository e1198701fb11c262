"""The four addresses of a connection: what they send out, what they take, what they do with rubbish."""

import base64
import html
import re
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.conf import settings
from django.db import connections
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from time_machine import travel

from identity_hub.core.clock import now
from provisioning.decision.reasons import FindingKind
from provisioning.models import Account, Connection, Identity, Session, Tenant
from saml_sp import errors, limits, tasks, urls
from saml_sp.browser import COOKIE, own_path
from saml_sp.models import ConsumedAssertion, LoginAttempt, PendingRequest

from .comparisons import assert_both_sides
from .idp import SAMLP, Asked, TestIdp, deflate, encode, key_pair, parse, response_xml, sign
from .parties import Browser, make_connection, make_tenant, nobody_came_in

MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"


def test_metadata_works_before_the_idp_is_configured(client: Client, tenant: Tenant) -> None:
    draft = make_connection(tenant, None, name="Draft")
    answer = client.get(reverse("saml:metadata", args=[draft.pk]))
    assert answer.status_code == 200
    root = parse(answer.content)
    assert root.get("entityID") == f"{settings.HUB_PUBLIC_URL}/saml/{draft.pk}/metadata"
    descriptor = root.find(f"{MD}SPSSODescriptor")
    assert descriptor.get("WantAssertionsSigned") == "true"
    assert descriptor.get("AuthnRequestsSigned") == "true"
    acs = descriptor.find(f"{MD}AssertionConsumerService")
    assert acs.get("Location") == f"{settings.HUB_PUBLIC_URL}/saml/{draft.pk}/acs"
    uses = {e.get("use") for e in descriptor.iter(f"{MD}KeyDescriptor")}
    assert uses == {"signing", "encryption"} or uses == {None}


def signed_query_by(query: str, certificate: x509.Certificate) -> bool:
    """Whether this certificate's key signed the query string as it was sent."""
    content, signature = query.split("&Signature=")
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    try:
        key.verify(
            base64.b64decode(unquote_plus(signature)), content.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
    except InvalidSignature:
        return False
    return True


def test_the_request_is_signed_with_sha256_over_the_query_as_sent(browser: Browser) -> None:
    asked = browser.start()
    query = urlsplit(asked.url).query
    assert parse_qs(query)["SigAlg"] == ["http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"]
    own = x509.load_pem_x509_certificate(Path(settings.SAML_SP_CERT_FILE).read_bytes())
    assert signed_query_by(query, own)
    assert asked.issuer == f"{settings.HUB_PUBLIC_URL}/saml/{browser.connection.pk}/metadata"
    assert asked.acs == f"{settings.HUB_PUBLIC_URL}/saml/{browser.connection.pk}/acs"


def test_an_idp_that_takes_only_posts_gets_a_signed_form(tenant: Tenant) -> None:
    binding = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
    idp = TestIdp(entity_id="https://post.example", keys=key_pair("corp"), sso_binding=binding)
    browser = Browser(connection=make_connection(tenant, idp), idp=idp)
    page = browser.client.get(reverse("saml:login", args=[browser.connection.pk]))
    assert page.status_code == 200
    found = re.search(rb'name="SAMLRequest" value="([^"]+)"', page.content)
    assert found is not None
    root = parse(base64.b64decode(found[1]))
    assert root.tag == f"{{{SAMLP}}}AuthnRequest"
    method = root.find(".//{http://www.w3.org/2000/09/xmldsig#}SignatureMethod")
    assert method.get("Algorithm") == "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
    asked = Asked(
        id=root.get("ID"), issuer=root[0].text, acs=root.get("AssertionConsumerServiceURL"), url=idp.sso
    )
    answer = browser.post(idp.signed_assertion(idp.facts(asked, now())))
    assert answer.status_code == 302


@pytest.mark.parametrize("public_url", ["https://hub.example", "http://localhost:8000"])
def test_the_login_cookie_fits_the_way_the_answer_comes(
    browser: Browser, settings: Any, public_url: str
) -> None:
    settings.HUB_PUBLIC_URL = public_url
    answer = browser.client.get(reverse("saml:login", args=[browser.connection.pk]))
    cookie = answer.cookies[COOKIE]
    secure = public_url.startswith("https")
    assert (cookie["samesite"], bool(cookie["secure"])) == (("None", True) if secure else ("Lax", False))
    assert cookie["httponly"]


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/a\nb",
        "me/",
        "/" + "x" * 3000,
        "",
        None,
        "///evil.example",
        "/%0d%0a\r\nLocation: x",
    ],
)
def test_nobody_is_sent_to_a_foreign_address(wanted: str | None) -> None:
    assert own_path(wanted) == "/me/"


def test_an_own_address_is_kept() -> None:
    assert own_path("/admin/?q=1#x") == "/admin/?q=1#x"


RUBBISH: dict[str, tuple[int, str, dict[str, str]]] = {
    "nothing": (400, "saml:malformed", {}),
    "no base64": (400, "saml:malformed", {"SAMLResponse": "%%% ümlaut"}),
    "base64 of rubbish": (
        400,
        "saml:malformed",
        {"SAMLResponse": base64.b64encode(b"\x00\xff rubbish").decode()},
    ),
    "another document": (400, "saml:malformed", {"SAMLResponse": encode("<a/>")}),
    "a deflated message": (400, "saml:malformed", {"SAMLResponse": deflate("<a/>")}),
    "an empty Response": (
        400,
        "saml:malformed",
        {"SAMLResponse": encode(f'<r:Response xmlns:r="{SAMLP}"/>')},
    ),
    "a Response with a date of nonsense": (
        400,
        "saml:malformed",
        {"SAMLResponse": encode(f'<r:Response xmlns:r="{SAMLP}" IssueInstant="9999-12-31T23:59:59-23:00"/>')},
    ),
    "300 KiB": (413, "saml:message-too-large", {"SAMLResponse": "A" * 300_000}),
    "900 KiB": (413, "saml:message-too-large", {"SAMLResponse": "A" * 900_000}),
    "2 MiB": (413, "saml:message-too-large", {"SAMLResponse": "A" * 2_000_000}),
    "two thousand fields": (413, "saml:message-too-large", {f"f{n}": "x" for n in range(2000)}),
    "very deep elements": (400, "saml:malformed", {"SAMLResponse": encode("<a>" * 5000 + "</a>" * 5000)}),
}


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_ends_on_a_calm_page(browser: Browser, name: str) -> None:
    status, reason, fields = RUBBISH[name]
    answer = browser.client.post(browser.acs, fields)
    assert answer.status_code == status
    attempt = LoginAttempt.objects.get()
    assert attempt.reason == reason
    assert attempt.reference in answer.content.decode()
    assert nobody_came_in()


def test_the_acs_takes_posts_only(browser: Browser) -> None:
    answer = browser.client.get(browser.acs)
    assert answer.status_code == 405
    assert answer["Allow"] == "POST"


@pytest.mark.parametrize("what", ["metadata", "login", "acs", "logout"])
def test_an_unknown_connection_is_a_calm_404(client: Client, db: None, what: str) -> None:
    answer = client.get(reverse(f"saml:{what}", args=[uuid.uuid4()]))
    assert answer.status_code == 404
    assert LoginAttempt.objects.get().reason == "connection:unknown"
    assert client.get(f"/saml/rubbish/{what}").status_code == 404


@pytest.mark.parametrize("status", ["draft", "frozen", "disabled"])
def test_nobody_signs_in_through_a_connection_that_is_not_active(browser: Browser, status: str) -> None:
    facts = browser.facts()
    Connection.objects.update(status=status)
    assert browser.post(browser.idp.signed_assertion(facts)).status_code == 403
    assert browser.client.get(reverse("saml:login", args=[browser.connection.pk])).status_code == 403
    assert nobody_came_in()


@pytest.mark.parametrize("metadata", ["", "<broken", '<!DOCTYPE x [<!ENTITY e "x">]><x>&e;</x>', "<x/>"])
def test_a_connection_without_usable_metadata_says_so(browser: Browser, metadata: str) -> None:
    facts = browser.facts()
    Connection.objects.update(idp_metadata=metadata, config_version=7)
    answer = browser.client.get(reverse("saml:login", args=[browser.connection.pk]))
    assert answer.status_code == 403
    assert LoginAttempt.objects.get().reason == "connection:not-configured"
    assert browser.post(browser.idp.signed_assertion(facts)).status_code == 403


def test_kept_metadata_that_names_no_protocol_says_so(browser: Browser) -> None:
    document = browser.connection.idp_metadata.replace(f'protocolSupportEnumeration="{SAMLP}"', "")
    Connection.objects.update(idp_metadata=document, config_version=7)
    assert browser.client.get(reverse("saml:login", args=[browser.connection.pk])).status_code == 403
    assert LoginAttempt.objects.get().reason == "connection:not-configured"


def test_a_double_click_ends_where_the_first_did_with_the_same_session(browser: Browser) -> None:
    message = browser.idp.signed_assertion(browser.idp.facts(browser.start("/me/?a=1"), now()))
    first = browser.post(message)
    del browser.client.cookies[settings.SESSION_COOKIE_NAME]  # the browser threw the first answer away
    second = browser.post(message)
    assert (first.status_code, second.status_code) == (302, 302)
    assert first["Location"] == second["Location"] == "/me/?a=1"
    name = settings.SESSION_COOKIE_NAME
    assert first.cookies[name].value == second.cookies[name].value
    assert browser.me().status_code == 200
    assert (Session.objects.count(), Account.objects.count()) == (1, 1)


def test_the_same_message_later_is_a_replay(browser: Browser) -> None:
    message = browser.idp.signed_assertion(browser.facts())
    assert browser.post(message).status_code == 302
    browser.client.post("/logout/", headers={"X-CSRFToken": "x"})
    with travel(now() + timedelta(minutes=2), tick=True):
        answer = browser.post(message)
    assert answer.status_code == 403
    assert settings.SESSION_COOKIE_NAME not in answer.cookies
    assert LoginAttempt.objects.first().reason == "saml:replayed"


def test_a_double_click_after_sign_out_does_not_revive_the_session(browser: Browser) -> None:
    message = browser.idp.signed_assertion(browser.facts())
    assert browser.post(message).status_code == 302
    Session.objects.all().delete()
    assert browser.post(message).status_code == 403
    assert browser.me().status_code == 401


def test_a_request_is_answered_once(browser: Browser) -> None:
    facts = browser.facts()
    assert browser.post(browser.idp.signed_assertion(facts)).status_code == 302
    again = facts.but(assertion_id="_another", response_id="_anotherresponse", name_id="p-9")
    assert browser.post(browser.idp.signed_assertion(again)).status_code == 403
    assert LoginAttempt.objects.first().reason == "saml:request-used"
    assert Identity.objects.count() == 1


def test_an_answer_after_ten_minutes_is_late(browser: Browser) -> None:
    asked = browser.start()
    with travel(now() + timedelta(minutes=11), tick=True):
        answer = browser.post(browser.idp.signed_assertion(browser.idp.facts(asked, now())))
        assert answer.status_code == 403
    attempt = LoginAttempt.objects.get()
    assert attempt.reason == "saml:request-expired"
    assert_both_sides(attempt)


@pytest.mark.django_db(transaction=True)
def test_one_message_posted_at_once_by_ten_threads_makes_one_session(browser: Browser) -> None:
    message = browser.idp.signed_assertion(browser.facts())
    cookie = browser.client.cookies[COOKIE].value
    answers: list[Any] = []
    gate = threading.Barrier(10)

    def post() -> None:
        client = Client()
        client.cookies[COOKIE] = cookie
        gate.wait(timeout=10)
        answers.append(client.post(browser.acs, {"SAMLResponse": encode(message)}))
        connections.close_all()

    threads = [threading.Thread(target=post) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert [a.status_code for a in answers] == [302] * 10
    assert len({a.cookies[settings.SESSION_COOKIE_NAME].value for a in answers}) == 1
    assert (Session.objects.count(), Identity.objects.count(), ConsumedAssertion.objects.count()) == (1, 1, 1)


# Logout by the IdP.


def _logout(browser: Browser, name_id: str = "p-4711", **options: Any) -> Any:
    url = f"{settings.HUB_PUBLIC_URL}/saml/{browser.connection.pk}/logout"
    xml = browser.idp.logout_request(destination=url, name_id=name_id, at=now())
    query = browser.idp.signed_query(xml, **options)
    return Client().get(f"{reverse('saml:logout', args=[browser.connection.pk])}?{query}")


@pytest.mark.parametrize("relay_state", ["state", ""], ids=["with a RelayState", "without one"])
def test_an_idp_that_takes_only_posts_is_answered_by_a_signed_form(tenant: Tenant, relay_state: str) -> None:
    post = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
    idp = TestIdp(entity_id="https://post.example", keys=key_pair("corp"), slo_binding=post)
    browser = Browser(connection=make_connection(tenant, idp), idp=idp)
    browser.sign_in()
    answer = _logout(browser, relay_state=relay_state)
    assert answer.status_code == 200
    assert f'action="{idp.slo}"'.encode() in answer.content
    fields = dict(re.findall(r'name="(\w+)" value="([^"]+)"', answer.content.decode()))
    assert fields.get("RelayState", "") == relay_state
    root = parse(base64.b64decode(fields["SAMLResponse"]))
    assert (root.tag, root.get("Destination")) == (f"{{{SAMLP}}}LogoutResponse", idp.slo)
    method = root.find(".//{http://www.w3.org/2000/09/xmldsig#}SignatureMethod")
    assert method.get("Algorithm") == "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    "lower_case", [False, True], ids=["upper-case escapes", "lower-case escapes as ADFS"]
)
def test_an_idp_logout_ends_the_sessions_of_the_subject(browser: Browser, lower_case: bool) -> None:
    assert browser.sign_in().status_code == 302
    other = Browser(connection=browser.connection, idp=browser.idp)
    assert other.sign_in(name_id="p-2", attributes={"email": ["bob@corp.example"]}).status_code == 302
    answer = _logout(browser, relay_state="state", lower_case=lower_case)
    assert answer.status_code == 302
    query = parse_qs(urlsplit(answer["Location"]).query)
    assert answer["Location"].startswith(browser.idp.slo)
    assert query["RelayState"] == ["state"]
    assert "Signature" in query
    assert browser.me().status_code == 401
    assert other.me().status_code == 200


def test_an_idp_logout_by_post(browser: Browser) -> None:
    assert browser.sign_in().status_code == 302
    url = f"{settings.HUB_PUBLIC_URL}/saml/{browser.connection.pk}/logout"
    xml = browser.idp.logout_request(destination=url, name_id="p-4711", at=now())
    signed = sign(xml, browser.idp.keys, id=parse(xml).get("ID"))
    answer = Client().post(
        reverse("saml:logout", args=[browser.connection.pk]), {"SAMLRequest": encode(signed)}
    )
    assert answer.status_code == 302
    assert browser.me().status_code == 401


def _forged_query(browser: Browser, url: str) -> str:
    mallory = TestIdp(entity_id=browser.idp.entity_id, keys=key_pair("mallory"))
    return mallory.signed_query(mallory.logout_request(destination=url, name_id="p-4711", at=now()))


def _unsigned_query(browser: Browser, url: str) -> str:
    xml = browser.idp.logout_request(destination=url, name_id="p-4711", at=now())
    return browser.idp.signed_query(xml).split("&SigAlg=")[0]


def _old_query(browser: Browser, url: str) -> str:
    at = now() - timedelta(hours=1)
    return browser.idp.signed_query(browser.idp.logout_request(destination=url, name_id="p-4711", at=at))


def _elsewhere_query(browser: Browser, url: str) -> str:
    xml = browser.idp.logout_request(destination="https://other.example/slo", name_id="p-4711", at=now())
    return browser.idp.signed_query(xml)


def _twice_query(browser: Browser, url: str) -> str:
    query = browser.idp.signed_query(browser.idp.logout_request(destination=url, name_id="x", at=now()))
    other = deflate(browser.idp.logout_request(destination=url, name_id="p-4711", at=now()))
    return f"{query}&{'&'.join(['SAMLRequest=' + other])}"


def _bomb_query(browser: Browser, url: str) -> str:
    return "SAMLRequest=" + deflate("<a>" + "x" * 50_000_000 + "</a>").replace("+", "%2B")


LOGOUT_ATTACKS = {
    "saml:signature-invalid": _forged_query,
    "saml:unsigned": _unsigned_query,
    "saml:too-old": _old_query,
    "saml:destination-foreign": _elsewhere_query,
    "saml:malformed": _twice_query,
    "saml:message-too-large": _bomb_query,
}


@pytest.mark.parametrize("reason", LOGOUT_ATTACKS)
def test_nobody_is_signed_out_by_a_bad_logout_request(browser: Browser, reason: str) -> None:
    assert browser.sign_in().status_code == 302
    url = f"{settings.HUB_PUBLIC_URL}/saml/{browser.connection.pk}/logout"
    query = LOGOUT_ATTACKS[reason](browser, url)
    answer = Client().get(f"{reverse('saml:logout', args=[browser.connection.pk])}?{query}")
    assert 400 <= answer.status_code < 500
    assert LoginAttempt.objects.first().reason == reason
    assert browser.me().status_code == 200


def test_a_recorded_logout_request_ends_nothing_later(browser: Browser) -> None:
    url = f"{settings.HUB_PUBLIC_URL}/saml/{browser.connection.pk}/logout"
    assert browser.sign_in().status_code == 302
    query = browser.idp.signed_query(browser.idp.logout_request(destination=url, name_id="p-4711", at=now()))
    address = f"{reverse('saml:logout', args=[browser.connection.pk])}?{query}"
    assert Client().get(address).status_code == 302
    assert browser.sign_in().status_code == 302
    assert Client().get(address).status_code == 403
    assert browser.me().status_code == 200


def test_a_logout_answer_or_nothing_at_all_is_answered_calmly(browser: Browser) -> None:
    address = reverse("saml:logout", args=[browser.connection.pk])
    assert Client().get(f"{address}?SAMLResponse=x").status_code == 200
    assert Client().get(address).status_code == 400
    assert Client().post(address).status_code == 400


# What one address may do.


def test_so_many_sign_ins_of_one_address_wait_and_no_more(browser: Browser, monkeypatch: Any) -> None:
    monkeypatch.setattr(limits, "STARTS_A_MINUTE", 3)
    address = reverse("saml:login", args=[browser.connection.pk])
    with travel(datetime(2026, 11, 22, 9, 0, 15, tzinfo=UTC), tick=False) as clock:
        assert [Client().get(address).status_code for _ in range(4)] == [302, 302, 302, 429]
        refused = Client().get(address)
        assert refused["Retry-After"] == "45"
        assert b"Try again in a minute" in refused.content
        assert Client(REMOTE_ADDR="192.0.2.9").get(address).status_code == 302
        clock.shift(45)
        assert Client().get(address).status_code == 302
    assert (PendingRequest.objects.count(), LoginAttempt.objects.count()) == (5, 0)


def test_of_an_address_that_fails_all_the_time_so_much_is_written_down(
    browser: Browser, monkeypatch: Any
) -> None:
    monkeypatch.setattr(limits, "NOTED_A_MINUTE", 2)
    with travel(datetime(2026, 11, 22, 9, 0, 15, tzinfo=UTC), tick=False):
        answers = [browser.post("<rubbish/>") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {400}
    assert [b"Reference" in answer.content for answer in answers] == [True, True, False, False, False]
    assert LoginAttempt.objects.count() == 2


def test_whoever_may_come_in_does_so_beside_an_address_that_fails_all_the_time(
    browser: Browser, monkeypatch: Any
) -> None:
    monkeypatch.setattr(limits, "NOTED_A_MINUTE", 1)
    for _ in range(3):
        browser.post("<rubbish/>")
    assert browser.sign_in().status_code == 302


@pytest.mark.parametrize(
    ("remote", "forwarded", "network"),
    [
        ("192.0.2.77", "", "192.0.2.0"),
        ("2001:db8:1:2::3", "", "2001:db8:1::"),
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.0"),
        ("", "", None),
    ],
)
def test_the_log_of_attempts_knows_the_network_and_not_the_address(
    browser: Browser, settings: Any, remote: str, forwarded: str, network: str | None
) -> None:
    settings.BEHIND_PROXY = bool(forwarded)
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    Client(REMOTE_ADDR=remote).post(browser.acs, headers=headers)
    assert LoginAttempt.objects.get().network == network


# What stays behind.


def test_tables_are_trimmed(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    assert browser.sign_in().status_code == 302
    assert browser.sign_in().status_code == 302
    # As if there were as many as several batches hold.
    monkeypatch.setattr(tasks, "AT_ONCE", 1)
    assert tasks.trim() == {"pending": 0, "consumed": 0, "tests": 0, "attempts": 0}
    with travel(now() + timedelta(days=31), tick=False):
        assert tasks.trim() == {"pending": 2, "consumed": 2, "tests": 0, "attempts": 2}
    assert not PendingRequest.objects.exists()


def test_the_log_of_attempts_holds_no_attribute_and_no_whole_address(browser: Browser) -> None:
    browser.sign_in(attributes={"email": ["boss@other.example"], "givenName": ["Secret"]})
    attempt = LoginAttempt.objects.get()
    text = f"{attempt.detail} {attempt}"
    assert "Secret" not in text
    assert "boss" not in text
    assert attempt.network == "127.0.0.0"
    assert str(attempt) == f"{attempt.reference}: login, domain not allowed"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        pytest.param(
            "AADSTS50105: the user 'ada@corp.example' is not assigned to a role",
            {"code": "AADSTS50105"},
            id="Entra's code without the address",
        ),
        pytest.param("MSIS7070: Ada Lovelace", {"code": "MSIS7070"}, id="AD FS's code without the name"),
        pytest.param("Ada Lovelace may not", {}, id="nothing of a name alone"),
        pytest.param("Call the help desk at evil.example", {}, id="nothing of what a stranger wrote"),
        pytest.param(
            "AADSTS5010512345, XMSIS7070, MSIS\u0667\u0660\u0667\u0660", {}, id="no code but theirs"
        ),
        pytest.param("a" * 180_000, {}, id="nothing of a long message"),
    ],
)
def test_of_what_an_idp_says_of_a_refusal_only_a_code_is_in_the_log_of_attempts(
    browser: Browser, said: str, kept: dict[str, str]
) -> None:
    facts = browser.facts(status="urn:oasis:names:tc:SAML:2.0:status:Responder")
    xml = browser.idp.signed_response(facts)
    browser.post(
        xml.replace("</samlp:Status>", f"<samlp:StatusMessage>{said}</samlp:StatusMessage></samlp:Status>")
    )
    assert LoginAttempt.objects.get().detail == {"status": "Responder"} | kept


def test_every_reason_has_its_sentence() -> None:
    folder = Path(errors.__file__).parent
    used = {
        reason
        for path in folder.rglob("*.py")
        if path.name != "errors.py"
        # The name of a log line is no reason.
        for reason in re.findall(r'(?<!_log\.warning\()"((?:saml|connection):[a-z-]+)"', path.read_text())
    }
    used -= {f"saml:{address.name}" for address in urls.urlpatterns}
    assert used - set(errors.MESSAGES) == set()
    unused = {reason for reason in errors.MESSAGES if not reason.startswith("login:")} - used
    assert unused == set()


def test_what_is_wrong_with_a_signature_or_a_cipher_reads_the_same() -> None:
    reasons = ("saml:unsigned", "saml:signature-invalid", "saml:decryption-failed", "saml:algorithm")
    assert len({errors.message_for(reason) for reason in reasons}) == 1


def test_the_documentation_lists_every_reason() -> None:
    page = Path(settings.BASE_DIR, "docs", "saml.md").read_text()
    listed = set(re.findall(r"`((?:saml|connection):[a-z-]+)`", page)) - {kind.value for kind in FindingKind}
    assert listed == {reason for reason in errors.MESSAGES if not reason.startswith("login:")}


# Starting again.


def start_again(answer: HttpResponse) -> str:
    link = re.search(r'href="([^"]+)">Start again<', answer.content.decode())
    assert link is not None
    return html.unescape(link.group(1))


def test_of_two_tabs_that_began_at_once_the_other_starts_again_to_where_it_wanted(browser: Browser) -> None:
    first = browser.start("/me/?tab=first&x=1")
    # The second one was on its way before the first one's cookie came.
    browser.client.cookies.clear()
    second = browser.start("/me/?tab=second")
    refused = browser.post(browser.idp.signed_assertion(browser.idp.facts(first, now())))
    assert (refused.status_code, LoginAttempt.objects.get().reason) == (403, "saml:browser-foreign")
    again = start_again(refused)
    assert again == "/login/?next=%2Fme%2F%3Ftab%3Dfirst%26x%3D1"
    assert "tab" not in str(LoginAttempt.objects.get().detail)
    arrived = browser.post(browser.idp.signed_assertion(browser.idp.facts(second, now())))
    assert arrived["Location"] == "/me/?tab=second"
    # She is signed in by the other tab meanwhile.
    assert browser.client.get(again)["Location"] == "/me/?tab=first&x=1"


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_starting_again_leads_to_no_other_site(browser: Browser, wanted: str) -> None:
    asked = browser.start(wanted)
    browser.client.cookies.clear()
    refused = browser.post(browser.idp.signed_assertion(browser.idp.facts(asked, now())))
    assert start_again(refused) == "/login/"
    # Also where such an address had been kept.
    PendingRequest.objects.update(next_path=wanted)
    refused = browser.post(browser.idp.signed_assertion(browser.idp.facts(asked, now())))
    assert start_again(refused) == "/login/"


def test_nothing_is_told_of_a_request_of_another_connection(browser: Browser, idp: TestIdp) -> None:
    asked = browser.start("/me/?tab=first")
    other = make_connection(make_tenant("other", "other.example"), idp, name="Other")
    there = Browser(connection=other, idp=idp)
    facts = there.facts().but(in_response_to=asked.id)
    assert start_again(there.post(there.idp.signed_assertion(facts))) == "/login/"


def cancelled(browser: Browser, asked: Asked) -> str:
    facts = browser.idp.facts(asked, now(), status="urn:oasis:names:tc:SAML:2.0:status:Responder")
    return response_xml(facts, "")


def test_whoever_cancels_at_the_idp_starts_again_to_where_she_wanted(browser: Browser) -> None:
    refused = browser.post(cancelled(browser, browser.start("/me/?x=1")))
    assert (refused.status_code, LoginAttempt.objects.get().reason) == (403, "saml:idp-refused")
    assert start_again(refused) == "/login/?next=%2Fme%2F%3Fx%3D1"
    assert "x=1" not in str(LoginAttempt.objects.get().detail)


def test_a_refusal_that_anybody_may_have_made_tells_nothing_of_anothers_request(browser: Browser) -> None:
    message = cancelled(browser, browser.start("/me/?x=1"))
    stranger = Browser(connection=browser.connection, idp=browser.idp)
    assert start_again(stranger.post(message)) == "/login/", "without a cookie"
    asked = stranger.start()
    assert start_again(stranger.post(message)) == "/login/", "with one of its own"
    nobody = browser.idp.facts(asked, now(), status="urn:oasis:names:tc:SAML:2.0:status:Responder")
    for named in (None, "_nobody"):
        unknown = response_xml(nobody.but(in_response_to=named), "")
        assert start_again(browser.post(unknown)) == "/login/"


def test_whoever_comes_too_late_starts_again_to_where_she_wanted(browser: Browser) -> None:
    asked = browser.start("/me/?late=1")
    with travel(now() + timedelta(minutes=11), tick=False):
        refused = browser.post(browser.idp.signed_assertion(browser.idp.facts(asked, now())))
    assert start_again(refused) == "/login/?next=%2Fme%2F%3Flate%3D1"
