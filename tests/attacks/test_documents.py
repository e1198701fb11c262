"""Documents that two parsers read differently, or that are no Response at all."""

import base64
import gzip
import json
from collections.abc import Callable

import pytest

from tests.saml_sp.idp import (
    SAML,
    SAMLP,
    assertion_xml,
    deflate,
    encode,
    parse,
    response_xml,
    sign,
)

from .scene import Attack, Attacks, Message, Scene, Sent, assert_refused, edited, find, samlp, to_text

ATTACKS = Attacks()
CUT = "administrator.mallory"
"""A name that the IdP honestly gave the attacker, and that reads otherwise once something is put before the dot."""


def name_cut_by(what: str) -> Callable[[Scene], Message]:
    return lambda s: s.minted(name_id=CUT).replace(CUT, CUT.replace(".", f"{what}."))


def before_the_root(text: str) -> Callable[[Scene], Message]:
    return lambda s: text + s.signed


def raw(value: Callable[[Scene], str], **more: str) -> Callable[[Scene], Message]:
    """The field itself, instead of a message in base64."""

    def make(scene: Scene) -> Message:
        return Sent(body=b"SAMLResponse=" + value(scene).encode())

    return make


# DTDs and entities.

ATTACKS.row(
    "a DOCTYPE with an external entity",
    "saml:doctype",
    lambda s: '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + s.signed.replace("p-4711", "&x;"),
    "CVE-2016-10127",
    "CVE-2016-10149",
)
ATTACKS.row(
    "a DOCTYPE with an external subset",
    "saml:doctype",
    before_the_root('<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x">'),
    "CVE-2017-1000061",
)
ATTACKS.row(
    "a parameter entity that calls home",
    "saml:doctype",
    before_the_root('<!DOCTYPE r [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;]>'),
)
ATTACKS.row(
    "a DOCTYPE that declares an ID attribute",
    "saml:doctype",
    before_the_root("<!DOCTYPE r [<!ATTLIST saml:NameID Format ID #IMPLIED>]>"),
)
ATTACKS.row(
    "a DOCTYPE that gives an attribute its value",
    "saml:doctype",
    lambda s: "<!DOCTYPE r [<!ATTLIST samlp:Response InResponseTo CDATA 'x'>]>" + s.signed,
)
ATTACKS.row(
    "a DOCTYPE in which one parser sees a comment and the other the message",
    "saml:doctype",
    lambda s: f"<!DOCTYPE r SYSTEM '\"><!--' [<!ENTITY x '-->']>{s.signed}",
    "CVE-2025-25291",
)
ATTACKS.row(
    "a name made of an internal entity",
    "saml:doctype",
    lambda s: "<!DOCTYPE r [<!ENTITY x 'administrator'>]>" + s.signed.replace("p-4711", "&x;"),
    "CVE-2018-0486",
)
ATTACKS.row("a DOCTYPE in lower case", "saml:malformed", before_the_root("<!doctype html>"))
ATTACKS.row("a DOCTYPE behind a byte order mark", "saml:doctype", before_the_root("\ufeff<!DOCTYPE r []>"))
ATTACKS.row(
    "an entity that nobody declared", "saml:malformed", lambda s: s.signed.replace("p-4711", "&admin;")
)
ATTACKS.row(
    "an entity declaration in the text of a value",
    "saml:doctype",
    lambda s: s.minted(attributes={"email": ["ada@corp.example"], "sn": ["x"]}).replace(
        ">x<", "><![CDATA[<!ENTITY]]><"
    ),
)

# Comments and instructions: canonicalisation does not see the former, and text ends at both.

ATTACKS.row(
    "a comment inside the NameID",
    "saml:comment",
    name_cut_by("<!---->"),
    "CVE-2017-11427",
    "CVE-2017-11428",
    "CVE-2017-11429",
    "CVE-2017-11430",
    "CVE-2018-0489",
)
ATTACKS.row("a long comment inside the NameID", "saml:comment", name_cut_by("<!-- " + "x" * 1000 + " -->"))
ATTACKS.row("an instruction inside the NameID", "saml:comment", name_cut_by("<?x y?>"))
ATTACKS.row(
    "an instruction that looks like a declaration", "saml:malformed", name_cut_by('<?xml version="1.0"?>')
)
ATTACKS.row(
    "a comment inside an e-mail",
    "saml:comment",
    lambda s: s.minted(attributes={"email": ["boss@corp.example.evil.example"]}).replace(
        "corp.example.evil", "corp.example<!---->.evil"
    ),
)
ATTACKS.row(
    "a comment inside the Issuer",
    "saml:comment",
    lambda s: s.signed.replace("</saml:Issuer>", "<!---->.evil</saml:Issuer>"),
)
ATTACKS.row(
    "a comment inside the Audience",
    "saml:comment",
    lambda s: s.minted(audience=f"{s.facts.audience}.evil").replace(".evil<", "<!---->.evil<"),
)
ATTACKS.row(
    "a comment around the signature",
    "saml:comment",
    lambda s: (
        edited(s.signed, lambda r: find(r, "NameID").__setattr__("text", "administrator"))
        .replace("<ds:Signature ", "<!--<ds:Signature ")
        .replace("</ds:Signature>", "</ds:Signature>-->")
    ),
)
ATTACKS.row(
    "a CDATA section inside the NameID that holds more",
    "saml:signature-invalid",
    name_cut_by("<![CDATA[x]]>"),
)
ATTACKS.row(
    "an element inside the NameID",
    "saml:signature-invalid",
    name_cut_by("<x/>"),
)
ATTACKS.row(
    "an element inside the NameID that the IdP signed",
    "saml:signature-invalid",
    lambda s: s.minted(lambda a: find(a, "NameID").append(parse("<x>istrator</x>")), name_id="admin"),
)

# Characters.

ATTACKS.row("UTF-7", "saml:malformed", before_the_root('<?xml version="1.0" encoding="UTF-7"?>'))
ATTACKS.row(
    "Latin-1",
    "saml:malformed",
    lambda s: f'<?xml version="1.0" encoding="iso-8859-1"?>{s.signed}'.encode("latin-1"),
)
ATTACKS.row("UTF-16", "saml:malformed", lambda s: s.signed.encode("utf-16"))
ATTACKS.row("UTF-16 without its mark", "saml:malformed", lambda s: s.signed.encode("utf-16-le"))
ATTACKS.row(
    "a DOCTYPE in UTF-16, where nobody looks for it",
    "saml:malformed",
    lambda s: ("<!DOCTYPE r [<!ENTITY x 'y'>]>" + s.signed.replace("p-4711", "&x;")).encode("utf-16-be"),
)
ATTACKS.row("UTF-32", "saml:malformed", lambda s: s.signed.encode("utf-32"))
ATTACKS.row("EBCDIC", "saml:malformed", lambda s: s.signed.encode("cp037"))
ATTACKS.row(
    "bytes that are no UTF-8", "saml:malformed", lambda s: s.signed.encode().replace(b"p-4711", b"p-\xff4711")
)
ATTACKS.row(
    "an overlong UTF-8 letter",
    "saml:malformed",
    lambda s: s.signed.encode().replace(b"p-4711", b"p-\xc1\xa14711"),
)
ATTACKS.row("a NUL", "saml:malformed", name_cut_by("\0"))
ATTACKS.row("a control character", "saml:malformed", name_cut_by("\x08"))
ATTACKS.row("a control character by number", "saml:malformed", name_cut_by("&#8;"))
ATTACKS.row("a surrogate by number", "saml:malformed", name_cut_by("&#xD800;"))
ATTACKS.row("a byte order mark inside the NameID", "saml:signature-invalid", name_cut_by("\ufeff"))
ATTACKS.row("a blank inside the NameID", "saml:signature-invalid", name_cut_by(" "))
ATTACKS.row("a letter by number that changes the name", "saml:signature-invalid", name_cut_by("&#115;"))
ATTACKS.row(
    "XML of a version that does not exist",
    "saml:malformed",
    before_the_root('<?xml version="9" encoding="UTF-9"?>'),
)

# Transport.

ATTACKS.row("a message in base64 of base64", "saml:malformed", lambda s: encode(s.signed))
ATTACKS.row("a message in hexadecimal", "saml:malformed", raw(lambda s: s.signed.encode().hex() + "="))
ATTACKS.row(
    "a message in the alphabet for addresses",
    "saml:malformed",
    raw(lambda s: base64.urlsafe_b64encode(s.signed.encode() + b"<!--\xfb\xff\xfe\xfb\xff\xbf-->").decode()),
)
ATTACKS.row(
    "letters that are not base64 among those that are",
    "saml:malformed",
    raw(lambda s: "!!!" + encode(s.signed).replace("+", "%2B")),
)
ATTACKS.row(
    "base64 that was cut",
    "saml:malformed",
    raw(lambda s: encode(s.signed).replace("+", "%2B").rstrip("=")[:-1]),
)
ATTACKS.row(
    "base64 with more after its end",
    "saml:malformed",
    raw(lambda s: encode("<a/>") + "==" + encode(s.signed).replace("+", "%2B")),
)
ATTACKS.row(
    "a message that was deflated as for a redirect",
    "saml:malformed",
    raw(lambda s: deflate(s.signed).replace("+", "%2B")),
    "CVE-2025-25293",
)
ATTACKS.row("a message that was packed", "saml:malformed", lambda s: gzip.compress(s.signed.encode()))
ATTACKS.row(
    "XML without base64", "saml:malformed", raw(lambda s: s.signed.replace("&", "%26").replace("+", "%2B"))
)

# Messages of another kind.


def renamed(name: str) -> Callable[[Scene], Message]:
    return lambda s: s.signed.replace("samlp:Response", f"samlp:{name}")


for _kind in ("LogoutRequest", "LogoutResponse", "AuthnRequest", "ArtifactResponse", "NameIDMappingResponse"):
    ATTACKS.row(f"the message as {_kind}", "saml:malformed", renamed(_kind))
ATTACKS.row(
    "a signed assertion without a Response",
    "saml:malformed",
    lambda s: sign(assertion_xml(s.facts), s.idp.keys, id=s.facts.assertion_id),
)
ATTACKS.row(
    "a Response inside an ArtifactResponse",
    "saml:malformed",
    lambda s: f'<samlp:ArtifactResponse xmlns:samlp="{SAMLP}">{s.signed}</samlp:ArtifactResponse>',
)
ATTACKS.row(
    "a Response of SAML 1.1",
    "saml:malformed",
    lambda s: s.signed.replace(SAMLP, "urn:oasis:names:tc:SAML:1.0:protocol"),
)
ATTACKS.row("a Response without an assertion", "saml:unsigned", lambda s: response_xml(s.facts, ""))
ATTACKS.row(
    "a signed Response without an assertion",
    "saml:signature-invalid",
    lambda s: sign(response_xml(s.facts, ""), s.idp.keys, id=s.facts.response_id),
)
ATTACKS.row("JSON", "saml:malformed", lambda s: json.dumps({"sub": "administrator"}))
ATTACKS.row("HTML", "saml:malformed", lambda s: "<html><body>administrator</body></html>")
ATTACKS.row("one letter", "saml:malformed", lambda s: "A")
ATTACKS.row(
    "the IdP's signed refusal, and a forged Response as a second root",
    "saml:malformed",
    lambda s: (
        s.idp.signed_response(s.facts.but(status=FAILED)) + response_xml(s.forged, assertion_xml(s.forged))
    ),
    "CVE-2022-39299",
    "CVE-2022-39300",
    "CVE-2022-39353",
)
ATTACKS.row("a second root", "saml:malformed", lambda s: s.signed + s.signed)
ATTACKS.row("text after the root", "saml:malformed", lambda s: s.signed + "administrator")
ATTACKS.row("half a message", "saml:malformed", lambda s: s.signed[: len(s.signed) // 2])


@ATTACKS("the LogoutRequest that the IdP signed for the attacker", "saml:malformed")
def logout_request(scene: Scene) -> Message:
    xml = scene.idp.logout_request(destination=scene.facts.acs, name_id="administrator", at=scene.facts.at)
    return sign(xml, scene.idp.keys, id=str(parse(xml).get("ID")))


# What stands there twice, of which one is judged and the other read.


def twice(element: str, namespace: str = SAML) -> Callable[[Scene], Message]:
    """In the envelope, which nobody signed."""

    def make(scene: Scene) -> Message:
        root = parse(scene.signed)
        found = next(child for child in root if child.tag == f"{{{namespace}}}{element}")
        found.addnext(parse(to_text(found)))
        return to_text(root)

    return make


def signed_twice(element: str, style: str = "encrypted") -> Callable[[Scene], Message]:
    def double(assertion: object) -> None:
        found = find(assertion, element)
        found.addnext(parse(to_text(found)))

    return lambda s: s.minted(double, style=style)


ATTACKS.row("two Issuers of the Response", "saml:malformed", twice("Issuer"))
ATTACKS.row("two Statuses", "saml:malformed", twice("Status", SAMLP))
for _element in ("Issuer", "Subject", "NameID", "Conditions"):
    ATTACKS.row(
        f"two of {_element} in the assertion, encrypted", "saml:decryption-failed", signed_twice(_element)
    )
    ATTACKS.row(f"two of {_element} in the assertion", "saml:malformed", signed_twice(_element, "response"))
ATTACKS.row(
    "a plain and an encrypted NameID",
    "saml:malformed",
    lambda s: s.minted(
        lambda a: find(a, "NameID").addnext(parse(f'<saml:EncryptedID xmlns:saml="{SAML}"/>'))
    ),
)

# Status and version.


def status(xml: str) -> Callable[[Scene], Message]:
    """The unsigned envelope says something else than success: the assertion in it does not count."""

    def make(scene: Scene) -> Message:
        root = parse(scene.signed)
        old = samlp(root, "Status")
        root.replace(old, parse(xml.replace("<samlp:Status", f'<samlp:Status xmlns:samlp="{SAMLP}"', 1)))
        return to_text(root)

    return make


OK, FAILED = (f"urn:oasis:names:tc:SAML:2.0:status:{code}" for code in ("Success", "Responder"))
STATUSES = {
    "a failure with a success inside": f'<samlp:Status><samlp:StatusCode Value="{FAILED}">'
    f'<samlp:StatusCode Value="{OK}"/></samlp:StatusCode></samlp:Status>',
    "a failure before a success": f'<samlp:Status><samlp:StatusCode Value="{FAILED}"/>'
    f'<samlp:StatusCode Value="{OK}"/></samlp:Status>',
    "success with a blank after it": f'<samlp:Status><samlp:StatusCode Value="{OK} "/></samlp:Status>',
    "success in capitals": f'<samlp:Status><samlp:StatusCode Value="{OK.upper()}"/></samlp:Status>',
    "success in the text": f"<samlp:Status><samlp:StatusCode>{OK}</samlp:StatusCode></samlp:Status>",
    "success in the message": f"<samlp:Status><samlp:StatusMessage>{OK}</samlp:StatusMessage></samlp:Status>",
    "no status code": "<samlp:Status/>",
    "an empty status code": '<samlp:Status><samlp:StatusCode Value=""/></samlp:Status>',
}
for _name, _xml in STATUSES.items():
    ATTACKS.row(f"a status of {_name}", "saml:idp-refused", status(_xml))
ATTACKS.row(
    "no Status", "saml:idp-refused", lambda s: edited(s.signed, lambda r: r.remove(samlp(r, "Status")))
)
ATTACKS.row(
    "a Response of version 1.1",
    "saml:version",
    lambda s: s.signed.replace('Version="2.0"', 'Version="1.1"', 1),
)
ATTACKS.row(
    "a Response without a version", "saml:version", lambda s: s.signed.replace(' Version="2.0"', "", 1)
)
ATTACKS.row(
    "an assertion of version 1.1", "saml:version", lambda s: s.minted(lambda a: a.set("Version", "1.1"))
)
ATTACKS.row(
    "a Response without a time",
    "saml:malformed",
    lambda s: edited(s.signed, lambda r: r.attrib.pop("IssueInstant") and None),
)
ATTACKS.row(
    "a time that does not exist",
    "saml:malformed",
    lambda s: edited(s.signed, lambda r: r.set("IssueInstant", "2026-02-30T00:00:00Z")),
)
ATTACKS.row(
    "a time outside of all calendars",
    "saml:malformed",
    lambda s: edited(s.signed, lambda r: r.set("IssueInstant", "9999-12-31T23:59:59-14:00")),
)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_nobody_comes_in_by(scene: Scene, attack: Attack) -> None:
    assert_refused(scene, attack)
