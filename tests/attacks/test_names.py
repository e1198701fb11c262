"""Who an honest IdP says somebody is, where he had a hand in it: e-mails, domains, look-alikes, and pre-hijacks.

In a pre-hijack the attacker gives himself the self-editable e-mail, name or number of somebody who is about to be
hired, or is known already, and hopes to be taken for her in one of two ways: her account becomes his, or his hers.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from provisioning.models import Account, Connection, Identity
from provisioning.services.tokens import issue_token
from saml_sp.models import LoginAttempt
from tests.provisioning.cast import OPERATOR, House
from tests.saml_sp.idp import EMAIL, TRANSIENT, UNSPECIFIED
from tests.saml_sp.parties import make_connection
from tests.scim.clients import ENTERPRISE_URN, USER_URN, Idp

from .scene import Attack, Attacks, Message, Scene, assert_refused, find

ATTACKS = Attacks()


def with_email(*values: str, **more: list[str]) -> Callable[[Scene], Message]:
    return lambda s: s.minted(attributes={"email": list(values), **more})


# Several e-mails, or none.

ATTACKS.row("two e-mail addresses", "saml:emails-disagree", with_email("a@corp.example", "b@corp.example"))
ATTACKS.row(
    "one of our domain and one of another",
    "saml:emails-disagree",
    with_email("a@corp.example", "a@evil.example"),
)
ATTACKS.row(
    "two e-mail attributes that disagree",
    "saml:emails-disagree",
    with_email("a@corp.example", mail=["b@corp.example"]),
)
ATTACKS.row(
    "two spellings of one attribute that disagree",
    "saml:emails-disagree",
    with_email("a@corp.example", EMAIL=["b@corp.example"]),
)
ATTACKS.row(
    "an e-mail NameID that disagrees with the attribute",
    "saml:emails-disagree",
    lambda s: s.minted(name_id="mallory@corp.example", name_id_format=EMAIL),
)
ATTACKS.row(
    "two addresses in one value",
    "login:profile-incomplete",
    with_email("a@evil.example,ada@corp.example"),
    uses_up=True,
)
ATTACKS.row(
    "an address in the name of an address",
    "login:profile-incomplete",
    with_email('"a@evil.example"@corp.example'),
    uses_up=True,
)
ATTACKS.row(
    "an address with its person's name",
    "login:profile-incomplete",
    with_email("Ada <ada@corp.example>"),
    uses_up=True,
)
ATTACKS.row(
    "no e-mail at all", "login:profile-incomplete", lambda s: s.minted(attributes={"sn": ["x"]}), uses_up=True
)

# Foreign domains through just-in-time accounts.

FOREIGN = {
    "another domain": "boss@other.example",
    "a subdomain of ours": "boss@evil.corp.example",
    "the domain above ours": "boss@example",
    "a domain that ends like ours": "boss@notcorp.example",
    "a domain that begins like ours": "boss@corp.example.evil.example",
    "ours in Cyrillic": "boss@с\u043erp.example",  # noqa: RUF001 - the attack
    "ours as the world writes the Cyrillic one": "boss@xn--rp-emcl.example",
}
for _name, _email in FOREIGN.items():
    ATTACKS.row(f"an e-mail of {_name}", "login:domain-not-allowed", with_email(_email), uses_up=True)
UNUSABLE = {
    "ours with a dot after it": "boss@corp.example.",
    "ours with a blank of Unicode after it": "boss@corp.example\u3000",
    "ours in a wide letter": "boss@ｃorp.example",  # noqa: RUF001 - the attack
    "ours with a wide full stop": "boss@corp。example",
    "ours behind a wide @": "boss＠corp.example",  # noqa: RUF001 - the attack
    "ours with a soft hyphen": "boss@co\u00adrp.example",
    "ours with a letter that has no width": "boss@co\u200brp.example",
    "ours by its number": "boss@[127.0.0.1]",
    "ours with a comment": "boss@(evil.example)corp.example",
    "ours, and a line more": "boss@corp.example\nbcc: x@evil.example",
    "ours, with the Kelvin sign in the name": "boo\u212a@corp.example",
}
for _name, _email in UNUSABLE.items():
    ATTACKS.row(f"an e-mail of {_name}", "login:profile-incomplete", with_email(_email), uses_up=True)


@ATTACKS("an e-mail in a domain of another tenant", "login:domain-not-allowed", uses_up=True)
def domain_of_another_tenant(scene: Scene) -> Message:
    there = scene.elsewhere()
    return scene.minted(attributes=there.facts.attributes)


# Keys that are none.

ATTACKS.row(
    "a NameID that is another one each time",
    "login:subject-transient",
    lambda s: s.minted(name_id_format=TRANSIENT),
    uses_up=True,
)
ATTACKS.row(
    "a NameID that stands for nothing",
    "login:subject-transient",
    lambda s: s.minted(name_id="null"),
    uses_up=True,
)
ATTACKS.row(
    "a NameID with a blank of Unicode after it",
    "login:subject-transient",
    lambda s: s.minted(name_id="p-4711\u00a0"),
    uses_up=True,
)
ATTACKS.row(
    "a NameID that turns its letters round",
    "login:subject-transient",
    lambda s: s.minted(name_id="nimda\u202e"),
    uses_up=True,
)
ATTACKS.row(
    "a NameID of a thousand letters",
    "saml:attribute-too-long",
    lambda s: s.minted(name_id="x" * 1000),
    uses_up=True,
)


@ATTACKS("two values of the attribute that is the key", "saml:attribute-ambiguous")
def two_keys(scene: Scene) -> Message:
    there = scene.elsewhere(external_id_attribute="oid")
    return there.sent(there.minted(attributes=there.facts.attributes | {"oid": ["1", "2"]}))


@ATTACKS("the attribute that is the key, in two spellings", "saml:attribute-ambiguous")
def two_spellings(scene: Scene) -> Message:
    there = scene.elsewhere(external_id_attribute="oid")
    return there.sent(there.minted(attributes=there.facts.attributes | {"oid": ["1"], "OID": ["2"]}))


def key_from_an_email(name: str, friendly_name: str) -> Callable[[Scene], Message]:
    """The key of somebody who is about to be hired, in an e-mail attribute: whoever edits that becomes her."""

    def make(scene: Scene) -> Message:
        there = scene.elsewhere()
        # As it was set before the configuration refused that.
        Connection.objects.filter(pk=there.connection.pk).update(
            external_id_attribute="oid", attribute_map={"email": ["work_mail"]}
        )
        (mine,) = there.facts.attributes["email"]

        def edit(assertion: etree._Element) -> None:
            find(assertion, "Attribute").set("FriendlyName", friendly_name)

        return there.sent(there.minted(edit, attributes={name: ["oid-grace"], "work_mail": [mine]}))

    return make


ATTACKS.row(
    "a key from an e-mail attribute whose FriendlyName is the key's",
    "login:profile-incomplete",
    key_from_an_email("mail", "oid"),
    uses_up=True,
)
ATTACKS.row(
    "a key from an attribute whose FriendlyName is an e-mail's",
    "login:profile-incomplete",
    key_from_an_email("oid", "work_mail"),
    uses_up=True,
)


# Where logins create nobody.


def with_jit(mode: str) -> Callable[[Scene], Message]:
    def make(scene: Scene) -> Message:
        there = scene.elsewhere(jit=mode)
        return there.sent(there.signed)

    return make


ATTACKS.row("a stranger where logins create nobody", "login:no-account", with_jit("off"), uses_up=True)
ATTACKS.row(
    "a stranger where only known people come in", "login:no-account", with_jit("existing"), uses_up=True
)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_nobody_comes_in_by(scene: Scene, attack: Attack) -> None:
    assert_refused(scene, attack)


# Pre-hijack.

HERS: dict[str, Any] = {
    "schemas": [USER_URN, ENTERPRISE_URN],
    "userName": "grace@corp.example",
    "externalId": "oid-grace",
    "active": True,
    "displayName": "Grace Hopper",
    "name": {"givenName": "Grace", "familyName": "Hopper"},
    "emails": [{"value": "grace@corp.example", "type": "work", "primary": True}],
    ENTERPRISE_URN: {"employeeNumber": "1906"},
}
HIS: dict[str, dict[str, list[str]]] = {
    "her e-mail": {"email": ["grace@corp.example"]},
    "her e-mail in capitals": {"email": ["GRACE@CORP.EXAMPLE"]},
    "her display name and e-mail": {
        "email": ["grace@corp.example"],
        "displayName": ["Grace Hopper"],
        "givenName": ["Grace"],
        "sn": ["Hopper"],
    },
    "her number": {"email": ["mallory@corp.example"], "employeeNumber": ["1906"]},
    "her e-mail and number": {"email": ["grace@corp.example"], "employeeNumber": ["1906"]},
    "her user name, in an attribute that is none": {
        "email": ["mallory@corp.example"],
        "userName": ["grace@corp.example"],
        "uid": ["grace@corp.example"],
    },
    "her externalId, in an attribute that is none": {
        "email": ["mallory@corp.example"],
        "externalId": ["oid-grace"],
        "objectid": ["oid-grace"],
    },
}


def scim_of(scene: Scene) -> Idp:
    """The same connection's SCIM side."""
    _, secret = issue_token(connection=scene.connection, actor=OPERATOR, reason="As agreed")
    return Idp(where=House(scene.connection.tenant, scene.connection, secret))


def hired(scene: Scene, document: dict[str, Any] = HERS) -> Account:
    answer = scim_of(scene).post("/Users", document)
    assert answer.status_code == 201, answer.content
    return Account.objects.get(pk=answer.json()["id"])


def his_login(scene: Scene, attributes: dict[str, list[str]], **changes: Any) -> int:
    facts = scene.browser.facts(name_id="p-mallory", attributes=attributes, **changes)
    return scene.browser.post(scene.idp.signed_assertion(facts)).status_code


def his(scene: Scene) -> Account | None:
    return Account.objects.filter(tenant=scene.connection.tenant, subject_value="p-mallory").first()


def assert_he_is_not_she(scene: Scene, hers: Account) -> None:
    who = scene.browser.me()
    assert who.status_code == 401 or who.json()["id"] != str(hers.identity_id)


def assert_no_head_start(scene: Scene, attributes: dict[str, list[str]]) -> None:
    """He comes first."""
    his_login(scene, attributes)
    hers = hired(scene)
    assert hers.subject_value == "", "his is not adopted"
    account = his(scene)
    if account is not None:
        assert account.pk != hers.pk
        assert account.identity_id is None or account.identity_id != hers.identity_id
    assert_he_is_not_she(scene, hers)
    # And he stays who he is, however often he comes.
    his_login(scene, attributes)
    hers.refresh_from_db()
    assert hers.subject_value == ""
    assert_he_is_not_she(scene, hers)


def assert_no_take_over(scene: Scene, attributes: dict[str, list[str]]) -> None:
    """She is there already."""
    hers = hired(scene)
    his_login(scene, attributes)
    hers.refresh_from_db()
    assert (hers.subject_value, hers.user_name) == ("", "grace@corp.example")
    assert_he_is_not_she(scene, hers)
    assert Identity.objects.get(pk=hers.identity_id).email == "grace@corp.example"


def assert_no_way_round(scene: Scene, attributes: dict[str, list[str]]) -> None:
    """She is there, and he comes through another connection of the tenant."""
    hers = hired(scene)
    second = make_connection(scene.connection.tenant, scene.idp, name="Second")
    beside = replace(scene, browser=scene.another_browser(second))
    his_login(beside, attributes)
    assert_he_is_not_she(beside, hers)
    account = his(scene)
    assert account is None or account.identity_id != hers.identity_id


@pytest.mark.parametrize("said", HIS)
def test_before_she_is_hired_an_account_with(scene: Scene, said: str) -> None:
    assert_no_head_start(scene, HIS[said])


@pytest.mark.parametrize("said", HIS)
def test_after_she_is_hired_a_login_with(scene: Scene, said: str) -> None:
    assert_no_take_over(scene, HIS[said])


@pytest.mark.parametrize("said", HIS)
def test_at_another_connection_of_the_tenant_a_login_with(scene: Scene, said: str) -> None:
    assert_no_way_round(scene, HIS[said])


NAMES = {
    "the Kelvin sign for her k": "\u212aate@corp.example",
    "a blank of Unicode after it": "kate@corp.example\u00a0",
    "an ideographic blank before it": "\u3000kate@corp.example",
    "a letter without width in it": "ka\u200bte@corp.example",
    "wide letters": "ｋａｔｅ@corp.example",  # noqa: RUF001 - the attack
    "a Cyrillic letter": "k\u0430te@corp.example",
    "a dot after it": "kate@corp.example.",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("format", [UNSPECIFIED, EMAIL])
def test_a_name_that_only_looks_like_hers_is_not_hers(scene: Scene, name: str, format: str) -> None:
    """Attack: he may write his own user name at the IdP, which tells the two names apart."""
    hers = hired(scene, HERS | {"userName": "kate@corp.example"})
    facts = scene.browser.facts(
        name_id=NAMES[name],
        name_id_format=format,
        attributes={} if format == EMAIL else {"email": ["mallory@corp.example"]},
    )
    scene.browser.post(scene.idp.signed_assertion(facts))
    hers.refresh_from_db()
    assert hers.subject_value == ""
    assert not LoginAttempt.objects.filter(account_id=hers.pk).exists()
    assert_he_is_not_she(scene, hers)
