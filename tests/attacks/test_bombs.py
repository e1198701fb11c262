"""Messages that cost more to read than to send. Most need neither a key nor an account."""

import pytest

from tests.saml_sp.idp import DS, assertion_xml, encode, encrypt, parse, response_xml

from .scene import Attack, Attacks, Message, Scene, Sent, assert_refused, edited, to_text

ATTACKS = Attacks()
ATTRIBUTE = "<saml:Attribute Name='x'/>"
EMPTY = "a{}=''"
NAMESPACE = "xmlns:p{0}='urn:{0}'"


def many(pattern: str, count: int) -> str:
    return " ".join(pattern.format(n) for n in range(count))


def within(scene: Scene, more: str, times: int = 1) -> str:
    """The genuine answer with something put into its attributes, so that the signature has to be checked."""
    start = "<saml:AttributeStatement>"
    return scene.signed.replace(start, start + more * times)


def refused_by_the_idp(scene: Scene, message: str) -> str:
    whole = response_xml(scene.facts.but(status="urn:oasis:names:tc:SAML:2.0:status:Responder"), "")
    return whole.replace(
        "</samlp:Status>", f"<samlp:StatusMessage>{message}</samlp:StatusMessage></samlp:Status>"
    )


def with_prefixes(scene: Scene, where: str, count: int) -> str:
    element = (
        '<i:InclusiveNamespaces xmlns:i="http://www.w3.org/2001/10/xml-exc-c14n#" '
        f'PrefixList="{many("p{}", count)}"/>'
    )
    root = parse(within(scene, ATTRIBUTE, 1500))
    list(root.iter(f"{{{DS}}}{where}"))[-1].append(parse(element))
    return to_text(root)


@ATTACKS("entities that multiply (billion laughs)", "saml:doctype")
def billion_laughs(scene: Scene) -> Message:
    lines = ["<!DOCTYPE r [<!ENTITY a0 'ha'>"]
    lines += [f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 10)]
    return "".join(lines) + "]>" + scene.signed.replace("p-4711", "&a9;")


@ATTACKS("one long entity many times (quadratic blowup)", "saml:doctype")
def quadratic_blowup(scene: Scene) -> Message:
    entity = f"<!DOCTYPE r [<!ENTITY a '{'x' * 50_000}'>]>"
    return entity + scene.signed.replace("p-4711", "&a;" * 10_000)


ATTACKS.row(
    "an unsigned message of 300 KiB",
    "saml:message-too-large",
    lambda s: response_xml(s.forged, assertion_xml(s.forged.but(name_id="x" * 300_000))),
    "CVE-2025-54572",
)
ATTACKS.row(
    "a form of sixteen megabytes",
    "saml:message-too-large",
    lambda s: Sent(body=b"SAMLResponse=" + b"A" * 16_000_000),
)
ATTACKS.row(
    "a form of two thousand fields",
    "saml:message-too-large",
    lambda s: Sent(body="&".join(f"a{n}=" for n in range(2000)).encode()),
)
ATTACKS.row(
    "half a megabyte of blanks around a genuine answer",
    "saml:message-too-large",
    lambda s: Sent(body=b"SAMLResponse=" + b"+" * 500_000 + encode(s.signed).encode().replace(b"+", b"%2B")),
)
ATTACKS.row(
    "more elements than a message needs", "saml:message-too-large", lambda s: within(s, ATTRIBUTE, 4000)
)
ATTACKS.row(
    "as many elements as a message may have, with a prefix that is not declared",
    "saml:signature-invalid",
    lambda s: within(
        s, "<saml:Attribute Name='x'><saml:AttributeValue xsi:type='xs:string'/></saml:Attribute>", 1200
    ),
)
ATTACKS.row(
    "as many elements as a message may have, unknown to the schema",
    "saml:signature-invalid",
    lambda s: within(s, "<saml:Attributes/>", 2400),
)
ATTACKS.row(
    "as many elements as a message may have, inside a broken signature",
    "saml:signature-invalid",
    lambda s: within(s, ATTRIBUTE, 2400),
)
ATTACKS.row(
    "elements nested a thousand deep", "saml:malformed", lambda s: within(s, "<a>" * 1000 + "</a>" * 1000)
)
ATTACKS.row(
    "elements nested as deep as the parser goes",
    "saml:signature-invalid",
    lambda s: within(s, "<a>" * 240 + "</a>" * 240),
)
ATTACKS.row(
    "ten thousand XML attributes on one element",
    "saml:message-too-large",
    lambda s: s.signed.replace("<saml:Subject>", f"<saml:Subject {many(EMPTY, 10_000)}>"),
)
ATTACKS.row(
    "three thousand namespaces, looked through at every element",
    "saml:message-too-large",
    lambda s: within(s, ATTRIBUTE, 2000).replace(
        "<saml:Assertion", f"<saml:Assertion {many(NAMESPACE, 3000)}", 1
    ),
)
ATTACKS.row(
    "twenty thousand prefixes for the canonicalisation to look up at every element",
    "saml:signature-shape",
    lambda s: with_prefixes(s, "Transform", 20_000),
)
ATTACKS.row(
    "twenty thousand prefixes for the canonicalisation of the signature itself",
    "saml:signature-shape",
    lambda s: with_prefixes(s, "CanonicalizationMethod", 20_000),
)
ATTACKS.row(
    "a status message that keeps a pattern busy",
    "saml:idp-refused",
    lambda s: refused_by_the_idp(s, "a" * 180_000),
)
ATTACKS.row(
    "a status message of at signs", "saml:idp-refused", lambda s: refused_by_the_idp(s, "a@" * 90_000)
)
ATTACKS.row(
    "forty thousand character references",
    "saml:signature-invalid",
    lambda s: s.signed.replace("p-4711", "&#65;" * 35_000),
)
ATTACKS.row(
    "a signature value of 150 KiB",
    "saml:signature-invalid",
    lambda s: s.signed.replace("<ds:SignatureValue>", "<ds:SignatureValue>" + "AAAA" * 37_000),
)


@ATTACKS("a thousand transforms", "saml:algorithm", "CVE-2021-39171")
def many_transforms(scene: Scene) -> Message:
    root = parse(scene.signed)
    last = list(root.iter(f"{{{DS}}}Transform"))[-1]
    for _ in range(1000):
        last.addnext(parse(to_text(last)))
    return to_text(root)


@ATTACKS("a hundred encrypted keys", "saml:decryption-failed")
def many_keys(scene: Scene) -> Message:
    root = parse(scene.idp.encrypted(scene.facts, scene.sp_certificate))
    key = next(root.iter("{http://www.w3.org/2001/04/xmlenc#}EncryptedKey"))
    for _ in range(100):
        key.addnext(parse(to_text(key)))
    return to_text(root)


@ATTACKS("an encrypted assertion that is too large once it is open", "saml:decryption-failed")
def large_inside(scene: Scene) -> Message:
    many = edited(assertion_xml(scene.forged.but(attributes={"groups": ["x"] * 2600})))
    compact = many.replace(' xsi:type="xs:string"', "").replace("saml:", "").replace("xmlns:saml", "xmlns")
    return response_xml(scene.forged, encrypt(compact, scene.sp_certificate))


@ATTACKS("an encrypted NameID in an encrypted NameID, ten deep", "saml:unsigned")
def encrypted_again(scene: Scene) -> Message:
    inner = "<saml:NameID xmlns:saml='urn:oasis:names:tc:SAML:2.0:assertion'>administrator</saml:NameID>"
    for _ in range(10):
        inner = encrypt(inner, scene.sp_certificate, wrapper="EncryptedID")
    plain = assertion_xml(scene.forged.but(name_id="nobody"))
    start, end = plain.index("<saml:NameID"), plain.index("</saml:NameID>") + len("</saml:NameID>")
    return response_xml(scene.forged, plain[:start] + inner + plain[end:])


ATTACKS.row(
    "a thousand attributes",
    "saml:attributes-too-many",
    lambda s: s.minted(attributes={f"a{n}": ["x"] for n in range(300)}),
)
ATTACKS.row(
    "an attribute value of ten thousand letters",
    "saml:attribute-too-long",
    lambda s: s.minted(attributes={"email": ["a@corp.example"], "givenName": ["x" * 10_000]}),
)
ATTACKS.row(
    "more groups than a message may carry",
    "saml:message-too-large",
    lambda s: s.minted(attributes={"groups": ["x"] * 3000}),
)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_a_bomb_does_not_go_off(scene: Scene, attack: Attack) -> None:
    assert_refused(scene, attack)
