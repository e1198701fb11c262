"""Signatures that are missing, broken, moved, or made by somebody else's key."""

import base64
import hashlib
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import xmlsec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from lxml import etree

from provisioning.models import Connection
from provisioning.services.invalid import Invalid
from saml_sp.models import LoginAttempt
from tests.identity_hub.core.test_certificates import UNREADABLE, text_of
from tests.saml_sp.idp import (
    DS,
    KeyPair,
    TestIdp,
    assertion_xml,
    certificate_for,
    key_pair,
    parse,
    response_xml,
    sign,
)
from tests.saml_sp.parties import Browser, make_connection

from .scene import Attack, Attacks, Edit, Message, Scene, assert_refused, ds, edited, find, samlp, to_text

C = xmlsec.constants
ATTACKS = Attacks()


def remove(node: etree._Element) -> None:
    node.getparent().remove(node)


def without_signature(root: etree._Element) -> None:
    remove(ds(root, "Signature"))


def as_administrator(root: etree._Element) -> None:
    find(root, "NameID").text = "administrator"


def signature_value(value: str | None) -> Edit:
    def edit(root: etree._Element) -> None:
        ds(root, "SignatureValue").text = value

    return edit


def key_info(content: str) -> Edit:
    def edit(root: etree._Element) -> None:
        old = ds(root, "KeyInfo")
        new = parse(f'<ds:KeyInfo xmlns:ds="{DS}">{content}</ds:KeyInfo>')
        old.getparent().replace(old, new)

    return edit


def named_in_full(der: bytes) -> str:
    return f"<ds:X509Data><ds:X509Certificate>{text_of(der)}</ds:X509Certificate></ds:X509Data>"


def forged_by(scene: Scene, pair: KeyPair, **options: Any) -> str:
    facts = scene.forged
    return response_xml(facts, sign(assertion_xml(facts), pair, id=facts.assertion_id, **options))


def called_like_the_idp() -> KeyPair:
    key = key_pair("mallory").key
    return KeyPair(key=key, certificate=certificate_for(key, "corp", datetime(2100, 1, 1, tzinfo=UTC)))


def at_an_idp_with(scene: Scene, **keys: KeyPair) -> Scene:
    return scene.elsewhere(TestIdp(entity_id="https://more.example/metadata", keys=key_pair("corp"), **keys))


# Missing.

ATTACKS.row(
    "no signature at all",
    "saml:unsigned",
    lambda s: response_xml(s.forged, assertion_xml(s.forged)),
    "CVE-2012-5353",
)
ATTACKS.row(
    "the signature stripped from a genuine assertion that was then changed",
    "saml:unsigned",
    lambda s: edited(s.signed, without_signature, as_administrator),
)
ATTACKS.row(
    "the signature stripped from a genuine Response that was then changed",
    "saml:unsigned",
    lambda s: edited(s.idp.signed_response(s.facts), without_signature, as_administrator),
    "CVE-2019-10201",
)
ATTACKS.row(
    "both signatures stripped",
    "saml:unsigned",
    lambda s: edited(s.idp.signed_both(s.facts), without_signature, without_signature, as_administrator),
)
ATTACKS.row(
    "the Response's signature stripped, the assertion changed",
    "saml:signature-invalid",
    lambda s: edited(s.idp.signed_both(s.facts), without_signature, as_administrator),
)


@ATTACKS(
    "no signature, where the metadata does not say what its keys are for", "saml:unsigned", "CVE-2026-16443"
)
def no_use(scene: Scene) -> Message:
    there = scene.elsewhere(
        TestIdp(entity_id="https://no-use.example", keys=key_pair("corp"), names_uses=False)
    )
    return here(there, response_xml(there.forged, assertion_xml(there.forged)))


@ATTACKS(
    "the assertion's signature stripped and the assertion changed, the Response's kept",
    "saml:signature-invalid",
)
def one_of_two(scene: Scene) -> Message:
    root = parse(scene.idp.signed_both(scene.facts))
    remove(ds(find(root, "Assertion"), "Signature"))
    as_administrator(root)
    return to_text(root)


@ATTACKS("a Signature element that is none of XML Signature's", "saml:unsigned", "CVE-2025-25292")
def foreign_signature_element(scene: Scene) -> Message:
    return edited(scene.signed, as_administrator).replace(DS, "urn:example:dsig")


ATTACKS.row(
    "an empty Signature element",
    "saml:signature-shape",
    lambda s: edited(s.signed, as_administrator, lambda r: ds(r, "Signature").clear()),
)

# Broken.

ATTACKS.row(
    "a signed assertion whose NameID was changed afterwards",
    "saml:signature-invalid",
    lambda s: edited(s.signed, as_administrator),
)
ATTACKS.row(
    "a letter taken out of a signed NameID",
    "saml:signature-invalid",
    lambda s: s.minted(name_id="administrators").replace(">administrators<", ">administrator<"),
    "CVE-2025-54369",
    "CVE-2025-54419",
)
ATTACKS.row(
    "an attribute changed inside a signed Response",
    "saml:signature-invalid",
    lambda s: s.idp.signed_response(s.facts).replace("ada@corp.example", "boss@corp.example"),
)
ATTACKS.row(
    "the whole assertion exchanged inside a signed Response",
    "saml:signature-invalid",
    lambda s: edited(s.idp.signed_response(s.facts), lambda r: exchange(s, r)),
)


def exchange(scene: Scene, root: etree._Element) -> None:
    root.replace(find(root, "Assertion"), parse(assertion_xml(scene.forged)))


ATTACKS.row(
    "a signed Response around an assertion that somebody else has signed",
    "saml:not-verified",
    lambda s: sign(forged_by(s, key_pair("mallory")), s.idp.keys, id=s.forged.response_id),
)
ATTACKS.row(
    "the signature value emptied", "saml:signature-invalid", lambda s: edited(s.signed, signature_value(""))
)
ATTACKS.row(
    "the signature value of zeros",
    "saml:signature-invalid",
    lambda s: edited(s.signed, as_administrator, signature_value(base64.b64encode(bytes(256)).decode())),
)
ATTACKS.row(
    "the signature value of one",
    "saml:signature-invalid",
    lambda s: edited(
        s.signed, as_administrator, signature_value(base64.b64encode(bytes(255) + b"\1").decode())
    ),
)
ATTACKS.row(
    "a signature value that is no base64",
    "saml:signature-invalid",
    lambda s: edited(s.signed, signature_value("not base64 ∎")),
)
ATTACKS.row(
    "the digest value emptied, the assertion changed",
    "saml:signature-invalid",
    lambda s: edited(s.signed, as_administrator, lambda r: setattr(ds(r, "DigestValue"), "text", "")),
)


@ATTACKS(
    "an ID that is an expression, which a search for it would run", "saml:signature-invalid", "CVE-2015-20108"
)
def expression(scene: Scene) -> Message:
    root = parse(edited(scene.signed, as_administrator))
    found = "x' or '1'='1"
    find(root, "Assertion").set("ID", found)
    ds(root, "Reference").set("URI", f"#{found}")
    return to_text(root)


@ATTACKS("the digest recalculated for a changed assertion", "saml:signature-invalid")
def recalculated(scene: Scene) -> Message:
    forged = parse(forged_by(scene, key_pair("mallory")))
    genuine = parse(scene.signed)
    ds(forged, "SignatureValue").text = ds(genuine, "SignatureValue").text
    return to_text(forged)


@ATTACKS("the signature of another of the IdP's assertions", "saml:signature-invalid")
def transplanted(scene: Scene) -> Message:
    other = parse(scene.idp.signed_assertion(scene.facts.but(assertion_id="_other", name_id="mallory")))
    forged = parse(response_xml(scene.forged, assertion_xml(scene.forged.but(assertion_id="_other"))))
    find(forged, "Assertion").insert(1, ds(other, "Signature"))
    return to_text(forged)


@ATTACKS("the genuine signature moved onto a forged assertion with the same ID", "saml:signature-invalid")
def moved(scene: Scene) -> Message:
    root = parse(scene.signed)
    original = find(root, "Assertion")
    forged = parse(assertion_xml(scene.forged.but(assertion_id=scene.facts.assertion_id)))
    root.replace(original, forged)
    forged.insert(1, ds(original, "Signature"))
    return to_text(root)


# Somebody else's key.

ATTACKS.row(
    "signed with the attacker's key, his certificate in KeyInfo",
    "saml:signature-invalid",
    lambda s: forged_by(s, key_pair("mallory")),
    "CVE-2024-32962",
)
ATTACKS.row(
    "signed with the attacker's key, the IdP's certificate in KeyInfo",
    "saml:signature-invalid",
    lambda s: edited(
        forged_by(s, key_pair("mallory")),
        key_info(
            f"<ds:X509Data><ds:X509Certificate>{key_pair('corp').certificate_text}</ds:X509Certificate></ds:X509Data>"
        ),
    ),
)
for what, der in UNREADABLE.items():
    ATTACKS.row(
        f"signed with the attacker's key, in KeyInfo a certificate with {what}",
        "saml:signature-invalid",
        lambda s, der=der: edited(forged_by(s, key_pair("mallory")), key_info(named_in_full(der))),  # type: ignore[misc]
    )
ATTACKS.row(
    "signed with the attacker's key, no KeyInfo",
    "saml:signature-invalid",
    lambda s: forged_by(s, key_pair("mallory"), key_info=False),
)
ATTACKS.row(
    "signed with the attacker's key, both certificates in KeyInfo",
    "saml:signature-invalid",
    lambda s: edited(
        forged_by(s, key_pair("mallory")),
        key_info(
            "".join(
                f"<ds:X509Data><ds:X509Certificate>{key_pair(n).certificate_text}</ds:X509Certificate></ds:X509Data>"
                for n in ("corp", "mallory")
            )
        ),
    ),
)


def numbers(pair: KeyPair) -> tuple[str, str]:
    key = serialization.load_pem_private_key(pair.key, password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    public = key.public_key().public_numbers()
    return tuple(  # type: ignore[return-value]
        base64.b64encode(n.to_bytes((n.bit_length() + 7) // 8, "big")).decode() for n in (public.n, public.e)
    )


@ATTACKS(
    "signed with the attacker's key, its numbers in a KeyValue", "saml:signature-invalid", "CVE-2021-21239"
)
def key_value(scene: Scene) -> Message:
    n, e = numbers(key_pair("mallory"))
    value = f"<ds:RSAKeyValue><ds:Modulus>{n}</ds:Modulus><ds:Exponent>{e}</ds:Exponent></ds:RSAKeyValue>"
    forged = forged_by(scene, key_pair("mallory"))
    return edited(forged, key_info(f"<ds:KeyValue>{value}</ds:KeyValue>"))


@ATTACKS("an HMAC whose key is given in a KeyValue", "saml:algorithm", "CVE-2021-21239")
def hmac_key_value(scene: Scene) -> Message:
    forged = forged_by(
        scene,
        key_pair("mallory"),
        signature=C.TransformHmacSha256,
        key=xmlsec.Key.from_binary_data(C.KeyDataHmac, b"secret"),
        key_info=False,
    )
    root = parse(forged)
    info = f'<ds:KeyInfo xmlns:ds="{DS}"><ds:KeyValue><HMACKeyValue>c2VjcmV0</HMACKeyValue></ds:KeyValue></ds:KeyInfo>'
    ds(root, "Signature").append(parse(info))
    return to_text(root)


ATTACKS.row(
    "a certificate of the attacker's with the IdP's names",
    "saml:signature-invalid",
    lambda s: forged_by(s, called_like_the_idp()),
)
ATTACKS.row(
    "signed with another IdP's key",
    "saml:signature-invalid",
    lambda s: forged_by(s, key_pair("another-idp")),
)
ATTACKS.row(
    "signed with the key of the hub itself",
    "saml:signature-invalid",
    lambda s: forged_by(
        s,
        KeyPair(
            key=Path(settings.SAML_SP_KEY_FILE).read_bytes(),
            certificate=Path(settings.SAML_SP_CERT_FILE).read_bytes(),
        ),
    ),
)


@ATTACKS("signed with the IdP's key for encryption", "saml:signature-invalid")
def encryption_key(scene: Scene) -> Message:
    there = at_an_idp_with(scene, encryption=key_pair("for-encryption"))
    return here(there, forged_by(there, key_pair("for-encryption")))


@ATTACKS("signed with the key of the same entity's other role", "saml:signature-invalid")
def other_role(scene: Scene) -> Message:
    there = at_an_idp_with(scene, service_provider=key_pair("its-service"))
    return here(there, forged_by(there, key_pair("its-service")))


def here(there: Scene, xml: str) -> Message:
    """The same message at that other connection."""
    return there.sent(xml)


@ATTACKS("signed with a short key that the metadata still names", "saml:signature-invalid")
def short_key(scene: Scene) -> Message:
    idp = TestIdp(
        entity_id="https://more.example/metadata",
        keys=key_pair("corp"),
        more_certificates=(key_pair("short", bits=1024),),
    )
    there = scene.elsewhere(idp)
    return here(there, forged_by(there, key_pair("short", bits=1024)))


# The mathematics.


def signed_info(xml: str) -> bytes:
    digest: bytes = hashlib.sha256(
        etree.tostring(ds(parse(xml), "SignedInfo"), method="c14n", exclusive=True)
    ).digest()
    return digest


@ATTACKS("a forgery by cube root against a key with exponent 3", "saml:signature-invalid", "CVE-2006-4339")
def cube_root(scene: Scene) -> Message:
    weak = TestIdp(entity_id="https://three.example/metadata", keys=key_pair("three", exponent=3))
    there = scene.elsewhere(weak)
    forged = forged_by(there, key_pair("mallory"))
    # PKCS#1 padding that ends early: a verifier that does not look at the rest takes any cube with this beginning.
    sha256 = bytes.fromhex("3031300d060960864801650304020105000420")
    start = b"\x00\x01" + b"\xff" * 8 + b"\x00" + sha256 + signed_info(forged)
    rest = 8 * (256 - len(start))
    low, high = 0, 1 << 700
    target = int.from_bytes(start, "big") << rest
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if middle**3 >= target else (middle + 1, high)
    assert (low**3) >> rest == int.from_bytes(start, "big")
    return here(there, edited(forged, signature_value(base64.b64encode(low.to_bytes(256, "big")).decode())))


def at_a_curve(scene: Scene) -> Scene:
    return scene.elsewhere(
        TestIdp(entity_id="https://curve.example/metadata", keys=key_pair("curve", curve=True))
    )


@ATTACKS("an ECDSA signature of zeros", "saml:signature-invalid", "CVE-2022-21449")
def psychic(scene: Scene) -> Message:
    there = at_a_curve(scene)
    forged = forged_by(there, key_pair("mallory-curve", curve=True), signature=C.TransformEcdsaSha256)
    return here(there, edited(forged, signature_value(base64.b64encode(bytes(64)).decode())))


@ATTACKS("an ECDSA signature by the attacker's curve", "saml:signature-invalid")
def other_curve(scene: Scene) -> Message:
    there = at_a_curve(scene)
    return here(
        there, forged_by(there, key_pair("mallory-curve", curve=True), signature=C.TransformEcdsaSha256)
    )


@ATTACKS("an RSA signature where the IdP has a curve", "saml:signature-invalid")
def rsa_for_a_curve(scene: Scene) -> Message:
    there = at_a_curve(scene)
    return here(there, forged_by(there, key_pair("mallory")))


ATTACKS.row(
    "ECDSA where the IdP has an RSA key",
    "saml:signature-invalid",
    lambda s: forged_by(s, key_pair("mallory-curve", curve=True), signature=C.TransformEcdsaSha256),
)
ATTACKS.row(
    "an RSA signature that is called ECDSA",
    "saml:signature-invalid",
    lambda s: s.signed.replace("xmldsig-more#rsa-sha256", "xmldsig-more#ecdsa-sha256"),
)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_nobody_comes_in_by(scene: Scene, attack: Attack) -> None:
    assert_refused(scene, attack)


def test_a_key_is_never_fetched(scene: Scene) -> None:
    """Attack: KeyInfo names an address of a key; looking there is a request forgery, and believing it worse."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/key"
        x509 = "http://www.w3.org/2000/09/xmldsig#rawX509Certificate"
        for content in (
            f'<ds:RetrievalMethod URI="{address}" Type="{x509}"/>',
            f'<i:KeyInfoReference xmlns:i="http://www.w3.org/2009/xmldsig11#" URI="{address}"/>',
            f"<ds:KeyName>{address}</ds:KeyName>",
        ):
            forged = edited(forged_by(scene, key_pair("mallory")), key_info(content))
            assert scene.browser.post(forged).status_code == 403
        with pytest.raises(TimeoutError):
            listener.accept()
    assert {attempt.reason for attempt in LoginAttempt.objects.all()} == {"saml:signature-invalid"}


def test_an_idp_with_none_but_short_keys_signs_nobody_in(scene: Scene) -> None:
    idp = replace(scene.idp, keys=key_pair("short", bits=1024))
    with pytest.raises(Invalid, match="RSA key of 1024 bits"):
        make_connection(scene.connection.tenant, idp, name="Short")
    connection = make_connection(scene.connection.tenant, scene.idp, name="Short")
    # As it was taken before short keys were refused.
    Connection.objects.filter(pk=connection.pk).update(idp_metadata=idp.metadata())
    answer = scene.browser.client.get(f"/saml/{connection.pk}/login")
    assert (answer.status_code, LoginAttempt.objects.get().reason) == (403, "connection:not-configured")


def test_what_is_attacked_works(scene: Scene) -> None:
    """Else some of the above would pass for the wrong reason."""
    for there in (at_a_curve(scene), at_an_idp_with(scene, encryption=key_pair("for-encryption"))):
        algorithm = C.TransformEcdsaSha256 if "curve" in there.idp.entity_id else C.TransformRsaSha256
        xml = there.idp.signed_assertion(there.facts, signature=algorithm)
        assert there.browser.post(xml).status_code == 302
    browser: Browser = scene.browser
    assert browser.post(edited(scene.signed, key_info("<ds:KeyName>whoever</ds:KeyName>"))).status_code == 302
    assert samlp(parse(scene.signed), "Status") is not None
