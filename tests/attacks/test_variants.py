"""What real IdPs send, in all the ways that the standard allows: everybody gets in, as the person that was meant."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
import xmlsec
from lxml import etree

from provisioning.models import Identity, Session
from tests.saml_sp.idp import (
    EMAIL,
    SAML,
    SAMLP,
    UNSPECIFIED,
    TestIdp,
    assertion_xml,
    encode,
    encrypt,
    ending,
    key_pair,
    parse,
    response_xml,
    sign,
    stamp,
)

from .scene import Make, Message, Scene, Sent, edited, find, post, samlp, to_text

C = xmlsec.constants
CM = "urn:oasis:names:tc:SAML:2.0:cm"
CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims"
URI = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
ADA = ("ada@corp.example", "Ada", "Lovelace")


@dataclass(frozen=True, kw_only=True)
class Variant:
    name: str
    make: Make
    idp: Callable[[TestIdp], TestIdp] | None = None

    def __str__(self) -> str:
        return self.name


VARIANTS: list[Variant] = []


def variant(name: str, make: Make, **more: Any) -> None:
    VARIANTS.append(Variant(name=name, make=make, **more))


def minted(*edits: Callable[[etree._Element], None], **changes: Any) -> Make:
    return lambda s: s.minted(*edits, **changes)


def shifted(**shifts: timedelta) -> Make:
    return lambda s: s.minted(**{name: s.facts.at + shift for name, shift in shifts.items()})


def said(attributes: dict[str, str], **changes: Any) -> Make:
    return lambda s: s.minted(attributes={name: [value] for name, value in attributes.items()}, **changes)


# What is signed, and how.

variant("the assertion signed", minted())
variant("the Response signed", minted(style="response"))
variant("both signed", lambda s: s.idp.signed_both(s.facts))
variant("the assertion signed, then encrypted", minted(style="encrypted"))
variant("the Response signed around an encrypted assertion", minted(style="sealed"))
variant(
    "both signed, and encrypted",
    lambda s: sign(s.minted(style="encrypted"), s.idp.keys, id=s.facts.response_id),
)
for _sha in ("Sha384", "Sha512"):
    variant(
        f"RSA with {_sha}",
        lambda s, sha=_sha: s.idp.signed_assertion(
            s.facts, signature=getattr(C, f"TransformRsa{sha}"), digest=getattr(C, f"Transform{sha}")
        ),
    )
variant(
    "ECDSA",
    lambda s: s.idp.signed_assertion(s.facts, signature=C.TransformEcdsaSha256),
    idp=lambda idp: TestIdp(entity_id=idp.entity_id, keys=key_pair("curve", curve=True)),
)
variant(
    "signed with the second key of the metadata",
    minted(),
    idp=lambda idp: TestIdp(
        entity_id=idp.entity_id, keys=key_pair("corp"), more_certificates=(key_pair("older"),)
    ),
)
variant(
    "signed with a key whose certificate has run out, beside a newer one",
    minted(),
    idp=lambda idp: TestIdp(
        entity_id=idp.entity_id,
        keys=ending("expired", datetime(2021, 1, 1, tzinfo=UTC)),
        more_certificates=(key_pair("older"),),
    ),
)
variant(
    "signed with a key of which the metadata does not say what it is for",
    minted(),
    idp=lambda idp: TestIdp(entity_id=idp.entity_id, keys=key_pair("corp"), names_uses=False),
)
variant("no KeyInfo", lambda s: s.idp.signed_assertion(s.facts, key_info=False))
variant(
    "exclusive canonicalisation with comments, of which there are none",
    lambda s: s.idp.signed_assertion(
        s.facts, transforms=(C.TransformEnveloped, C.TransformExclC14NWithComments)
    ),
)
variant(
    "the enveloped transform alone",
    lambda s: s.idp.signed_response(s.facts, transforms=(C.TransformEnveloped,)),
)
for _cipher in ("Aes128Cbc", "Aes192Cbc", "Aes256Cbc", "Aes128Gcm", "Aes192Gcm", "Aes256Gcm"):
    variant(
        f"encrypted by {_cipher}",
        lambda s, cipher=_cipher: s.idp.encrypted(
            s.facts, s.sp_certificate, cipher=getattr(C, f"Transform{cipher}")
        ),
    )


def encrypted_part(scene: Scene, wrapper: str, part: etree._Element) -> etree._Element:
    return parse(encrypt(to_text(part), scene.sp_certificate, wrapper=wrapper))


def encrypted_name(scene: Scene) -> Message:
    def edit(assertion: etree._Element) -> None:
        name = find(assertion, "NameID")
        name.getparent().replace(name, encrypted_part(scene, "EncryptedID", name))

    return scene.minted(edit)


def encrypted_attribute(scene: Scene) -> Message:
    def edit(assertion: etree._Element) -> None:
        attribute = find(assertion, "Attribute")
        attribute.getparent().replace(attribute, encrypted_part(scene, "EncryptedAttribute", attribute))

    return scene.minted(edit)


variant("an encrypted NameID", encrypted_name)
variant("an encrypted attribute", encrypted_attribute)

# Every IdP's attributes.

ATTRIBUTE_STYLES: dict[str, dict[str, str]] = {
    "Okta": {"email": "{0}", "firstName": "{1}", "lastName": "{2}"},
    "Entra ID": {
        f"{CLAIMS}/emailaddress": "{0}",
        f"{CLAIMS}/givenname": "{1}",
        f"{CLAIMS}/surname": "{2}",
        "http://schemas.microsoft.com/identity/claims/displayname": "Ada Lovelace",
        "http://schemas.microsoft.com/identity/claims/tenantid": "6a0f8d62-3ad4-4bd9-9a68-6f4d1c2b8f11",
    },
    "ADFS": {f"{CLAIMS}/emailaddress": "{0}", f"{CLAIMS}/givenname": "{1}", f"{CLAIMS}/surname": "{2}"},
    "Google": {"email": "{0}", "first_name": "{1}", "last_name": "{2}"},
    "Keycloak": {
        "urn:oid:1.2.840.113549.1.9.1": "{0}",
        "urn:oid:2.5.4.42": "{1}",
        "urn:oid:2.5.4.4": "{2}",
        "Role": "uma_authorization",
    },
    "OneLogin": {"User.email": "{0}", "User.FirstName": "{1}", "User.LastName": "{2}"},
    "Shibboleth": {
        "urn:oid:0.9.2342.19200300.100.1.3": "{0}",
        "urn:oid:2.5.4.42": "{1}",
        "urn:oid:2.5.4.4": "{2}",
    },
    "SimpleSAMLphp": {"mail": "{0}", "givenName": "{1}", "sn": "{2}", "uid": "ada"},
}
for _product, _names in ATTRIBUTE_STYLES.items():
    variant(
        f"attributes as {_product} names them",
        said(
            {name: value.format(*ADA) for name, value in _names.items()},
            attribute_format=URI if _product in ("Shibboleth", "Keycloak") else UNSPECIFIED,
        ),
    )
variant(
    "the e-mail as the NameID only",
    said({"givenName": "Ada", "sn": "Lovelace"}, name_id=ADA[0], name_id_format=EMAIL),
)
variant("a user name as an unspecified NameID", minted(name_id="ada", name_id_format=UNSPECIFIED))
variant(
    "one e-mail in two attributes, in two spellings",
    said({"email": ADA[0], "mail": "Ada@Corp.Example", "givenName": "Ada", "sn": "Lovelace"}),
)
variant(
    "six hundred groups, and an attribute without a value",
    lambda s: s.minted(
        attributes=s.facts.attributes | {"groups": [f"group-{n}" for n in range(600)], "nothing": [""]}
    ),
)

# Confirmations, conditions, statements.


def confirmation(
    scene: Scene, method: str = f"{CM}:bearer", recipient: str = "https://other.example/acs"
) -> str:
    return (
        f'<saml:SubjectConfirmation Method="{method}"><saml:SubjectConfirmationData Recipient="{recipient}" '
        f'InResponseTo="_other" NotOnOrAfter="{stamp(scene.facts.at + timedelta(minutes=5))}"/>'
        "</saml:SubjectConfirmation>"
    )


variant(
    "several subject confirmations, one for us",
    lambda s: s.minted(
        extra_confirmations=confirmation(s) + confirmation(s, recipient="https://third.example")
    ),
)
variant(
    "a confirmation of another method beside ours",
    lambda s: s.minted(extra_confirmations=confirmation(s, f"{CM}:sender-vouches")),
)
variant(
    "a confirmation that names who presents it: the subject is who is signed in",
    minted(
        lambda a: find(a, "SubjectConfirmation").insert(
            0, parse(f'<saml:NameID xmlns:saml="{SAML}">presenter</saml:NameID>')
        )
    ),
)
variant(
    "several audiences in one restriction",
    minted(
        lambda a: find(a, "AudienceRestriction").append(
            parse(f'<saml:Audience xmlns:saml="{SAML}">https://other.example</saml:Audience>')
        )
    ),
)
variant("two restrictions that both name us", lambda s: s.minted(extra_audiences=(str(s.facts.audience),)))
for _condition in ("OneTimeUse", "ProxyRestriction"):
    variant(
        f"{_condition} among the conditions",
        minted(
            lambda a, name=_condition: find(a, "Conditions").append(
                parse(f'<saml:{name} xmlns:saml="{SAML}"/>')
            )
        ),
    )
variant(
    "an end of the session, and its index",
    lambda s: s.minted(session_not_on_or_after=s.facts.at + timedelta(hours=8), session_index="_s1"),
)
variant(
    "an Issuer that says that it is an entity",
    minted(lambda a: find(a, "Issuer").set("Format", "urn:oasis:names:tc:SAML:2.0:nameid-format:entity")),
)
variant(
    "a NameID with qualifiers",
    lambda s: s.minted(
        lambda a: find(a, "NameID").attrib.update(
            {"NameQualifier": s.idp.entity_id, "SPNameQualifier": str(s.facts.audience)}
        )
    ),
)
variant("an assertion without Destination around it", minted(destination=None))
variant(
    "Consent, and a message with the status",
    lambda s: edited(
        s.signed,
        lambda r: r.set("Consent", "urn:oasis:names:tc:SAML:2.0:consent:unspecified"),
        lambda r: etree.SubElement(samlp(r, "Status"), f"{{{SAMLP}}}StatusMessage").__setattr__(
            "text", "fine"
        ),
    ),
)
variant(
    "a status within the success",
    lambda s: edited(
        s.signed,
        lambda r: etree.SubElement(samlp(r, "StatusCode"), f"{{{SAMLP}}}StatusCode").set(
            "Value", "urn:x:partly"
        ),
    ),
)

# Clocks.

variant("a clock fifty seconds ahead", lambda s: s.minted(at=s.facts.at + timedelta(seconds=50)))
variant(
    "a clock fifty seconds behind, and no margin",
    lambda s: s.minted(
        at=s.facts.at - timedelta(seconds=50), not_on_or_after=s.facts.at - timedelta(seconds=50)
    ),
)
variant("valid from fifty seconds on", shifted(not_before=timedelta(seconds=50)))
variant("over for fifty seconds", shifted(not_on_or_after=timedelta(seconds=-50)))
variant("an hour's window, as Entra sends it", shifted(not_on_or_after=timedelta(minutes=60)))
for _name, _pattern in (("milliseconds", "{}.123Z"), ("seven digits of a second", "{}.1234567Z")):
    variant(
        f"times with {_name}",
        lambda s, pattern=_pattern: s.minted(
            lambda a: a.set("IssueInstant", pattern.format(stamp(s.facts.at)[:-1])),
            lambda a: find(a, "AuthnStatement").set("AuthnInstant", pattern.format(stamp(s.facts.at)[:-1])),
        ),
    )


def in_zone(hours: int, minutes: int) -> Callable[[etree._Element], None]:
    """Every time as it reads on a clock there."""
    zone = timezone(timedelta(hours=hours, minutes=minutes))

    def edit(root: etree._Element) -> None:
        for element in root.iter():
            for name in ("IssueInstant", "AuthnInstant", "NotBefore", "NotOnOrAfter", "SessionNotOnOrAfter"):
                if said := element.get(name):
                    element.set(name, datetime.fromisoformat(said).astimezone(zone).isoformat())

    return edit


for _hours, _minutes in ((0, 0), (2, 0), (-9, -30)):
    variant(
        f"every time with a zone, {_hours} hours and {_minutes} minutes from Greenwich",
        lambda s, hours=_hours, minutes=_minutes: s.minted(
            in_zone(hours, minutes),
            style="response",
            session_not_on_or_after=s.facts.at + timedelta(hours=8),
        ),
    )

# How it is written.

variant("with an XML declaration", lambda s: '<?xml version="1.0" encoding="UTF-8"?>\n' + s.signed)
variant("behind a byte order mark", lambda s: "\ufeff" + s.signed)
variant("with a comment before it", lambda s: "<!-- Generated by an IdP -->" + s.signed)
variant(
    "laid out in lines, before it was signed",
    minted(lambda a: etree.indent(a, space="    ")),
)
variant(
    "a NameID on a line of its own",
    minted(lambda a: find(a, "NameID").__setattr__("text", "\n      p-4711\n    ")),
)


def other_prefixes(scene: Scene) -> Message:
    facts = scene.facts
    plain = assertion_xml(facts).replace("saml:", "saml2:").replace("xmlns:saml=", "xmlns:saml2=")
    whole = response_xml(facts, sign(plain, scene.idp.keys, id=facts.assertion_id))
    return whole.replace("samlp:", "saml2p:").replace("xmlns:samlp=", "xmlns:saml2p=")


def default_namespace(scene: Scene) -> Message:
    facts = scene.facts
    plain = (
        assertion_xml(facts).replace("<saml:", "<").replace("</saml:", "</").replace("xmlns:saml=", "xmlns=")
    )
    return response_xml(facts, sign(plain, scene.idp.keys, id=facts.assertion_id))


variant("with other prefixes", other_prefixes)
variant("without prefixes", default_namespace)
variant(
    "base64 in lines",
    lambda s: Sent(body=urlencode({"SAMLResponse": base64.encodebytes(s.signed.encode()).decode()}).encode()),
)
variant(
    "with fields that nobody asked for",
    lambda s: Sent(
        body=f"a=1&SAMLResponse={quote_plus(encode(s.signed))}&RelayState=x&SAMLRequest=&submit=Go".encode()
    ),
)
variant(
    "as parts of a form",
    lambda s: Sent(
        body=f"--x\r\nContent-Disposition: form-data; name=SAMLResponse\r\n\r\n{encode(s.signed)}\r\n--x--".encode(),
        content_type="multipart/form-data; boundary=x",
    ),
)

# Where nobody asked.


def unasked(style: str) -> Make:
    def make(scene: Scene) -> Message:
        there = scene.with_tiles()
        facts = there.facts
        return there.sent(there.minted(style=style, attributes=facts.attributes))

    return make


for _style in ("assertion", "response", "encrypted"):
    variant(f"a tile's answer where such are taken ({_style})", unasked(_style))


def assert_let_in(scene: Scene, variant: Variant) -> None:
    there = scene
    if variant.idp:
        there = scene.elsewhere(variant.idp(scene.idp))
    message = variant.make(there)
    if variant.idp:
        assert isinstance(message, str)
        message = there.sent(message)
    answer = post(there, message)
    browser = (message.browser if isinstance(message, Sent) else None) or there.browser
    assert (answer.status_code, answer.headers.get("Location")) == (302, "/me/"), answer.content
    assert browser.me().status_code == 200
    person = Identity.objects.get(tenant=browser.connection.tenant)
    assert person.user_name in ("p-4711", "ada", "ada@corp.example")
    assert person.email.startswith("ada@")
    if person.email == ADA[0]:
        assert (person.given_name, person.family_name) == ADA[1:]
    assert Session.objects.get(tenant_id=person.tenant_id).identity_id == person.pk


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_everybody_gets_in_with(scene: Scene, variant: Variant) -> None:
    assert_let_in(scene, variant)
