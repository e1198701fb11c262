"""What every attack starts from and what must be true afterwards. Knows no attack.

The attacker has what a person of the organisation has: an account at the honest IdP, that is its signature over his own
facts; a key of his own; and whatever travels through his browser.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection as database
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from lxml import etree

from identity_hub.core.clock import now
from provisioning.models import Connection, Session
from provisioning.services import configuration
from saml_sp.models import LoginAttempt
from tests.provisioning.cast import OPERATOR
from tests.saml_sp.comparisons import assert_both_sides
from tests.saml_sp.idp import (
    DS,
    SAML,
    SAMLP,
    Asked,
    Facts,
    TestIdp,
    assertion_xml,
    encrypt,
    key_pair,
    parse,
    response_xml,
    sign,
)
from tests.saml_sp.parties import Browser, certificate_of, make_connection, make_tenant

SECONDS = 1.0
"""Within which every answer is given."""


class TooLate(AssertionError):
    """The answer was the right one, and took longer."""


Edit = Callable[[etree._Element], None]


def to_text(root: etree._Element) -> str:
    return etree.tostring(root, encoding="unicode")


def find(root: etree._Element, name: str, namespace: str = SAML) -> etree._Element:
    return next(root.iter(f"{{{namespace}}}{name}"))


def ds(root: etree._Element, name: str) -> etree._Element:
    return find(root, name, DS)


def samlp(root: etree._Element, name: str) -> etree._Element:
    return find(root, name, SAMLP)


def edited(xml: str, *edits: Edit) -> str:
    root = parse(xml)
    for edit in edits:
        edit(root)
    return to_text(root)


def strict_client() -> Client:
    return Client(enforce_csrf_checks=True)


@dataclass(frozen=True, kw_only=True)
class Scene:
    browser: Browser
    idp: TestIdp
    facts: Facts
    new_client: Callable[[], Client] = strict_client

    @property
    def sp_certificate(self) -> bytes:
        return certificate_of(self.connection)

    @property
    def connection(self) -> Connection:
        return self.browser.connection

    @property
    def signed(self) -> str:
        """The attacker's own genuine answer."""
        return self.idp.signed_assertion(self.facts)

    @property
    def forged(self) -> Facts:
        """What he would like to say: that he is the administrator."""
        return self.facts.but(name_id="administrator", assertion_id="_forged", response_id="_forgedresponse")

    def minted(self, *edits: Edit, style: str = "assertion", **changes: Any) -> str:
        """What the honest IdP would sign if it could be brought to say this: edited first, signed then.

        `style`: whether the assertion is signed, the Response, an assertion that is then encrypted, or a Response
        around an encrypted one (sealed). Edits are of the assertion, or of the Response that is signed.
        """
        facts = self.facts.but(**changes)
        if style == "sealed":
            hidden = encrypt(edited(assertion_xml(facts), *edits), self.sp_certificate)
            return sign(response_xml(facts, hidden), self.idp.keys, id=facts.response_id)
        if style == "response":
            whole = edited(response_xml(facts, assertion_xml(facts)), *edits)
            return sign(whole, self.idp.keys, id=facts.response_id)
        signed = sign(edited(assertion_xml(facts), *edits), self.idp.keys, id=facts.assertion_id)
        if style == "encrypted":
            signed = encrypt(signed, self.sp_certificate)
        return response_xml(facts, signed)

    def another_browser(self, connection: Connection | None = None, idp: TestIdp | None = None) -> Browser:
        return Browser(
            connection=connection or self.connection,
            idp=idp or self.idp,
            client=self.new_client(),
        )

    def at(self, browser: Browser, **changes: Any) -> "Scene":
        """The same attacker at another connection or in another browser, where he has started a login."""
        return replace(self, browser=browser, idp=browser.idp, facts=browser.facts(**changes))

    def elsewhere(self, idp: TestIdp | None = None, **fields: Any) -> "Scene":
        """The same at a tenant of its own, in a browser of its own."""
        name = f"t{secrets.token_hex(6)}"
        idp = idp or TestIdp(entity_id=f"https://{name}.example/metadata", keys=key_pair("elsewhere"))
        connection = make_connection(make_tenant(name, f"{name}.example"), idp, **fields)
        return self.at(self.another_browser(connection, idp), attributes={"email": [f"ada@{name}.example"]})

    def with_tiles(self) -> "Scene":
        """At a tenant whose connection takes answers that nobody asked for; nobody has asked."""
        there = self.elsewhere()
        configuration.change_connection(
            connection=there.connection, changes={"idp_initiated": True}, actor=OPERATOR, reason="As agreed"
        )
        return replace(there, facts=there.unasked())

    def sent(self, xml: str | bytes, **fields: str) -> "Sent":
        """This message, in this scene's browser to this scene's connection."""
        return Sent(xml=xml, fields=fields, browser=self.browser)

    def unasked(self, **changes: Any) -> Facts:
        base = f"{settings.HUB_PUBLIC_URL}/saml/{self.connection.pk}"
        nothing = Asked(id="", issuer=f"{base}/metadata", acs=f"{base}/acs", url="")
        facts = self.idp.facts(nothing, now(), in_response_to=None, confirmation_in_response_to=None)
        return facts.but(attributes=self.facts.attributes, **changes)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A request that is more than one message in an ordinary form to the ACS where the scene is."""

    xml: str | bytes | None = None
    """A message in an ordinary form; else `body` is sent as it is."""
    body: bytes = b""
    content_type: str = "application/x-www-form-urlencoded"
    method: str = "POST"
    path: str = ""
    query: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    browser: Browser | None = None


Message = str | bytes | Sent
Make = Callable[[Scene], Message]


@dataclass(frozen=True, kw_only=True)
class Attack:
    name: str
    reason: str
    make: Make
    cves: tuple[str, ...] = ()
    uses_up: bool = False
    """The message is genuine: it is used up before the person is refused."""

    def __str__(self) -> str:
        return self.name


class Attacks(list[Attack]):
    """The attacks of one class, each a row that is read aloud."""

    def __call__(self, name: str, reason: str, *cves: str, uses_up: bool = False) -> Callable[[Make], Make]:
        def keep(make: Make) -> Make:
            self.row(name, reason, make, *cves, uses_up=uses_up)
            return make

        return keep

    def row(self, name: str, reason: str, make: Make, *cves: str, uses_up: bool = False) -> None:
        self.append(Attack(name=name, reason=reason, make=make, cves=cves, uses_up=uses_up))


def rows() -> dict[str, int]:
    """How many rows each table holds."""
    tables = sorted(model._meta.db_table for model in apps.get_models(include_auto_created=True))
    asked = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in tables)  # noqa: S608 - our own names
    with database.cursor() as cursor:
        cursor.execute(asked)
        return dict(cursor.fetchall())


_AUDIT = {"provisioning_auditrecord", "provisioning_auditvalue"}
_GENUINE = ("login:", "saml:emails-disagree", "saml:attribute-ambiguous")
"""What is told to the audit, too: the message was believed, and who it spoke of was not let in."""
_READ = {"saml:emails-disagree", "saml:attribute-ambiguous"}
"""The message is used up as well, so that it is told once."""
_LOGIN_LOG = LoginAttempt._meta.db_table
_USED_UP = "saml_sp_consumedassertion"


@contextmanager
def no_row_but(expected: Mapping[str, int], *, audited: bool = False) -> Iterator[None]:
    """Exactly these rows are new; the audit is told of nobody whose message was not believed."""
    before = rows()
    yield
    new = {table: count - before[table] for table, count in rows().items() if count != before[table]}
    assert {table: n for table, n in new.items() if not (audited and table in _AUDIT)} == dict(expected)


def post(scene: Scene, message: Message) -> HttpResponse:
    if not isinstance(message, Sent):
        return scene.browser.post(message)
    browser = message.browser or scene.browser
    if message.xml is not None:
        return browser.post(message.xml, **message.fields)
    path = message.path or browser.acs
    return browser.client.generic(
        message.method,
        f"{path}?{message.query}" if message.query else path,
        message.body,
        content_type=message.content_type,
        headers=dict(message.headers),
    )


def at_once(took: float) -> float:
    if took >= SECONDS:
        raise TooLate(f"{took:.2f} s")
    return took


def assert_refused(scene: Scene, attack: Attack, *, clock: Callable[[], float] = time.process_time) -> float:
    """Nobody comes in, nothing is written but why, and at once. How long it took, by that clock.

    By default the processor's time counts: a busy machine is no attack.
    """
    message = attack.make(scene)
    browser = (message.browser if isinstance(message, Sent) else None) or scene.browser
    # What is left of an earlier sign-in of this browser would hide that this one failed.
    browser.client.cookies.pop(settings.SESSION_COOKIE_NAME, None)
    last = LoginAttempt.objects.order_by("-at").first()
    used_up = {_USED_UP: 1} if attack.uses_up or attack.reason in _READ else {}
    with no_row_but({_LOGIN_LOG: 1} | used_up, audited=attack.reason.startswith(_GENUINE)):
        began = clock()
        answer = post(scene, message)
        took = clock() - began
    attempt = LoginAttempt.objects.order_by("-at").first()
    assert attempt is not None
    assert attempt != last
    assert (attempt.reason, attempt.outcome) == (attack.reason, "refused"), (attempt.reason, attempt.detail)
    assert_both_sides(attempt)
    assert 400 <= answer.status_code < 500
    assert attempt.reference in answer.content.decode()
    assert settings.SESSION_COOKIE_NAME not in answer.cookies
    assert browser.me().status_code == 401
    return at_once(took)


def assert_nobody_leaves(
    scene: Scene,
    attack: Attack,
    *,
    clock: Callable[[], float] = time.process_time,
    refused_by_the_server: bool = False,
) -> float:
    """Who is signed in stays so, nothing is written but why, and at once. How long it took, by that clock.

    What the server refuses by itself never reaches the hub, so that nothing at all is written.
    """
    assert scene.browser.post(scene.signed).status_code == 302
    message = attack.make(scene)
    stranger = replace(scene, browser=scene.another_browser())
    sessions = Session.objects.count()
    with no_row_but({} if refused_by_the_server else {_LOGIN_LOG: 1}):
        began = clock()
        answer = post(stranger, message)
        took = clock() - began
    assert 400 <= answer.status_code < 500
    if not refused_by_the_server:
        attempt = LoginAttempt.objects.order_by("-at").first()
        assert attempt is not None
        assert (attempt.reason, attempt.outcome) == (attack.reason, "refused"), attempt.detail
        assert_both_sides(attempt)
    assert Session.objects.count() == sessions
    assert scene.browser.me().status_code == 200
    return at_once(took)


def logout_path(scene: Scene) -> str:
    return reverse("saml:logout", args=[scene.connection.pk])
