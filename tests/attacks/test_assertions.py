"""Messages that must not sign anybody in, minted with real keys and posted over HTTP to the ACS.

For each: a 4xx with a calm page, the exact reason in the login log, no session, no identity, no account.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import pytest
import xmlsec
from lxml import etree

from saml_sp.models import LoginAttempt
from tests.saml_sp.idp import (
    DS,
    EMAIL,
    SAML,
    SAMLP,
    Facts,
    TestIdp,
    assertion_xml,
    encrypt,
    key_pair,
    parse,
    response_xml,
    sign,
)
from tests.saml_sp.parties import Browser, make_connection, make_tenant, nobody_came_in

C = xmlsec.constants


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What an attacker at the corp connection has: the IdP's honest signature over his own facts, and his own key."""

    browser: Browser
    idp: TestIdp
    facts: Facts
    sp_certificate: bytes

    @property
    def signed(self) -> str:
        return self.idp.signed_assertion(self.facts)

    @property
    def forged(self) -> Facts:
        """What he would like to say: that he is the administrator."""
        return self.facts.but(name_id="administrator", assertion_id="_forged", response_id="_forgedresponse")


Attack = Callable[[Scene], str]
ATTACKS: dict[str, tuple[str, Attack]] = {}


def attack(name: str, reason: str) -> Callable[[Attack], Attack]:
    def keep(function: Attack) -> Attack:
        ATTACKS[name] = (reason, function)
        return function

    return keep


def to_text(root: etree._Element) -> str:
    return etree.tostring(root, encoding="unicode")


def find(root: etree._Element, name: str) -> etree._Element:
    return next(root.iter(f"{{{SAML}}}{name}"))


# Signatures that are missing, broken or made by somebody else.


@attack("no signature at all", "saml:unsigned")
def unsigned(scene: Scene) -> str:
    return response_xml(scene.forged, assertion_xml(scene.forged))


@attack("the signature stripped from a genuine assertion that was then changed", "saml:unsigned")
def stripped(scene: Scene) -> str:
    root = parse(scene.signed)
    signature = next(root.iter(f"{{{DS}}}Signature"))
    signature.getparent().remove(signature)
    find(root, "NameID").text = "administrator"
    return to_text(root)


@attack("a signed assertion whose NameID was changed afterwards", "saml:signature-invalid")
def changed(scene: Scene) -> str:
    return scene.signed.replace("p-4711", "administrator")


@attack("an attribute changed inside a signed Response", "saml:signature-invalid")
def changed_response(scene: Scene) -> str:
    return scene.idp.signed_response(scene.facts).replace("ada@corp.example", "boss@corp.example")


@attack("the signature value emptied", "saml:signature-invalid")
def emptied(scene: Scene) -> str:
    root = parse(scene.signed)
    next(root.iter(f"{{{DS}}}SignatureValue")).text = ""
    return to_text(root)


@attack("signed with the attacker's key, his certificate in KeyInfo", "saml:signature-invalid")
def key_info(scene: Scene) -> str:
    forged = scene.forged
    return response_xml(forged, sign(assertion_xml(forged), key_pair("mallory"), id=forged.assertion_id))


@attack("signed with the attacker's key, the IdP's certificate in KeyInfo", "saml:signature-invalid")
def borrowed_certificate(scene: Scene) -> str:
    mallory, corp = key_pair("mallory"), key_pair("corp")
    xml = key_info(scene)
    return xml.replace(mallory.certificate_text[:60], corp.certificate_text[:60])


@attack("signed with the service provider's own key", "saml:signature-invalid")
def own_key(scene: Scene) -> str:
    # The Response answers with a key that is also in a metadata file, only not in the IdP's.
    forged = scene.forged
    return response_xml(forged, sign(assertion_xml(forged), key_pair("another-idp"), id=forged.assertion_id))


# Algorithms.


@attack("RSA with SHA-1", "saml:algorithm")
def rsa_sha1(scene: Scene) -> str:
    return scene.idp.signed_assertion(scene.facts, signature=C.TransformRsaSha1)


@attack("a SHA-1 digest", "saml:algorithm")
def sha1_digest(scene: Scene) -> str:
    return scene.idp.signed_assertion(scene.facts, digest=C.TransformSha1)


@attack("HMAC with the IdP's public certificate as the secret", "saml:algorithm")
def hmac_confusion(scene: Scene) -> str:
    secret = key_pair("corp").certificate
    key = xmlsec.Key.from_binary_data(C.KeyDataHmac, secret)
    forged = scene.forged
    signed = sign(
        assertion_xml(forged),
        key_pair("corp"),
        id=forged.assertion_id,
        signature=C.TransformHmacSha256,
        key=key,
        key_info=False,
    )
    return response_xml(forged, signed)


@attack("HMACOutputLength (CVE-2009-0217)", "saml:signature-shape")
def truncated_hmac(scene: Scene) -> str:
    root = parse(scene.signed)
    method = next(root.iter(f"{{{DS}}}SignatureMethod"))
    etree.SubElement(method, f"{{{DS}}}HMACOutputLength").text = "1"
    return to_text(root)


@attack("an XSLT transform", "saml:algorithm")
def xslt(scene: Scene) -> str:
    root = parse(scene.signed)
    transform = list(root.iter(f"{{{DS}}}Transform"))[1]
    transform.set("Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116")
    return to_text(root)


@attack("an XPath transform that digests nothing", "saml:algorithm")
def xpath(scene: Scene) -> str:
    root = parse(scene.signed)
    transform = list(root.iter(f"{{{DS}}}Transform"))[1]
    transform.set("Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116")
    etree.SubElement(transform, f"{{{DS}}}XPath").text = "false()"
    return to_text(root)


@attack("no enveloped transform", "saml:algorithm")
def no_enveloped(scene: Scene) -> str:
    return scene.idp.signed_assertion(scene.facts, transforms=(C.TransformExclC14N,))


# References.


@attack("an empty reference URI", "saml:signature-reference")
def empty_reference(scene: Scene) -> str:
    root = parse(scene.signed)
    next(root.iter(f"{{{DS}}}Reference")).set("URI", "")
    return to_text(root)


@attack("a reference by XPointer", "saml:signature-reference")
def xpointer(scene: Scene) -> str:
    root = parse(scene.signed)
    next(root.iter(f"{{{DS}}}Reference")).set("URI", f"#xpointer(id('{scene.facts.assertion_id}'))")
    return to_text(root)


@attack("a reference to a file", "saml:signature-reference")
def file_reference(scene: Scene) -> str:
    root = parse(scene.signed)
    next(root.iter(f"{{{DS}}}Reference")).set("URI", "file:///etc/passwd")
    return to_text(root)


@attack("two references in one signature", "saml:signature-shape")
def two_references(scene: Scene) -> str:
    root = parse(scene.signed)
    reference = next(root.iter(f"{{{DS}}}Reference"))
    reference.addnext(parse(etree.tostring(reference)))
    return to_text(root)


@attack("two digest values, one of them in the signed info (CVE-2025-25291)", "saml:signature-shape")
def two_digests(scene: Scene) -> str:
    root = parse(scene.signed)
    digest = next(root.iter(f"{{{DS}}}DigestValue"))
    digest.addprevious(parse(etree.tostring(digest)))
    return to_text(root)


@attack("a ds:Object that carries the signed assertion", "saml:several-assertions")
def object_carrier(scene: Scene) -> str:
    root = parse(scene.signed)
    original = find(root, "Assertion")
    signature = next(original.iter(f"{{{DS}}}Signature"))
    forged = parse(assertion_xml(scene.forged))
    root.replace(original, forged)
    forged.insert(1, signature)
    etree.SubElement(signature, f"{{{DS}}}Object").append(original)
    return to_text(root)


# Signature wrapping (Somorovsky et al., "On Breaking SAML", USENIX Security 2012).


def wrap(scene: Scene, place: Callable[[etree._Element, etree._Element, etree._Element], None]) -> str:
    root = parse(scene.signed)
    original = find(root, "Assertion")
    forged = parse(assertion_xml(scene.forged))
    place(root, original, forged)
    return to_text(root)


def _before(root: etree._Element, original: etree._Element, forged: etree._Element) -> None:
    original.addprevious(forged)


def _after(root: etree._Element, original: etree._Element, forged: etree._Element) -> None:
    original.addnext(forged)


def _around(root: etree._Element, original: etree._Element, forged: etree._Element) -> None:
    root.replace(original, forged)
    forged.append(original)


def _inside(root: etree._Element, original: etree._Element, forged: etree._Element) -> None:
    original.append(forged)


def _in_extensions(root: etree._Element, original: etree._Element, forged: etree._Element) -> None:
    root.replace(original, forged)
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    root.insert(1, extensions)
    extensions.append(original)


def _in_advice(root: etree._Element, original: etree._Element, forged: etree._Element) -> None:
    root.replace(original, forged)
    advice = etree.Element(f"{{{SAML}}}Advice")
    find(forged, "Conditions").addnext(advice)
    advice.append(original)


def _in_status_detail(root: etree._Element, original: etree._Element, forged: etree._Element) -> None:
    root.replace(original, forged)
    status = next(root.iter(f"{{{SAMLP}}}Status"))
    etree.SubElement(status, f"{{{SAMLP}}}StatusDetail").append(original)


def _in_encrypted(root: etree._Element, original: etree._Element, forged: etree._Element) -> None:
    root.replace(original, forged)
    etree.SubElement(root, f"{{{SAML}}}EncryptedAssertion").append(original)


for _place in (
    _before,
    _after,
    _around,
    _inside,
    _in_extensions,
    _in_advice,
    _in_status_detail,
    _in_encrypted,
):
    ATTACKS[f"wrapped: the forged assertion {_place.__name__.strip('_').replace('_', ' ')}"] = (
        "saml:several-assertions",
        partial(wrap, place=_place),
    )


@attack("wrapped: the signed Response inside a forged Response", "saml:wrapped")
def response_in_response(scene: Scene) -> str:
    genuine = parse(scene.idp.signed_response(scene.facts))
    forged = parse(response_xml(scene.forged, ""))
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    forged.insert(1, extensions)
    extensions.append(genuine)
    return to_text(forged)


@attack(
    "wrapped: the genuine signature moved onto a forged assertion with the same ID", "saml:signature-invalid"
)
def moved_signature(scene: Scene) -> str:
    root = parse(scene.signed)
    original = find(root, "Assertion")
    signature = next(original.iter(f"{{{DS}}}Signature"))
    forged = parse(assertion_xml(scene.forged.but(assertion_id=scene.facts.assertion_id)))
    root.replace(original, forged)
    forged.insert(1, signature)
    return to_text(root)


@attack("the signature outside of the assertion, beside it", "saml:signature-reference")
def signature_beside(scene: Scene) -> str:
    root = parse(scene.signed)
    signature = next(root.iter(f"{{{DS}}}Signature"))
    root.insert(1, signature)
    find(root, "NameID").text = "administrator"
    return to_text(root)


@attack("two elements with one ID", "saml:duplicate-id")
def duplicate_id(scene: Scene) -> str:
    root = parse(scene.signed)
    status = next(root.iter(f"{{{SAMLP}}}Status"))
    detail = etree.SubElement(status, f"{{{SAMLP}}}StatusDetail")
    etree.SubElement(detail, "{urn:x}any").set("ID", scene.facts.assertion_id)
    return to_text(root)


@attack("an xml:id that libxml2 takes for the assertion's", "saml:duplicate-id")
def xml_id(scene: Scene) -> str:
    root = parse(scene.signed)
    next(root.iter(f"{{{SAMLP}}}Status")).set(
        "{http://www.w3.org/XML/1998/namespace}id", scene.facts.assertion_id
    )
    return to_text(root)


# What parsers read differently.


@attack("a comment inside the NameID (CVE-2017-11427)", "saml:comment")
def comment(scene: Scene) -> str:
    signed = scene.idp.signed_assertion(scene.facts.but(name_id="administrator.mallory"))
    return signed.replace("administrator.mallory", "administrator<!---->.mallory")


@attack("a processing instruction inside the NameID", "saml:comment")
def instruction(scene: Scene) -> str:
    signed = scene.idp.signed_assertion(scene.facts.but(name_id="administrator.mallory"))
    return signed.replace("administrator.mallory", "administrator<?x?>.mallory")


@attack("a comment inside the digest value (CVE-2025-29775)", "saml:comment")
def comment_in_digest(scene: Scene) -> str:
    return scene.signed.replace("DigestValue>", "DigestValue><!--x-->", 1)


@attack("a DOCTYPE with an external entity", "saml:doctype")
def xxe(scene: Scene) -> str:
    entity = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    return entity + scene.signed.replace("p-4711", "&x;")


@attack("a DOCTYPE that declares an ID attribute", "saml:doctype")
def dtd_id(scene: Scene) -> str:
    return "<!DOCTYPE r [<!ATTLIST saml:NameID Format ID #IMPLIED>]>" + scene.signed


@attack("entities that multiply", "saml:doctype")
def billion_laughs(scene: Scene) -> str:
    lines = ["<!DOCTYPE r [<!ENTITY a0 'ha'>"]
    lines += [f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 10)]
    return "".join(lines) + "]>" + scene.signed.replace("p-4711", "&a9;")


@attack("another encoding", "saml:malformed")
def utf7(scene: Scene) -> str:
    return '<?xml version="1.0" encoding="UTF-7"?>' + scene.signed


# Who, for whom, when.


def signed_but(**changes: object) -> Attack:
    return lambda scene: scene.idp.signed_assertion(scene.facts.but(**changes))


def shifted(**shifts: timedelta) -> Attack:
    return lambda scene: scene.idp.signed_assertion(
        scene.facts.but(**{name: scene.facts.at + shift for name, shift in shifts.items()})
    )


ATTACKS.update(
    {
        "no Conditions": ("saml:conditions-missing", signed_but(conditions=False)),
        "no AudienceRestriction": ("saml:audience-missing", signed_but(audience=None)),
        "another service's audience": ("saml:audience-foreign", signed_but(audience="https://other.example")),
        "our audience in one restriction, a foreign one in the next": (
            "saml:audience-foreign",
            signed_but(extra_audiences=("https://other.example",)),
        ),
        "another service's Recipient": (
            "saml:recipient-foreign",
            signed_but(recipient="https://other.example/acs"),
        ),
        "no Recipient": ("saml:recipient-foreign", signed_but(recipient=None)),
        "our entity ID as Recipient": (
            "saml:recipient-foreign",
            lambda s: s.idp.signed_assertion(s.facts.but(recipient=s.facts.audience)),
        ),
        "another Destination": (
            "saml:destination-foreign",
            signed_but(destination="https://other.example/acs"),
        ),
        "a signed Response without Destination": (
            "saml:destination-missing",
            lambda s: s.idp.signed_response(s.facts.but(destination=None)),
        ),
        "no Issuer in the Response": (
            "saml:issuer-missing",
            lambda s: s.signed.replace(
                f'<saml:Issuer xmlns:saml="{SAML}">https://idp.example/metadata</saml:Issuer>', "", 1
            ),
        ),
        "another Issuer in the Response": (
            "saml:issuer-foreign",
            signed_but(response_issuer="https://other.example"),
        ),
        "another Issuer in the assertion": (
            "saml:issuer-foreign",
            lambda s: s.idp.signed_response(
                s.facts.but(issuer="https://other.example", response_issuer=s.idp.entity_id)
            ),
        ),
        "no InResponseTo": ("saml:unsolicited", signed_but(in_response_to=None)),
        "an InResponseTo that nobody asked": ("saml:request-unknown", signed_but(in_response_to="_guessed")),
        "an InResponseTo in the confirmation that nobody asked": (
            "saml:request-foreign",
            signed_but(confirmation_in_response_to="_other"),
        ),
        "no InResponseTo in the confirmation": (
            "saml:request-foreign",
            signed_but(confirmation_in_response_to=None),
        ),
        "a confirmation without an end": ("saml:confirmation-endless", signed_but(confirmation_endless=True)),
        "a confirmation of another method": (
            "saml:confirmation-missing",
            signed_but(method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"),
        ),
        "an expired assertion": (
            "saml:expired",
            shifted(not_on_or_after=timedelta(minutes=-2)),
        ),
        "an assertion of tomorrow": ("saml:not-yet-valid", shifted(not_before=timedelta(minutes=3))),
        "an assertion issued twenty minutes ago": (
            "saml:too-old",
            lambda s: s.idp.signed_assertion(
                s.facts.but(
                    at=s.facts.at - timedelta(minutes=20), not_on_or_after=s.facts.at + timedelta(minutes=5)
                )
            ),
        ),
        "a window of a year": ("saml:window-too-long", shifted(not_on_or_after=timedelta(days=365))),
        "a session that is over": (
            "saml:session-over",
            shifted(session_not_on_or_after=timedelta(minutes=-5)),
        ),
        "no AuthnStatement": ("saml:authentication-missing", signed_but(authn_statement=False)),
        "a login that the IdP refused": (
            "saml:idp-refused",
            signed_but(status="urn:oasis:names:tc:SAML:2.0:status:Responder"),
        ),
        "two e-mail addresses": (
            "saml:emails-disagree",
            signed_but(attributes={"email": ["a@corp.example", "b@corp.example"]}),
        ),
        "two e-mail attributes that disagree": (
            "saml:emails-disagree",
            signed_but(attributes={"email": ["a@corp.example"], "mail": ["b@corp.example"]}),
        ),
        "an e-mail NameID that disagrees with the attribute": (
            "saml:emails-disagree",
            signed_but(name_id="mallory@corp.example", name_id_format=EMAIL),
        ),
        "an e-mail of a domain that is not granted": (
            "login:domain-not-allowed",
            signed_but(attributes={"email": ["boss@other.example"]}),
        ),
        "a thousand attributes": (
            "saml:attributes-too-many",
            signed_but(attributes={f"a{n}": ["x"] for n in range(300)}),
        ),
        "an attribute value of ten thousand letters": (
            "saml:attribute-too-long",
            signed_but(attributes={"email": ["a@corp.example"], "givenName": ["x" * 10_000]}),
        ),
        "more elements than a message needs": (
            "saml:message-too-large",
            signed_but(attributes={"groups": ["x"] * 6000}),
        ),
        "an unsigned message of 300 KiB": (
            "saml:message-too-large",
            lambda s: response_xml(s.forged, assertion_xml(s.forged.but(name_id="x" * 300_000))),
        ),
    }
)


# Encryption.


@attack("an encrypted assertion that nobody signed", "saml:unsigned")
def encrypted_unsigned(scene: Scene) -> str:
    return response_xml(scene.forged, encrypt(assertion_xml(scene.forged), scene.sp_certificate))


@attack("an encrypted assertion beside the signed plain one", "saml:several-assertions")
def encrypted_beside(scene: Scene) -> str:
    root = parse(scene.signed)
    root.append(parse(encrypt(assertion_xml(scene.forged), scene.sp_certificate)))
    return to_text(root)


@attack("RSA 1.5 key transport", "saml:algorithm")
def rsa15(scene: Scene) -> str:
    return scene.idp.encrypted(scene.facts, scene.sp_certificate, transport=C.TransformRsaPkcs1)


@attack("a CipherReference", "saml:cipher-reference")
def cipher_reference(scene: Scene) -> str:
    root = parse(scene.idp.encrypted(scene.facts, scene.sp_certificate))
    data = next(root.iter("{http://www.w3.org/2001/04/xmlenc#}EncryptedData"))
    cipher = data.find("{http://www.w3.org/2001/04/xmlenc#}CipherData")
    cipher.remove(cipher[0])
    etree.SubElement(cipher, "{http://www.w3.org/2001/04/xmlenc#}CipherReference").set(
        "URI", "http://127.0.0.1:9/secret"
    )
    return to_text(root)


@attack("a hundred encrypted keys", "saml:decryption-failed")
def many_keys(scene: Scene) -> str:
    root = parse(scene.idp.encrypted(scene.facts, scene.sp_certificate))
    key = next(root.iter("{http://www.w3.org/2001/04/xmlenc#}EncryptedKey"))
    for _ in range(100):
        key.addnext(parse(etree.tostring(key)))
    return to_text(root)


@attack("encrypted for somebody else", "saml:decryption-failed")
def foreign_encryption(scene: Scene) -> str:
    return scene.idp.encrypted(scene.facts, key_pair("mallory").certificate)


@attack("a foreign InResponseTo inside the encryption", "saml:request-foreign")
def foreign_inside_encryption(scene: Scene) -> str:
    facts = scene.facts.but(confirmation_in_response_to="_other")
    return scene.idp.encrypted(facts, scene.sp_certificate)


@attack("an encrypted assertion inside an encrypted assertion", "saml:decryption-failed")
def nested_encryption(scene: Scene) -> str:
    inner = encrypt(scene.signed, scene.sp_certificate)
    return response_xml(scene.facts, encrypt(inner, scene.sp_certificate))


@attack("a tampered ciphertext", "saml:decryption-failed")
def tampered(scene: Scene) -> str:
    root = parse(scene.idp.encrypted(scene.facts, scene.sp_certificate))
    value = list(root.iter("{http://www.w3.org/2001/04/xmlenc#}CipherValue"))[-1]
    raw = bytearray(base64.b64decode(value.text))
    raw[40] ^= 1
    value.text = base64.b64encode(bytes(raw)).decode()
    return to_text(root)


@pytest.fixture
def scene(browser: Browser, idp: TestIdp, sp_certificate: bytes) -> Scene:
    return Scene(browser=browser, idp=idp, facts=browser.facts(), sp_certificate=sp_certificate)


@pytest.mark.parametrize("name", ATTACKS)
def test_nobody_comes_in_by(scene: Scene, name: str) -> None:
    reason, make = ATTACKS[name]
    answer = scene.browser.post(make(scene))
    attempt = LoginAttempt.objects.get()
    assert (attempt.reason, attempt.outcome) == (reason, "refused"), attempt.detail
    assert 400 <= answer.status_code < 500
    assert attempt.reference in answer.content.decode()
    assert nobody_came_in()
    assert scene.browser.me().status_code == 401


def test_another_tenants_genuine_assertion_is_refused_here(scene: Scene) -> None:
    other = make_connection(
        make_tenant("evil", "evil.example"),
        TestIdp(entity_id="https://evil.example/metadata", keys=key_pair("evil")),
    )
    evil = TestIdp(entity_id="https://evil.example/metadata", keys=key_pair("evil"))
    at_home = Browser(connection=other, idp=evil)
    genuine = evil.signed_assertion(at_home.facts(attributes={"email": ["x@evil.example"]}))
    # As it is; under an unsigned Response in corp's name; and with everything but the key made corp's.
    disguised = parse(genuine)
    disguised.find(f"{{{SAML}}}Issuer").text = scene.idp.entity_id
    disguised.set("Destination", scene.facts.acs)
    disguised.set("InResponseTo", scene.facts.in_response_to or "")
    minted = evil.signed_assertion(
        scene.facts.but(issuer=evil.entity_id, response_issuer=scene.idp.entity_id)
    )
    named = evil.signed_assertion(scene.facts)
    for message in (genuine, to_text(disguised), minted, named):
        assert scene.browser.post(message).status_code == 403
    assert nobody_came_in()


def test_a_replay_in_another_browser_is_refused(scene: Scene) -> None:
    message = scene.signed
    assert scene.browser.post(message).status_code == 302
    thief = Browser(connection=scene.browser.connection, idp=scene.idp)
    thief.start()
    assert thief.post(message).status_code == 403
    assert thief.me().status_code == 401
    assert LoginAttempt.objects.first().reason == "saml:browser-foreign"


def test_an_answer_to_the_attackers_request_does_not_sign_the_victim_in(scene: Scene) -> None:
    victim = Browser(connection=scene.browser.connection, idp=scene.idp)
    victim.start()
    assert victim.post(scene.signed).status_code == 403
    assert nobody_came_in()


def test_a_request_of_one_connection_is_not_answered_at_another(scene: Scene, idp: TestIdp) -> None:
    second = make_connection(scene.browser.connection.tenant, idp, name="Second")
    there = Browser(connection=second, idp=idp, client=scene.browser.client)
    facts = there.facts().but(in_response_to=scene.facts.in_response_to)
    assert there.post(idp.signed_assertion(facts)).status_code == 403
    assert LoginAttempt.objects.get().reason == "saml:request-unknown"
    assert nobody_came_in()
