"""Encryption proves nothing: anybody can encrypt for the hub. What it hides is judged like everything else."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
import xmlsec
from lxml import etree

from saml_sp.models import LoginAttempt
from tests.saml_sp.idp import DS, EMAIL, SAML, assertion_xml, encrypt, key_pair, parse, response_xml, sign

from .scene import Attack, Attacks, Edit, Message, Scene, assert_refused, edited, find, to_text

C = xmlsec.constants
XENC = "http://www.w3.org/2001/04/xmlenc#"
ATTACKS = Attacks()


def xenc(root: etree._Element, name: str, which: int = 0) -> etree._Element:
    return list(root.iter(f"{{{XENC}}}{name}"))[which]


def after(*edits: Edit) -> Callable[[Scene], Message]:
    """The attacker's own encrypted answer, changed."""
    return lambda s: edited(s.idp.encrypted(s.facts, s.sp_certificate), *edits)


def by(**options: Any) -> Callable[[Scene], Message]:
    return lambda s: s.idp.encrypted(s.facts, s.sp_certificate, **options)


def flip(value: etree._Element, byte: int, bits: int = 1) -> None:
    raw = bytearray(base64.b64decode(value.text))
    raw[byte] ^= bits
    value.text = base64.b64encode(bytes(raw)).decode()


ATTACKS.row(
    "an encrypted assertion that nobody signed",
    "saml:decryption-failed",
    lambda s: response_xml(s.forged, encrypt(assertion_xml(s.forged), s.sp_certificate)),
    "CVE-2024-4985",
    "CVE-2024-9487",
)
ATTACKS.row(
    "an encrypted assertion signed by the attacker",
    "saml:decryption-failed",
    lambda s: response_xml(
        s.forged,
        encrypt(sign(assertion_xml(s.forged), key_pair("mallory"), id="_forged"), s.sp_certificate),
    ),
)
ATTACKS.row(
    "encrypted for somebody else",
    "saml:decryption-failed",
    lambda s: s.idp.encrypted(s.facts, key_pair("mallory").certificate),
)
ATTACKS.row(
    "encrypted for another service and one key more, for us, of another message",
    "saml:decryption-failed",
    lambda s: edited(
        s.idp.encrypted(s.facts, key_pair("mallory").certificate),
        lambda r: xenc(r, "EncryptedKey").addnext(
            xenc(parse(s.idp.encrypted(s.facts, s.sp_certificate)), "EncryptedKey")
        ),
    ),
)
ATTACKS.row("RSA 1.5 key transport", "saml:algorithm", by(transport=C.TransformRsaPkcs1))
ATTACKS.row(
    "Triple DES",
    "saml:algorithm",
    after(lambda r: xenc(r, "EncryptionMethod").set("Algorithm", f"{XENC}tripledes-cbc")),
)
ATTACKS.row(
    "a cipher that does nothing",
    "saml:algorithm",
    after(lambda r: xenc(r, "EncryptionMethod").set("Algorithm", "urn:none")),
)
ATTACKS.row(
    "no cipher named",
    "saml:algorithm",
    after(lambda r: xenc(r, "EncryptedData").remove(xenc(r, "EncryptionMethod"))),
)
ATTACKS.row(
    "a cipher of another key length",
    "saml:decryption-failed",
    after(
        lambda r: xenc(r, "EncryptionMethod").set("Algorithm", "http://www.w3.org/2009/xmlenc11#aes128-gcm")
    ),
)
ATTACKS.row(
    "GCM taken for CBC, so that nothing is authenticated",
    "saml:decryption-failed",
    after(lambda r: xenc(r, "EncryptionMethod").set("Algorithm", f"{XENC}aes256-cbc")),
)
ATTACKS.row(
    "a tampered ciphertext", "saml:decryption-failed", after(lambda r: flip(xenc(r, "CipherValue", -1), 40))
)
ATTACKS.row("a tampered key", "saml:decryption-failed", after(lambda r: flip(xenc(r, "CipherValue"), 40)))
ATTACKS.row(
    "a tampered CBC ciphertext, as a padding oracle asks",
    "saml:decryption-failed",
    lambda s: edited(
        s.idp.encrypted(s.facts, s.sp_certificate, cipher=C.TransformAes256Cbc),
        lambda r: flip(xenc(r, "CipherValue", -1), -1),
    ),
)
ATTACKS.row(
    "a CBC ciphertext cut within a block",
    "saml:decryption-failed",
    lambda s: edited(
        s.idp.encrypted(s.facts, s.sp_certificate, cipher=C.TransformAes256Cbc),
        lambda r: shorten(xenc(r, "CipherValue", -1)),
    ),
)


def shorten(value: etree._Element) -> None:
    value.text = base64.b64encode(base64.b64decode(value.text)[:-5]).decode()


ATTACKS.row(
    "an empty ciphertext",
    "saml:decryption-failed",
    after(lambda r: setattr(xenc(r, "CipherValue", -1), "text", "")),
)
ATTACKS.row(
    "an EncryptedAssertion without anything",
    "saml:decryption-failed",
    after(lambda r: find(r, "EncryptedAssertion").clear()),
)
ATTACKS.row("no key", "saml:decryption-failed", after(lambda r: drop(next(r.iter(f"{{{DS}}}KeyInfo")))))


def drop(node: etree._Element) -> None:
    node.getparent().remove(node)


def referring(element: str, namespace: str, uri: str) -> Edit:
    def edit(root: etree._Element) -> None:
        holder = xenc(root, "CipherData")
        if element == "RetrievalMethod":
            holder = next(root.iter(f"{{{DS}}}KeyInfo"))
        else:
            holder.remove(holder[0])
        etree.SubElement(holder, f"{{{namespace}}}{element}").set("URI", uri)

    return edit


ATTACKS.row(
    "a CipherReference to an address",
    "saml:cipher-reference",
    after(referring("CipherReference", XENC, "http://127.0.0.1:9/secret")),
)
ATTACKS.row(
    "a CipherReference to a file",
    "saml:cipher-reference",
    after(referring("CipherReference", XENC, "file:///etc/passwd")),
)
ATTACKS.row(
    "a CipherReference into the document",
    "saml:cipher-reference",
    after(referring("CipherReference", XENC, "#x")),
)
ATTACKS.row(
    "a RetrievalMethod to an address",
    "saml:cipher-reference",
    after(referring("RetrievalMethod", DS, "http://127.0.0.1:9/key")),
)


@ATTACKS("two EncryptedData in one EncryptedAssertion", "saml:decryption-failed")
def two_data(scene: Scene) -> Message:
    root = parse(scene.idp.encrypted(scene.facts, scene.sp_certificate))
    data = xenc(root, "EncryptedData")
    data.addnext(parse(to_text(data)))
    return to_text(root)


# What is inside.


def hidden(inner: str, cipher: str = "EncryptedAssertion") -> Callable[[Scene], Message]:
    return lambda s: response_xml(s.facts, encrypt(inner, s.sp_certificate, wrapper=cipher))


ATTACKS.row(
    "something else inside",
    "saml:decryption-failed",
    hidden(f'<saml:NameID xmlns:saml="{SAML}">administrator</saml:NameID>'),
)
ATTACKS.row(
    "a whole Response inside",
    "saml:decryption-failed",
    lambda s: response_xml(s.facts, encrypt(s.idp.signed_response(s.facts), s.sp_certificate)),
)
ATTACKS.row(
    "an encrypted assertion inside an encrypted assertion",
    "saml:decryption-failed",
    lambda s: response_xml(s.facts, encrypt(encrypt(s.signed, s.sp_certificate), s.sp_certificate)),
)
ATTACKS.row(
    "a foreign InResponseTo inside the encryption",
    "saml:request-foreign",
    lambda s: s.minted(style="encrypted", confirmation_in_response_to="_other"),
)
ATTACKS.row(
    "no InResponseTo inside the encryption",
    "saml:request-foreign",
    lambda s: s.minted(style="encrypted", confirmation_in_response_to=None),
)
ATTACKS.row(
    "another service's Recipient inside",
    "saml:recipient-foreign",
    lambda s: s.minted(style="encrypted", recipient="https://other.example/acs"),
)
ATTACKS.row(
    "another service's Audience inside",
    "saml:audience-foreign",
    lambda s: s.minted(style="encrypted", audience="https://other.example"),
)
ATTACKS.row(
    "another IdP inside",
    "saml:decryption-failed",
    lambda s: s.minted(style="encrypted", issuer="https://other.example", response_issuer=s.idp.entity_id),
)


@ATTACKS("another person's encrypted assertion, in the attacker's Response", "saml:request-foreign")
def stolen(scene: Scene) -> Message:
    victim = scene.another_browser()
    theirs = parse(scene.idp.encrypted(victim.facts(name_id="administrator"), scene.sp_certificate))
    mine = parse(response_xml(scene.facts, ""))
    mine.append(find(theirs, "EncryptedAssertion"))
    return to_text(mine)


@ATTACKS("a comment inside the encryption", "saml:decryption-failed")
def comment_inside(scene: Scene) -> Message:
    facts = scene.facts.but(name_id="administrator.mallory")
    signed = sign(assertion_xml(facts), scene.idp.keys, id=facts.assertion_id)
    return response_xml(
        facts, _encrypted_text(scene, signed.replace("administrator.", "administrator<!---->."))
    )


def _encrypted_text(scene: Scene, xml: str) -> str:
    return encrypt(xml, scene.sp_certificate)


# Encrypted parts of a plain assertion.


def part(scene: Scene, wrapper: str, xml: str) -> etree._Element:
    return parse(encrypt(xml, scene.sp_certificate, wrapper=wrapper))


def name_id(value: str, format: str = "") -> str:
    said = f' Format="{format}"' if format else ""
    return f'<saml:NameID xmlns:saml="{SAML}"{said}>{value}</saml:NameID>'


def attribute(name: str, value: str) -> str:
    return (
        f'<saml:Attribute xmlns:saml="{SAML}" Name="{name}"><saml:AttributeValue>{value}</saml:AttributeValue>'
        "</saml:Attribute>"
    )


def with_encrypted_name(scene: Scene, xml: str) -> Edit:
    return lambda a: find(a, "Subject").replace(find(a, "NameID"), part(scene, "EncryptedID", xml))


def with_encrypted_attribute(scene: Scene, *xml: str) -> Edit:
    return lambda a: find(a, "AttributeStatement").extend(
        part(scene, "EncryptedAttribute", one) for one in xml
    )


ATTACKS.row(
    "the encrypted NameID of a signed assertion exchanged for the administrator's",
    "saml:signature-invalid",
    lambda s: edited(
        s.minted(with_encrypted_name(s, name_id("p-4711"))),
        lambda r: find(r, "Subject").replace(
            find(r, "EncryptedID"), part(s, "EncryptedID", name_id("administrator"))
        ),
    ),
)
ATTACKS.row(
    "an assertion in the place of an encrypted NameID",
    "saml:decryption-failed",
    lambda s: s.minted(with_encrypted_name(s, assertion_xml(s.forged))),
)
ATTACKS.row(
    "an encrypted NameID in an encrypted NameID",
    "saml:decryption-failed",
    lambda s: s.minted(
        with_encrypted_name(s, encrypt(name_id("administrator"), s.sp_certificate, wrapper="EncryptedID"))
    ),
)
ATTACKS.row(
    "a comment in an encrypted NameID",
    "saml:decryption-failed",
    lambda s: s.minted(with_encrypted_name(s, name_id("administrator<!---->.mallory"))),
)
ATTACKS.row(
    "an encrypted e-mail that disagrees with the plain one",
    "saml:emails-disagree",
    lambda s: s.minted(with_encrypted_attribute(s, attribute("email", "boss@corp.example"))),
)
ATTACKS.row(
    "an encrypted NameID whose e-mail disagrees with the attribute",
    "saml:emails-disagree",
    lambda s: s.minted(with_encrypted_name(s, name_id("boss@corp.example", EMAIL))),
)
ATTACKS.row(
    "an encrypted NameID that is empty",
    "saml:subject-missing",
    lambda s: s.minted(with_encrypted_name(s, name_id(""))),
)
ATTACKS.row(
    "eleven encrypted attributes",
    "saml:decryption-failed",
    lambda s: s.minted(with_encrypted_attribute(s, *[attribute(f"a{n}", "x") for n in range(11)])),
)


# The administrator of another tenant's IdP, who got hold of a ciphertext of ours and has it read to him at his own
# connection. Everything that he can sign there is in order.


@ATTACKS(
    "another tenant's encrypted assertion in a Response that the attacker's own IdP signed",
    "saml:decryption-failed",
)
def transplanted_assertion(scene: Scene) -> Message:
    theirs, there = parse(scene.idp.encrypted(scene.facts, scene.sp_certificate)), scene.elsewhere()
    mine = parse(response_xml(there.facts, ""))
    mine.append(find(theirs, "EncryptedAssertion"))
    return there.sent(sign(to_text(mine), there.idp.keys, id=there.facts.response_id))


@ATTACKS(
    "another tenant's encrypted attribute in an assertion that the attacker's own IdP signed",
    "saml:decryption-failed",
)
def transplanted_attribute(scene: Scene) -> Message:
    there = scene.elsewhere()
    return there.sent(there.minted(with_encrypted_attribute(scene, attribute("department", "Confidential"))))


@ATTACKS(
    "another tenant's encrypted NameID in an assertion that the attacker's own IdP signed",
    "saml:decryption-failed",
)
def transplanted_name(scene: Scene) -> Message:
    there = scene.elsewhere()
    return there.sent(there.minted(with_encrypted_name(scene, name_id("p-4711"))))


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_nobody_comes_in_by(scene: Scene, attack: Attack) -> None:
    assert_refused(scene, attack)


def test_every_ciphertext_that_cannot_be_read_has_one_answer(scene: Scene) -> None:
    """Attack (padding oracle): changes of a CBC ciphertext, of which some leave good padding and no XML."""
    answers, told = set(), set()
    for byte in (-1, -2, -17, -18, 40, 200, 1000):
        for bit in range(5):
            root = parse(scene.idp.encrypted(scene.facts, scene.sp_certificate, cipher=C.TransformAes256Cbc))
            value = xenc(root, "CipherValue", -1)
            flip(value, byte, 1 << bit)
            answer = scene.browser.post(to_text(root))
            attempt = LoginAttempt.objects.order_by("-at")[0]
            answers.add((answer.status_code, answer.content.decode().replace(attempt.reference, "")))
            told.add(told_of(attempt))
    assert len(answers) == len(told) == 1


def told_of(attempt: LoginAttempt) -> tuple[str, str]:
    return attempt.reason, repr(sorted(attempt.detail.items()))


def sealed(scene: Scene, inner: str, certificate: bytes | None = None) -> str:
    hidden = encrypt(inner, certificate or scene.sp_certificate, cipher=C.TransformAes256Cbc)
    return response_xml(scene.facts, hidden)


def assertion_by(scene: Scene, signer: str = "corp") -> str:
    return sign(assertion_xml(scene.facts), key_pair(signer), id=scene.facts.assertion_id)


WRONG_INSIDE: dict[str, Callable[[Scene], str]] = {
    "it is for somebody else": lambda s: sealed(s, assertion_by(s), key_pair("mallory").certificate),
    "bad padding": lambda s: edited(
        sealed(s, assertion_by(s)), lambda r: flip(xenc(r, "CipherValue", -1), -17, 0x80)
    ),
    "good padding around no XML": lambda s: edited(
        sealed(s, assertion_by(s)), lambda r: flip(xenc(r, "CipherValue", -1), 40)
    ),
    "a comment": lambda s: sealed(s, assertion_by(s).replace("</saml:Issuer>", "<!----></saml:Issuer>", 1)),
    "another element": lambda s: sealed(s, name_id("administrator")),
    "no signature": lambda s: sealed(s, assertion_xml(s.facts)),
    "a signature by somebody else": lambda s: sealed(s, assertion_by(s, "mallory")),
    "a signed assertion that was changed": lambda s: sealed(
        s, assertion_by(s).replace("corp.example", "evil.example")
    ),
    "a forbidden algorithm in the signature": lambda s: sealed(
        s, assertion_by(s).replace("xmldsig-more#rsa-sha256", "xmldsig-more#hmac-sha256")
    ),
}


def test_whatever_is_wrong_inside_an_administrator_reads_the_same(scene: Scene) -> None:
    """Attack: who reads the login attempts posts changed ciphertexts, and learns by the reason how far each came."""
    told = {}
    for name, make in WRONG_INSIDE.items():
        scene.browser.post(make(scene))
        told[name] = told_of(LoginAttempt.objects.order_by("-at")[0])
    assert len(set(told.values())) == 1, told
    assert "'keys', '1'" in told["no signature"][1]
