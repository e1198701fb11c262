"""From what a browser posted to a bounded XML tree in which nothing can hide. Knows no key and no database.

Every document passes `screen` before anybody looks for a signature in it: a message with one Response, one
assertion and no signature elsewhere leaves nothing to wrap.
"""

import base64
import binascii
import re
import zlib

from lxml import etree

from .refusal import Refusal, Refused, refuse

MAX_ENCODED = 256 * 1024
MAX_XML = 256 * 1024
# Above what checks.py allows an assertion to hold: 200 attributes with 2,000 values, and what stands around them.
MAX_ELEMENTS = 2500
MAX_ATTRIBUTES_OF_ONE = 64
MAX_NAMESPACES = 64

PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
XML = "http://www.w3.org/XML/1998/namespace"


def saml(name: str) -> str:
    return f"{{{ASSERTION}}}{name}"


def samlp(name: str) -> str:
    return f"{{{PROTOCOL}}}{name}"


def ds(name: str) -> str:
    return f"{{{DSIG}}}{name}"


def xenc(name: str) -> str:
    return f"{{{XENC}}}{name}"


# Names under which some XML processor, or libxml2 itself (xml:id), takes an attribute for an ID.
ID_NAMES = ("ID", "Id", "id", "iD", "AssertionID", f"{{{XML}}}id")
# What a message, an assertion or a subject has once; a name is one, however it is written.
_ONCE = {name: name for name in (saml("Issuer"), saml("Subject"), saml("Conditions"), saml("Advice"))}
_ONCE |= {name: name for name in (samlp("Status"), samlp("Extensions"))}
_ONCE |= dict.fromkeys((saml("NameID"), saml("BaseID"), saml("EncryptedID")), saml("NameID"))
_DECLARED_ENCODING = re.compile(rb"""^<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")


def decode(encoded: str) -> bytes:
    """The XML of a POST binding message (SAML bindings 3.5.4). Raises Refused."""
    # Attack: a body that costs more to unpack than to send. The size is judged before base64.
    if len(encoded) > MAX_ENCODED:
        raise Refused(refuse("saml:message-too-large", size=len(encoded), limit=MAX_ENCODED))
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(refuse("saml:malformed", what="not base64")) from None


def inflate(encoded: str) -> bytes:
    """The XML of a redirect binding message (SAML bindings 3.4.4.1). Raises Refused."""
    inflater = zlib.decompressobj(-15)
    try:
        xml = inflater.decompress(decode(encoded), MAX_XML)
    except zlib.error:
        raise Refused(refuse("saml:malformed", what="not deflated")) from None
    # Attack: a compression bomb. What does not end within the limit is never inflated further.
    if inflater.unconsumed_tail:
        raise Refused(refuse("saml:message-too-large", size=f"more than {MAX_XML}", limit=MAX_XML))
    if not inflater.eof:
        raise Refused(refuse("saml:malformed", what="cut short"))
    return xml


def parse(xml: bytes) -> etree._Element:
    """The root of a well-formed UTF-8 document without DTD. Raises Refused."""
    if len(xml) > MAX_XML:
        raise Refused(refuse("saml:message-too-large", size=len(xml), limit=MAX_XML))
    # Attack: two parsers that guess different encodings read different documents (UTF-7, UTF-16).
    declared = _DECLARED_ENCODING.match(xml.removeprefix(b"\xef\xbb\xbf"))
    if declared and declared[1].lower() not in (b"utf-8", b"utf8", b"us-ascii", b"ascii"):
        found = declared[1].decode("ascii")
        raise Refused(refuse("saml:malformed", what="encoding", expected="UTF-8", found=found))
    try:
        xml.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(refuse("saml:malformed", what="not UTF-8")) from None
    # Attack: libxml2 guesses UTF-16 by its zeros, and then a DTD is not where it is looked for.
    if b"\0" in xml:
        raise Refused(refuse("saml:malformed", what="not UTF-8"))
    # Attack: entities that read files, call servers or multiply (XXE, billion laughs). No DTD, no entities.
    if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml:
        raise Refused(refuse("saml:doctype"))
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(xml, parser)
    except etree.XMLSyntaxError as error:
        raise Refused(
            refuse("saml:malformed", what="not well-formed XML", at=f"line {error.lineno}")
        ) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Refused(refuse("saml:doctype"))
    # Attack: canonicalisation looks through all namespaces in scope at every element. Most messages declare few, so
    # that nobody need ask each element; of one that declares many, the first that has too many is enough.
    if xml.count(b"xmlns") > MAX_NAMESPACES:
        for size in (len(element.nsmap) for element in root.iter()):
            if size > MAX_NAMESPACES:
                what = "namespaces of one element"
                raise Refused(refuse("saml:message-too-large", what=what, size=size, limit=MAX_NAMESPACES))
    return root


def screen(root: etree._Element, *, kind: str = "Response") -> Refusal | None:
    """Whether a protocol message of this kind has the one shape in which signatures mean what they seem to."""
    if root.tag != samlp(kind):
        return refuse("saml:malformed", what="unexpected message", found=root.tag, expected=kind)
    seen: set[str] = set()
    for count, node in enumerate(root.iter(), start=1):
        # Attack: a comment inside a NameID splits its text, and canonicalisation does not see it
        # (CVE-2017-11427 and its kin). Processing instructions do the same.
        if not isinstance(node.tag, str):
            return refuse("saml:comment", inside=getattr(node.getparent(), "tag", ""))
        if count > MAX_ELEMENTS:
            return refuse(
                "saml:message-too-large", what="elements", size=f"{count} or more", limit=MAX_ELEMENTS
            )
        # Attack: canonicalisation sorts the attributes of an element by insertion, so thousands cost their square.
        if len(node.attrib) > MAX_ATTRIBUTES_OF_ONE:
            return refuse(
                "saml:message-too-large",
                what="attributes of one element",
                of=node.tag,
                size=len(node.attrib),
                limit=MAX_ATTRIBUTES_OF_ONE,
            )
        # Attack: two elements with one ID, of which the verifier checks the first and the reader takes the other.
        for name in ID_NAMES:
            value = node.get(name)
            if value is not None:
                if value in seen:
                    return refuse("saml:duplicate-id", id=value)
                seen.add(value)
    return _lone_message(root, kind) or _lone_assertion(root) or _lone_parts(root) or _known_signatures(root)


def _lone_message(root: etree._Element, kind: str) -> Refusal | None:
    # Attack: a Response inside an Extensions or Object element of another Response.
    if len(list(root.iter(samlp(kind)))) != 1:
        return refuse("saml:wrapped", what=f"{kind} inside {kind}")
    return None


def _lone_assertion(root: etree._Element) -> Refusal | None:
    found = [*root.iter(saml("Assertion")), *root.iter(saml("EncryptedAssertion"))]
    bare = [e for e in found if e.getparent().tag != saml("EncryptedAssertion")]
    # Attack: signature wrapping keeps the signed assertion somewhere and shows another (USENIX Security 2012,
    # "On Breaking SAML"); several assertions let the checks judge one and the reader take the other.
    if len(bare) > 1 or len(found) > len(bare) + 1:
        return refuse("saml:several-assertions", expected=1, found=len(found))
    if bare and bare[0].getparent() is not root:
        return refuse("saml:wrapped", what="assertion", inside=bare[0].getparent().tag)
    return None


def _lone_parts(root: etree._Element) -> Refusal | None:
    # Attack: two Issuers, Statuses or Subjects, of which one is judged and the other read. The schema forbids them, but
    # it is only held against what is signed.
    for parent in root.iter(root.tag, saml("Assertion"), saml("Subject")):
        parts = [_ONCE[child.tag] for child in parent if child.tag in _ONCE]
        if len(parts) != len(set(parts)):
            return refuse("saml:malformed", what="repeated element", inside=parent.tag)
    return None


def _known_signatures(root: etree._Element) -> Refusal | None:
    parents = [signature.getparent() for signature in root.iter(ds("Signature"))]
    for parent in parents:
        # Attack: a signature placed where the verifier finds it and the reader does not look.
        if parent is not root and parent.tag != saml("Assertion"):
            return refuse("saml:wrapped", what="signature", inside=getattr(parent, "tag", ""))
    if len(parents) != len({id(parent) for parent in parents}):
        return refuse("saml:wrapped", what="two signatures on one element")
    # ds:Object carries data of anybody's choice inside a signature (SAML core 5.4.1 has no use for it).
    if next(root.iter(ds("Object")), None) is not None:
        return refuse("saml:signature-object")
    return None


def assertion_of(root: etree._Element) -> etree._Element | None:
    """The one plain assertion of a screened Response, decrypted or not."""
    return next(root.iter(saml("Assertion")), None)
