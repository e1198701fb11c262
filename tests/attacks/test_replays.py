"""Genuine answers used again, elsewhere, by another browser, or where nobody asked; and tenants beside each other."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings

from provisioning.models import Connection, Session
from provisioning.services import configuration
from saml_sp.browser import COOKIE
from saml_sp.models import PendingRequest
from tests.provisioning.cast import OPERATOR
from tests.saml_sp.idp import SAML, TestIdp, assertion_xml, encode, key_pair, parse, response_xml, sign, stamp
from tests.saml_sp.parties import Browser, make_connection

from .scene import Attack, Attacks, Message, Scene, Sent, assert_refused, edited, find, post, to_text

ATTACKS = Attacks()


def used(scene: Scene, style: str = "assertion", **changes: Any) -> tuple[Scene, str]:
    """A tenant of its own where the person has signed in with this message."""
    there = scene.elsewhere()
    message = there.minted(style=style, **changes)
    assert there.browser.post(message).status_code == 302
    return there, message


# Replay.


@ATTACKS("the same message in another browser", "saml:browser-foreign")
def another_browser(scene: Scene) -> Message:
    there, message = used(scene)
    thief = there.another_browser()
    thief.start()
    return Sent(xml=message, browser=thief)


@ATTACKS("the same message in a browser without cookies", "saml:browser-foreign")
def no_cookies(scene: Scene) -> Message:
    there, message = used(scene)
    return Sent(xml=message, browser=there.another_browser())


@ATTACKS("the same message in the same browser, after the session has ended", "saml:replayed")
def after_the_session(scene: Scene) -> Message:
    there, message = used(scene)
    Session.objects.filter(tenant_id=there.connection.tenant_id).delete()
    return Sent(xml=message, browser=there.browser)


@ATTACKS("the same assertion in a new Response", "saml:replayed")
def new_response(scene: Scene) -> Message:
    there, message = used(scene)
    return there.sent(edited(message, lambda r: r.set("ID", "_new")))


@ATTACKS("the same assertion, encrypted this time", "saml:replayed")
def encrypted_again(scene: Scene) -> Message:
    there = scene.elsewhere()
    signed = sign(assertion_xml(there.facts), there.idp.keys, id=there.facts.assertion_id)
    assert there.browser.post(response_xml(there.facts, signed)).status_code == 302
    hidden = there.idp.encrypted(there.facts, there.sp_certificate)
    return there.sent(hidden)


@ATTACKS("the same assertion in answer to a new request", "saml:request-foreign")
def new_request(scene: Scene) -> Message:
    there, message = used(scene)
    asked = there.browser.start()
    return there.sent(edited(message, lambda r: r.set("InResponseTo", asked.id)))


@ATTACKS("another assertion in answer to a used request", "saml:request-used", uses_up=True)
def used_request(scene: Scene) -> Message:
    there, _ = used(scene)
    return there.sent(there.minted(assertion_id="_another"))


@ATTACKS("an answer to a request that was left open too long", "saml:request-expired")
def left_open(scene: Scene) -> Message:
    there = scene.elsewhere()
    asked = PendingRequest.objects.filter(request_id=there.facts.in_response_to)
    assert asked.update(expires_at=there.facts.at - timedelta(seconds=1)) == 1
    return there.sent(there.signed)


@ATTACKS("a tile's answer a second time, the same bytes", "saml:replayed")
def tile_twice(scene: Scene) -> Message:
    there = scene.with_tiles()
    message = there.signed
    assert there.browser.post(message).status_code == 302
    return Sent(xml=message, browser=there.another_browser())


@ATTACKS("a tile's answer a second time, in another Response", "saml:replayed")
def tile_in_another(scene: Scene) -> Message:
    there = scene.with_tiles()
    message = there.signed
    assert there.browser.post(message).status_code == 302
    return Sent(xml=edited(message, lambda r: r.set("ID", "_new")), browser=there.another_browser())


@ATTACKS("a tile's answer that says that it is for one use, a second time", "saml:replayed", "CVE-2026-18967")
def one_use(scene: Scene) -> Message:
    there = scene.with_tiles()
    once = f'<saml:OneTimeUse xmlns:saml="{SAML}"/>'
    message = there.minted(
        lambda a: find(a, "Conditions").append(parse(once)), attributes=there.facts.attributes
    )
    assert there.browser.post(message).status_code == 302
    return Sent(xml=message, browser=there.another_browser())


# Where nobody asked.


@ATTACKS("an answer that nobody asked for, where none are taken", "saml:unsolicited")
def unasked(scene: Scene) -> Message:
    return scene.idp.signed_assertion(scene.unasked())


@ATTACKS("a stolen answer to a request, as if nobody had asked", "saml:request-foreign")
def request_left_out(scene: Scene) -> Message:
    there = scene.with_tiles()
    asked = there.browser.facts(attributes=there.facts.attributes)
    stolen = edited(there.idp.signed_assertion(asked), lambda r: r.attrib.pop("InResponseTo") and None)
    return Sent(xml=stolen, browser=there.another_browser())


@ATTACKS("a tile's answer that names a request", "saml:request-unknown")
def tile_with_a_request(scene: Scene) -> Message:
    there = scene.with_tiles()
    return there.sent(edited(there.signed, lambda r: r.set("InResponseTo", "_nobody")))


@ATTACKS("a tile's answer that somebody kept", "saml:too-old")
def kept_tile(scene: Scene) -> Message:
    there = scene.with_tiles()
    facts = there.facts.but(at=there.facts.at - timedelta(minutes=4))
    return there.sent(
        there.idp.signed_assertion(facts.but(not_on_or_after=there.facts.at + timedelta(minutes=5)))
    )


@ATTACKS("a tile's answer by an old authentication, where each is to be new", "saml:authentication-old")
def old_authentication(scene: Scene) -> Message:
    there = scene.with_tiles()
    configuration.change_connection(
        connection=there.connection, changes={"force_authn": True}, actor=OPERATOR, reason="As agreed"
    )
    earlier = stamp(there.facts.at - timedelta(minutes=5))
    return there.sent(
        there.minted(
            lambda a: find(a, "AuthnStatement").set("AuthnInstant", earlier),
        )
    )


# Another browser, another connection, another tenant.


@ATTACKS("the attacker's own answer, posted by the victim's browser (login CSRF)", "saml:browser-foreign")
def login_csrf(scene: Scene) -> Message:
    victim = scene.another_browser()
    victim.start()
    return Sent(xml=scene.signed, browser=victim)


@ATTACKS("a cookie of the attacker's own making", "saml:browser-foreign")
def made_up_cookie(scene: Scene) -> Message:
    victim = scene.another_browser()
    victim.client.cookies[COOKIE] = "A" * 43
    return Sent(xml=scene.signed, browser=victim)


@ATTACKS("a request of one connection, answered at another of the same tenant", "saml:request-unknown")
def other_connection(scene: Scene) -> Message:
    there = scene.elsewhere()
    second = make_connection(there.connection.tenant, there.idp, name="Second")
    beside = Browser(connection=second, idp=there.idp, client=there.browser.client)
    facts = beside.facts().but(in_response_to=there.facts.in_response_to)
    return Sent(xml=there.idp.signed_assertion(facts), browser=beside)


def tenants(scene: Scene) -> tuple[Scene, Scene]:
    """Ours, and one whose IdP is the attacker's own."""
    return scene.elsewhere(), scene.elsewhere(
        TestIdp(entity_id="https://evil.example/idp", keys=key_pair("evil"))
    )


@ATTACKS("another tenant's genuine answer", "saml:issuer-foreign")
def foreign_answer(scene: Scene) -> Message:
    ours, evil = tenants(scene)
    return ours.sent(evil.signed)


@ATTACKS("another tenant's assertion in a Response of our IdP's name", "saml:signature-invalid")
def disguised(scene: Scene) -> Message:
    ours, evil = tenants(scene)
    root = parse(evil.signed)
    find(root, "Issuer").text = ours.idp.entity_id
    root.set("Destination", ours.facts.acs)
    root.set("InResponseTo", ours.facts.in_response_to or "")
    return ours.sent(to_text(root))


@ATTACKS("another tenant's IdP names our hub and our request, truthfully signed", "saml:signature-invalid")
def minted_for_us(scene: Scene) -> Message:
    ours, evil = tenants(scene)
    facts = ours.facts.but(issuer=evil.idp.entity_id, response_issuer=ours.idp.entity_id)
    return ours.sent(evil.idp.signed_assertion(facts))


@ATTACKS("another tenant's IdP says that it is ours", "saml:signature-invalid")
def under_our_name(scene: Scene) -> Message:
    ours, evil = tenants(scene)
    return ours.sent(evil.idp.signed_assertion(ours.facts))


@ATTACKS("two tenants with one entity ID and each its own keys", "saml:signature-invalid")
def one_entity_id(scene: Scene) -> Message:
    ours = scene.elsewhere()
    twin = TestIdp(entity_id=ours.idp.entity_id, keys=key_pair("evil"))
    scene.elsewhere(twin)
    return ours.sent(twin.signed_assertion(ours.facts))


@ATTACKS("two tenants with one IdP: the answer for one at the other", "saml:destination-foreign")
def one_idp(scene: Scene) -> Message:
    ours = scene.elsewhere()
    beside = scene.elsewhere(ours.idp)
    return ours.sent(beside.signed)


@ATTACKS("two tenants with one IdP: the same, with a Response for the other", "saml:audience-foreign")
def one_idp_new_response(scene: Scene) -> Message:
    ours = scene.elsewhere()
    beside = scene.elsewhere(ours.idp)
    root = parse(response_xml(ours.facts, ""))
    root.append(find(parse(beside.signed), "Assertion"))
    return ours.sent(to_text(root))


@ATTACKS("two IdPs in the metadata of one connection, the other one answers", "saml:issuer-foreign")
def two_idps(scene: Scene) -> Message:
    ours = scene.elsewhere()
    other = TestIdp(entity_id="https://second.example/idp", keys=key_pair("evil"))
    return ours.sent(other.signed_assertion(ours.facts.but(issuer=other.entity_id)))


# Connections that sign nobody in.


def in_state(status: str) -> Callable[[Scene], Message]:
    def make(scene: Scene) -> Message:
        there = scene.elsewhere()
        message = there.signed
        Connection.objects.filter(pk=there.connection.pk).update(status=status)
        return there.sent(message)

    return make


ATTACKS.row("a genuine answer at a draft", "connection:not-active", in_state("draft"))
ATTACKS.row(
    "a genuine answer at a connection that was disabled after it was asked",
    "connection:not-active",
    in_state("disabled"),
    "CVE-2026-3009",
)


@ATTACKS("a tile's answer at a disabled connection", "connection:not-active", "CVE-2026-2603")
def tile_of_a_disabled_one(scene: Scene) -> Message:
    there = scene.with_tiles()
    Connection.objects.filter(pk=there.connection.pk).update(status="disabled")
    return there.sent(there.signed)


ATTACKS.row("a genuine answer at a frozen connection", "connection:frozen", in_state("frozen"))


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_nobody_comes_in_by(scene: Scene, attack: Attack) -> None:
    assert_refused(scene, attack)


def test_a_planted_session_cookie_is_worth_nothing_afterwards(scene: Scene) -> None:
    """Attack (session fixation): the victim signs in with a session whose key the attacker knows."""
    planted = "abcdefghijklmnopqrstuvwxyz012345"
    scene.browser.client.cookies[settings.SESSION_COOKIE_NAME] = planted
    # `Browser.post` leaves the session cookie out, as browsers do; here it is sent along.
    answer = post(scene, Sent(body=urlencode({"SAMLResponse": encode(scene.signed)}).encode()))
    assert answer.status_code == 302
    assert answer.cookies[settings.SESSION_COOKIE_NAME].value != planted
    attacker = scene.another_browser()
    attacker.client.cookies[settings.SESSION_COOKIE_NAME] = planted
    assert attacker.me().status_code == 401


def test_a_replay_ends_no_session_of_the_person(scene: Scene) -> None:
    message = scene.signed
    assert scene.browser.post(message).status_code == 302
    assert scene.another_browser().post(message).status_code == 403
    assert scene.browser.me().status_code == 200
