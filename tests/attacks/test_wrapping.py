"""Signature wrapping: the verifier is shown what the IdP signed, the reader something else.

Somorovsky et al., "On Breaking SAML" (USENIX Security 2012), numbers the arrangements XSW1 to XSW8; later finds added
places that a library happened to look at.
"""

from collections.abc import Callable
from functools import partial

import pytest
from lxml import etree

from tests.saml_sp.idp import DS, SAML, SAMLP, assertion_xml, encrypt, parse, response_xml, sign

from .scene import Attack, Attacks, Message, Scene, assert_refused, ds, edited, find, samlp, to_text

ATTACKS = Attacks()
Place = Callable[[etree._Element, etree._Element, etree._Element], None]


def wrap(scene: Scene, place: Place, forged_id: str = "_forged") -> str:
    """`place` gets the Response, the genuine assertion in it, and a forged one to put somewhere."""
    root = parse(scene.signed)
    forged = parse(assertion_xml(scene.forged.but(assertion_id=forged_id)))
    place(root, find(root, "Assertion"), forged)
    return to_text(root)


def into(parent: etree._Element, name: str, namespace: str, *content: etree._Element) -> etree._Element:
    element = etree.SubElement(parent, f"{{{namespace}}}{name}")
    element.extend(content)
    return element


def before(root: etree._Element, original: etree._Element, forged: etree._Element) -> None:
    original.addprevious(forged)


def after(root: etree._Element, original: etree._Element, forged: etree._Element) -> None:
    original.addnext(forged)


def around(root: etree._Element, original: etree._Element, forged: etree._Element) -> None:
    root.replace(original, forged)
    forged.append(original)


def inside(root: etree._Element, original: etree._Element, forged: etree._Element) -> None:
    original.append(forged)


def with_the_genuine_in_its_signature(
    root: etree._Element, original: etree._Element, forged: etree._Element
) -> None:
    root.replace(original, forged)
    signature = ds(original, "Signature")
    forged.insert(1, signature)
    into(signature, "Object", DS, original)


def with_the_genuine_in_its_key_info(
    root: etree._Element, original: etree._Element, forged: etree._Element
) -> None:
    root.replace(original, forged)
    signature = ds(original, "Signature")
    forged.insert(1, signature)
    ds(signature, "KeyInfo").append(original)


def with_the_genuine_in_extensions(
    root: etree._Element, original: etree._Element, forged: etree._Element
) -> None:
    root.replace(original, forged)
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    root.insert(1, extensions)
    extensions.append(original)


def with_the_genuine_in_its_advice(
    root: etree._Element, original: etree._Element, forged: etree._Element
) -> None:
    root.replace(original, forged)
    advice = etree.Element(f"{{{SAML}}}Advice")
    find(forged, "Conditions").addnext(advice)
    advice.append(original)


def with_the_genuine_in_the_status(
    root: etree._Element, original: etree._Element, forged: etree._Element
) -> None:
    root.replace(original, forged)
    into(samlp(root, "Status"), "StatusDetail", SAMLP, original)


def with_the_genuine_in_an_encrypted_element(
    root: etree._Element, original: etree._Element, forged: etree._Element
) -> None:
    root.replace(original, forged)
    into(root, "EncryptedAssertion", SAML, original)


def with_the_genuine_in_an_attribute_value(
    root: etree._Element, original: etree._Element, forged: etree._Element
) -> None:
    root.replace(original, forged)
    find(forged, "AttributeValue").append(original)


def with_the_genuine_in_its_confirmation(
    root: etree._Element, original: etree._Element, forged: etree._Element
) -> None:
    root.replace(original, forged)
    find(forged, "SubjectConfirmationData").append(original)


def in_the_advice_of_the_genuine(
    root: etree._Element, original: etree._Element, forged: etree._Element
) -> None:
    advice = etree.Element(f"{{{SAML}}}Advice")
    find(original, "Conditions").addnext(advice)
    advice.append(forged)


def in_an_element_of_the_attackers(
    root: etree._Element, original: etree._Element, forged: etree._Element
) -> None:
    into(root, "any", "urn:example:any", forged)


XSW: dict[str, Place] = {
    "XSW3: the forged assertion before the genuine one": before,
    "XSW3 the other way round: after it": after,
    "XSW4: the forged assertion around the genuine one": around,
    "XSW5 in the genuine assertion itself": inside,
    "XSW6 and XSW8: the genuine one in an Object of the signature": with_the_genuine_in_its_signature,
    "the genuine one in the KeyInfo": with_the_genuine_in_its_key_info,
    "XSW7: the genuine one in Extensions": with_the_genuine_in_extensions,
    "the genuine one in Advice": with_the_genuine_in_its_advice,
    "the genuine one in the StatusDetail": with_the_genuine_in_the_status,
    "the genuine one in an EncryptedAssertion": with_the_genuine_in_an_encrypted_element,
    "the genuine one in an attribute value": with_the_genuine_in_an_attribute_value,
    "the genuine one in the confirmation": with_the_genuine_in_its_confirmation,
    "the forged one in Advice": in_the_advice_of_the_genuine,
    "the forged one in an element of the attacker's": in_an_element_of_the_attackers,
}
NUMBERS = {
    "XSW3: the forged assertion before the genuine one": (
        "CVE-2017-1000452",
        "CVE-2025-47949",
        "CVE-2016-5697",
    ),
    "XSW3 the other way round: after it": ("CVE-2021-21238",),
    "XSW4: the forged assertion around the genuine one": ("CVE-2020-5390", "CVE-2020-5407"),
    "XSW7: the genuine one in Extensions": ("CVE-2024-45409",),
}
for _name, _place in XSW.items():
    ATTACKS.row(_name, "saml:several-assertions", partial(wrap, place=_place), *NUMBERS.get(_name, ()))


@ATTACKS("two assertions with one ID", "saml:duplicate-id")
def one_id(scene: Scene) -> Message:
    return wrap(scene, before, forged_id=scene.facts.assertion_id)


@ATTACKS("a forged element that says it is the signed one, by another spelling of ID", "saml:duplicate-id")
def other_spelling(scene: Scene) -> Message:
    root = parse(scene.signed)
    detail = into(samlp(root, "Status"), "StatusDetail", SAMLP)
    detail.set("Id", scene.facts.assertion_id)
    return to_text(root)


@ATTACKS("an xml:id that libxml2 takes for the assertion's", "saml:duplicate-id")
def xml_id(scene: Scene) -> Message:
    root = parse(scene.signed)
    samlp(root, "Status").set("{http://www.w3.org/XML/1998/namespace}id", scene.facts.assertion_id)
    return to_text(root)


@ATTACKS("the signature of another element's ID twice over", "saml:duplicate-id")
def signature_id(scene: Scene) -> Message:
    root = parse(scene.signed)
    ds(root, "Signature").set("Id", scene.facts.assertion_id)
    return to_text(root)


# Whole Responses.


def responses(scene: Scene, place: Callable[[etree._Element, etree._Element], etree._Element]) -> str:
    """A genuine signed Response, and a forged one with a forged assertion."""
    genuine = parse(scene.idp.signed_response(scene.facts))
    forged = parse(response_xml(scene.forged, assertion_xml(scene.forged)))
    return to_text(place(genuine, forged))


@ATTACKS("XSW1: a forged Response with the genuine one in the signature's Object", "saml:wrapped")
def response_in_object(scene: Scene) -> Message:
    def place(genuine: etree._Element, forged: etree._Element) -> etree._Element:
        signature = ds(genuine, "Signature")
        forged.insert(1, signature)
        into(signature, "Object", DS, genuine)
        return forged

    return responses(scene, place)


@ATTACKS("XSW2: a forged Response with the genuine one before its signature", "saml:wrapped")
def response_beside_signature(scene: Scene) -> Message:
    def place(genuine: etree._Element, forged: etree._Element) -> etree._Element:
        signature = ds(genuine, "Signature")
        forged.insert(1, signature)
        signature.addprevious(genuine)
        return forged

    return responses(scene, place)


@ATTACKS("a forged Response with the genuine one in Extensions", "saml:wrapped")
def response_in_extensions(scene: Scene) -> Message:
    def place(genuine: etree._Element, forged: etree._Element) -> etree._Element:
        extensions = etree.Element(f"{{{SAMLP}}}Extensions")
        forged.insert(1, extensions)
        extensions.append(genuine)
        return forged

    return responses(scene, place)


@ATTACKS("a genuine Response with a forged one in Extensions", "saml:wrapped")
def forged_in_genuine(scene: Scene) -> Message:
    def place(genuine: etree._Element, forged: etree._Element) -> etree._Element:
        extensions = etree.Element(f"{{{SAMLP}}}Extensions")
        genuine.insert(1, extensions)
        extensions.append(forged)
        return genuine

    return responses(scene, place)


@ATTACKS("two Responses side by side", "saml:malformed")
def side_by_side(scene: Scene) -> Message:
    def place(genuine: etree._Element, forged: etree._Element) -> etree._Element:
        both = etree.Element("both")
        both.extend([genuine, forged])
        return both

    return responses(scene, place)


@ATTACKS("a genuine Response after the forged one in an envelope of SOAP", "saml:malformed")
def in_soap(scene: Scene) -> Message:
    def place(genuine: etree._Element, forged: etree._Element) -> etree._Element:
        soap = "http://schemas.xmlsoap.org/soap/envelope/"
        envelope = etree.Element(f"{{{soap}}}Envelope")
        into(envelope, "Body", soap, forged, genuine)
        return envelope

    return responses(scene, place)


# Places where a signature, or a part of one, is found without being this element's.


@ATTACKS("the signature outside of the assertion, beside it", "saml:signature-reference")
def signature_beside(scene: Scene) -> Message:
    root = parse(scene.signed)
    root.insert(1, ds(root, "Signature"))
    find(root, "NameID").text = "administrator"
    return to_text(root)


@ATTACKS(
    "the Response's signature moved into a forged assertion", "saml:signature-reference", "CVE-2024-8698"
)
def response_signature_inside(scene: Scene) -> Message:
    root = parse(scene.idp.signed_response(scene.facts))
    forged = parse(assertion_xml(scene.forged))
    forged.insert(1, ds(root, "Signature"))
    root.replace(find(root, "Assertion"), forged)
    return to_text(root)


@ATTACKS("the signature deep in the assertion, where a search would find it", "saml:wrapped")
def deep_signature(scene: Scene) -> Message:
    root = parse(scene.signed)
    find(root, "AttributeStatement").append(ds(root, "Signature"))
    find(root, "NameID").text = "administrator"
    return to_text(root)


@ATTACKS("two signatures of one assertion, the attacker's first", "saml:wrapped")
def two_signatures(scene: Scene) -> Message:
    root = parse(scene.signed)
    ds(root, "Signature").addnext(parse(to_text(ds(root, "Signature"))))
    return to_text(root)


@ATTACKS(
    "the forged digest in Extensions, where a search for it looks first",
    "saml:signature-invalid",
    "CVE-2024-45409",
)
def smuggled_digest(scene: Scene) -> Message:
    root = parse(scene.signed)
    find(root, "NameID").text = "administrator"
    mine = parse(sign(to_text(_unsigned(root)), scene.idp.keys, id=scene.facts.assertion_id))
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    root.insert(1, extensions)
    extensions.append(ds(mine, "DigestValue"))
    return to_text(root)


def _unsigned(root: etree._Element) -> etree._Element:
    copy = parse(to_text(root))
    signature = ds(copy, "Signature")
    signature.getparent().remove(signature)
    return copy


@ATTACKS(
    "a signature of the IdP's metadata on a forged Response", "saml:signature-reference", "CVE-2024-6800"
)
def signed_metadata(scene: Scene) -> Message:
    metadata = scene.idp.metadata().replace(
        "<md:EntityDescriptor ", '<md:EntityDescriptor ID="_metadata" ', 1
    )
    signed = parse(sign(metadata, scene.idp.keys, id="_metadata"))
    forged = parse(response_xml(scene.forged, assertion_xml(scene.forged)))
    forged.insert(1, ds(signed, "Signature"))
    into(samlp(forged, "Status"), "StatusDetail", SAMLP, signed)
    return to_text(forged)


# Encryption as a place to hide.


@ATTACKS(
    "an encrypted forged assertion before the attacker's own signed one",
    "saml:several-assertions",
    "CVE-2026-2092",
)
def encrypted_first(scene: Scene) -> Message:
    root = parse(scene.signed)
    hidden = encrypt(assertion_xml(scene.forged), scene.sp_certificate)
    find(root, "Assertion").addprevious(parse(hidden))
    return to_text(root)


@ATTACKS("an encrypted forged assertion after the attacker's own signed one", "saml:several-assertions")
def encrypted_after(scene: Scene) -> Message:
    root = parse(scene.signed)
    root.append(parse(encrypt(assertion_xml(scene.forged), scene.sp_certificate)))
    return to_text(root)


@ATTACKS("two encrypted assertions, the first forged", "saml:several-assertions")
def two_encrypted(scene: Scene) -> Message:
    root = parse(scene.idp.encrypted(scene.facts, scene.sp_certificate))
    root.insert(2, parse(encrypt(assertion_xml(scene.forged), scene.sp_certificate)))
    return to_text(root)


@ATTACKS("wrapped before it was encrypted", "saml:decryption-failed")
def wrapped_inside(scene: Scene) -> Message:
    signed = sign(assertion_xml(scene.facts), scene.idp.keys, id=scene.facts.assertion_id)
    forged = parse(assertion_xml(scene.forged))
    advice = etree.Element(f"{{{SAML}}}Advice")
    find(forged, "Conditions").addnext(advice)
    advice.append(parse(signed))
    return response_xml(scene.forged, encrypt(to_text(forged), scene.sp_certificate))


@ATTACKS("an encrypted forged assertion in the place of the signed Response's own", "saml:signature-invalid")
def exchanged_encrypted(scene: Scene) -> Message:
    root = parse(scene.idp.encrypted_in_signed_response(scene.facts, scene.sp_certificate))
    root.replace(
        find(root, "EncryptedAssertion"), parse(encrypt(assertion_xml(scene.forged), scene.sp_certificate))
    )
    return to_text(root)


@ATTACKS("an encrypted assertion hidden in Extensions", "saml:wrapped")
def encrypted_in_extensions(scene: Scene) -> Message:
    root = parse(response_xml(scene.forged, ""))
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    root.insert(1, extensions)
    extensions.append(parse(encrypt(assertion_xml(scene.forged), scene.sp_certificate)))
    return to_text(root)


# Names and namespaces.


@ATTACKS("an assertion of SAML 1.1, signed where nobody looks", "saml:wrapped")
def of_saml_1(scene: Scene) -> Message:
    return scene.signed.replace(SAML, "urn:oasis:names:tc:SAML:1.0:assertion")


@ATTACKS(
    "the assertion's ID in a namespace, where it is another attribute",
    "saml:signature-reference",
    "CVE-2025-66567",
)
def id_in_namespace(scene: Scene) -> Message:
    root = parse(scene.signed)
    assertion = find(root, "Assertion")
    assertion.set(f"{{{SAML}}}ID", assertion.attrib.pop("ID"))
    assertion.set("ID", "_forged")
    find(root, "NameID").text = "administrator"
    return to_text(root)


@ATTACKS("Id in the place of ID", "saml:signature-reference")
def lower_id(scene: Scene) -> Message:
    root = parse(scene.signed)
    assertion = find(root, "Assertion")
    assertion.set("Id", assertion.attrib.pop("ID"))
    return to_text(root)


@ATTACKS("no ID, and a reference to nothing", "saml:signature-reference")
def no_id(scene: Scene) -> Message:
    root = parse(scene.signed)
    del find(root, "Assertion").attrib["ID"]
    ds(root, "Reference").set("URI", "#")
    return to_text(root)


@ATTACKS(
    "a namespace that stops the canonicalisation, so that it digests nothing",
    "saml:signature-invalid",
    "CVE-2025-66568",
)
def void_canonicalisation(scene: Scene) -> Message:
    """A relative namespace URI is an error of libxml2's canonicalisation; some took its empty output for the text."""
    root = parse(scene.signed.replace("<saml:Assertion ", '<saml:Assertion xmlns:void="1" ', 1))
    find(root, "NameID").text = "administrator"
    ds(root, "DigestValue").text = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    return to_text(root)


@ATTACKS("the prefix of the signed part bound to something else around it", "saml:malformed")
def rebound(scene: Scene) -> Message:
    return scene.signed.replace("<samlp:Response ", '<samlp:Response xmlns="urn:example:any" ', 1).replace(
        f'<saml:Assertion xmlns:saml="{SAML}"', '<saml:Assertion xmlns:saml=""'
    )


@ATTACKS("the default namespace declared anew in the signed part", "saml:signature-invalid")
def default_namespace(scene: Scene) -> Message:
    forged = f'<NameID xmlns="{SAML}">administrator</NameID>'
    return edited(scene.signed, lambda r: find(r, "Subject").replace(find(r, "NameID"), parse(forged)))


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_nobody_comes_in_by(scene: Scene, attack: Attack) -> None:
    assert_refused(scene, attack)
