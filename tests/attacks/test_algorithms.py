"""Algorithms that are too weak or choose their own words, and references to something else than what is read."""

from typing import Any

import pytest
import xmlsec
from lxml import etree

from tests.saml_sp.idp import DS, assertion_xml, key_pair, parse, response_xml, sign

from .scene import Attack, Attacks, Edit, Message, Scene, assert_refused, ds, edited, find, samlp, to_text

C = xmlsec.constants
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ATTACKS = Attacks()


def named(element: str, algorithm: str, which: int = 0) -> Edit:
    """Another algorithm named after the signing."""

    def edit(root: etree._Element) -> None:
        list(root.iter(f"{{{DS}}}{element}"))[which].set("Algorithm", algorithm)

    return edit


def doubled(element: str) -> Edit:
    def edit(root: etree._Element) -> None:
        found = ds(root, element)
        found.addnext(parse(to_text(found)))

    return edit


def inside(element: str, child: str, text: str = "") -> Edit:
    def edit(root: etree._Element) -> None:
        etree.SubElement(ds(root, element), f"{{{DS}}}{child}").text = text

    return edit


def transform(algorithm: str, content: str = "") -> Edit:
    """The second transform, which the IdP canonicalised by, exchanged."""

    def edit(root: etree._Element) -> None:
        second = list(root.iter(f"{{{DS}}}Transform"))[1]
        second.set("Algorithm", algorithm)
        if content:
            second.append(parse(content))

    return edit


def by(**options: Any) -> Any:
    return lambda scene: scene.idp.signed_assertion(scene.facts, **options)


def after(*edits: Edit) -> Any:
    return lambda scene: edited(scene.signed, *edits)


def hmac(secret: bytes) -> Any:
    def make(scene: Scene) -> Message:
        facts = scene.forged
        key = xmlsec.Key.from_binary_data(C.KeyDataHmac, secret)
        signed = sign(
            assertion_xml(facts),
            key_pair("corp"),
            id=facts.assertion_id,
            signature=C.TransformHmacSha256,
            key=key,
            key_info=False,
        )
        return response_xml(facts, signed)

    return make


# Downgraded.

ATTACKS.row("RSA with SHA-1", "saml:algorithm", by(signature=C.TransformRsaSha1))
ATTACKS.row(
    "RSA with MD5",
    "saml:algorithm",
    after(named("SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#rsa-md5")),
)
ATTACKS.row("RSA with SHA-224", "saml:algorithm", by(signature=C.TransformRsaSha224))
ATTACKS.row("a SHA-1 digest", "saml:algorithm", by(digest=C.TransformSha1))
ATTACKS.row(
    "an MD5 digest",
    "saml:algorithm",
    after(named("DigestMethod", "http://www.w3.org/2001/04/xmldsig-more#md5")),
)
ATTACKS.row(
    "DSA", "saml:algorithm", after(named("SignatureMethod", "http://www.w3.org/2009/xmldsig11#dsa-sha256"))
)
ATTACKS.row(
    "SHA-1 for the Response, a good signature of the assertion",
    "saml:algorithm",
    lambda s: sign(s.signed, s.idp.keys, id=s.facts.response_id, signature=C.TransformRsaSha1),
)

# Confused.

ATTACKS.row(
    "HMAC with the IdP's public certificate as the secret",
    "saml:algorithm",
    hmac(key_pair("corp").certificate),
    "CVE-2018-7644",
)
ATTACKS.row("HMAC with an empty secret", "saml:algorithm", hmac(b"\0"))
ATTACKS.row(
    "HMACOutputLength, that shortens what is compared",
    "saml:signature-shape",
    after(inside("SignatureMethod", "HMACOutputLength", "1")),
    "CVE-2009-0217",
)
ATTACKS.row("an algorithm that nobody knows", "saml:algorithm", after(named("SignatureMethod", "urn:none")))
ATTACKS.row("an algorithm without a name", "saml:algorithm", after(named("SignatureMethod", "")))
ATTACKS.row("a digest without a name", "saml:algorithm", after(named("DigestMethod", "")))
ATTACKS.row(
    "the name of a good algorithm with a blank after it",
    "saml:algorithm",
    after(named("SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256 ")),
)
ATTACKS.row(
    "two signature methods, the second for show",
    "saml:signature-shape",
    after(
        doubled("SignatureMethod"), named("SignatureMethod", "http://www.w3.org/2000/09/xmldsig#hmac-sha1")
    ),
)
ATTACKS.row("two digest methods", "saml:signature-shape", after(doubled("DigestMethod")))
ATTACKS.row(
    "a digest method with a parameter", "saml:signature-shape", after(inside("DigestMethod", "Salt", "x"))
)
ATTACKS.row(
    "a canonicalisation that does nothing",
    "saml:algorithm",
    after(named("CanonicalizationMethod", "http://www.w3.org/2001/10/none#")),
)
ATTACKS.row(
    "no canonicalisation", "saml:signature-shape", after(lambda r: drop(ds(r, "CanonicalizationMethod")))
)


def drop(node: etree._Element) -> None:
    node.getparent().remove(node)


# Transforms.

ATTACKS.row(
    "an XSLT transform",
    "saml:algorithm",
    after(
        transform(
            "http://www.w3.org/TR/1999/REC-xslt-19991116",
            '<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0">'
            '<xsl:template match="/"><xsl:copy-of select="document(\'file:///etc/passwd\')"/></xsl:template>'
            "</xsl:stylesheet>",
        )
    ),
)
ATTACKS.row(
    "an XPath transform that digests nothing",
    "saml:algorithm",
    after(
        transform(
            "http://www.w3.org/TR/1999/REC-xpath-19991116", f'<ds:XPath xmlns:ds="{DS}">false()</ds:XPath>'
        )
    ),
)
ATTACKS.row(
    "an XPath filter that leaves the changed part out",
    "saml:algorithm",
    after(transform("http://www.w3.org/2002/06/xmldsig-filter2")),
)
ATTACKS.row("a base64 transform", "saml:algorithm", after(transform(f"{DS}base64")))
ATTACKS.row(
    "a decryption transform", "saml:algorithm", after(transform("http://www.w3.org/2002/07/decrypt#XML"))
)
ATTACKS.row("no enveloped transform", "saml:algorithm", by(transforms=(C.TransformExclC14N,)))
ATTACKS.row("no transform", "saml:algorithm", after(lambda r: drop(ds(r, "Transforms"))))
ATTACKS.row(
    "the enveloped transform twice",
    "saml:algorithm",
    by(transforms=(C.TransformEnveloped, C.TransformEnveloped)),
)
ATTACKS.row(
    "three transforms",
    "saml:algorithm",
    by(transforms=(C.TransformEnveloped, C.TransformExclC14N, C.TransformExclC14N)),
)
ATTACKS.row(
    "the enveloped transform last",
    "saml:algorithm",
    after(lambda r: ds(r, "Transforms").append(ds(r, "Transform"))),
)
ATTACKS.row(
    "a parameter that no transform here takes",
    "saml:algorithm",
    after(transform(EXCLUSIVE, f'<ds:XPath xmlns:ds="{DS}">true()</ds:XPath>')),
)

# References.


def reference(uri: str) -> Edit:
    return lambda root: ds(root, "Reference").set("URI", uri)


ATTACKS.row("an empty reference", "saml:signature-reference", after(reference("")))
ATTACKS.row(
    "no reference URI",
    "saml:signature-reference",
    after(lambda r: ds(r, "Reference").attrib.pop("URI") and None),
)
ATTACKS.row("a reference to nothing", "saml:signature-reference", after(reference("#")))
ATTACKS.row("a reference to the whole document", "saml:signature-reference", after(reference("#xpointer(/)")))
ATTACKS.row(
    "a reference by XPointer",
    "saml:signature-reference",
    lambda s: edited(s.signed, reference(f"#xpointer(id('{s.facts.assertion_id}'))")),
)
ATTACKS.row("a reference to a file", "saml:signature-reference", after(reference("file:///etc/passwd")))
ATTACKS.row("a reference to an address", "saml:signature-reference", after(reference("http://127.0.0.1:9/x")))
ATTACKS.row(
    "a reference to the Response by the assertion's signature",
    "saml:signature-reference",
    lambda s: edited(s.signed, reference(f"#{s.facts.response_id}")),
)


@ATTACKS(
    "a genuine signature of the Status, in the Response's place",
    "saml:signature-reference",
)
def signed_status(scene: Scene) -> Message:
    """The IdP really signed something in this document, only not what is read."""
    root = parse(response_xml(scene.forged, assertion_xml(scene.forged)))
    samlp(root, "Status").set("ID", "_status")
    signed = parse(sign(to_text(root), scene.idp.keys, id="_status"))
    signed.insert(1, ds(signed, "Signature"))
    return to_text(signed)


ATTACKS.row("two references in one signature", "saml:signature-shape", after(doubled("Reference")))
ATTACKS.row("no reference", "saml:signature-shape", after(lambda r: drop(ds(r, "Reference"))))
ATTACKS.row(
    "two digest values, one for the verifier and one for show",
    "saml:signature-shape",
    after(doubled("DigestValue")),
)
ATTACKS.row("two signature values", "saml:signature-shape", after(doubled("SignatureValue")))


@ATTACKS(
    "two SignedInfo, of which one is signed and the other holds the digest",
    "saml:signature-shape",
    "CVE-2025-29774",
    "CVE-2019-3465",
)
def two_signed_infos(scene: Scene) -> Message:
    root = parse(scene.signed)
    facts = scene.forged
    mine = parse(sign(assertion_xml(facts), key_pair("mallory"), id=facts.assertion_id))
    genuine = ds(root, "SignedInfo")
    genuine.addprevious(ds(mine, "SignedInfo"))
    find(root, "NameID").text = "administrator"
    return to_text(root)


ATTACKS.row(
    "a comment beside the digest, that one parser reads past",
    "saml:comment",
    lambda s: s.signed.replace("DigestValue>", "DigestValue><!--forged-->", 1),
    "CVE-2025-29775",
)
ATTACKS.row(
    "a Manifest, whose references nobody checks",
    "saml:signature-object",
    after(
        lambda r: ds(r, "Signature").append(
            parse(f'<ds:Object xmlns:ds="{DS}"><ds:Manifest Id="_m"/></ds:Object>')
        )
    ),
)
ATTACKS.row(
    "a ds:Object with whatever the attacker likes",
    "saml:signature-object",
    after(lambda r: ds(r, "Signature").append(parse(f'<ds:Object xmlns:ds="{DS}">x</ds:Object>'))),
)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_nobody_comes_in_by(scene: Scene, attack: Attack) -> None:
    assert_refused(scene, attack)
