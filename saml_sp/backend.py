"""Signatures, decryption and schemas in process, for pysaml2. Knows keys and XML; no connection, no person.

pysaml2 7.5.5 runs the xmlsec1 program for each of these, through temporary files. It has no setting for another
backend, so `client.py` injects this one, with a door of its own before it (`Security`), by which pysaml2 judges the
tree that was screened and not its text. Both remember which elements were verified (`collecting`): the checks and the
mapping read those very elements, so no second parser can see another document.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import saml2.sigver
import xmlsec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from lxml import etree
from saml2 import class_name, create_class_from_element_tree, samlp
from saml2.sigver import CryptoBackend, MissingKey, SecurityContext, SignatureError
from saml2.xml.schema import XMLSchemaError
from saml2.xml.schema import validate as validate_slowly

from .message import ASSERTION, DSIG, PROTOCOL, XENC, ds, parse, saml, screen, xenc
from .refusal import Refusal, Refused, refuse

EXCLUSIVE_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = f"{DSIG}enveloped-signature"
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_XENC11 = "http://www.w3.org/2009/xmlenc11#"

# SAML core 5.4.3: inclusive canonicalisation takes the namespaces of the place where a message happens to stand.
CANONICALIZATIONS = frozenset({EXCLUSIVE_C14N, f"{EXCLUSIVE_C14N}WithComments"})
INCLUSIVE = f"{{{EXCLUSIVE_C14N}}}InclusiveNamespaces"
"""The one parameter that canonicalisation takes."""
# No SHA-1 or MD5 (collisions), no DSA, and no HMAC: with it an attacker signs by the public key's bytes.
DIGESTS = frozenset({f"{XENC}sha256", f"{_MORE}sha384", f"{XENC}sha512"})
SIGNATURES = frozenset(
    f"{_MORE}{key}-{sha}" for key in ("rsa", "ecdsa") for sha in ("sha256", "sha384", "sha512")
)
# CBC stays because ADFS, SimpleSAMLphp and Entra use it. Its padding oracle is closed by one answer for every
# message that cannot be read, whatever was wrong with it (`unreadable`).
DATA_CIPHERS = {
    f"{XENC}aes128-cbc": 16,
    f"{XENC}aes192-cbc": 24,
    f"{XENC}aes256-cbc": 32,
    f"{_XENC11}aes128-gcm": 16,
    f"{_XENC11}aes192-gcm": 24,
    f"{_XENC11}aes256-gcm": 32,
}
# RSA 1.5 key transport is left out: Bleichenbacher's attack recovers the session key from error answers.
KEY_TRANSPORTS = frozenset({f"{XENC}rsa-oaep-mgf1p", f"{_XENC11}rsa-oaep"})
BLOCK, GCM_NONCE = 16, 12
MAX_ENCRYPTED_KEYS = 4
MAX_PREFIXES = 32
MAX_JUDGED_SLOWLY = 300
_START_TAG = re.compile(r"<[^\s<>/?!]+")


@dataclass(slots=True)
class Collected:
    """What one run of pysaml2 over one message goes through: its only trees, and the elements that were verified."""

    original: etree._Element
    """The message as it arrived, which is what the signature of a Response covers."""
    plain: etree._Element
    """The same with its assertion decrypted; `original` itself where nothing is encrypted."""
    verified: list[etree._Element] = field(default_factory=list)
    response: samlp.Response | None = None
    valid: bool | None = None
    """Whether lxml finds `plain` in order by the schemas; None before it was asked."""

    @property
    def encrypted(self) -> bool:
        return self.plain is not self.original


_collected: ContextVar[Collected] = ContextVar("saml_collected")


@contextmanager
def collecting(root: etree._Element) -> Iterator[Collected]:
    """Gives pysaml2's next run its own record; the client itself is shared by the threads of a process."""
    token = _collected.set(Collected(original=root, plain=root))
    try:
        yield _collected.get()
    finally:
        _collected.reset(token)


class Security(SecurityContext):
    """pysaml2's door to signatures, with the trees of the message in the place of its text.

    From a text pysaml2 makes its objects eight times over, and checks schemas on what it wrote back from them. Its own
    rules about the shape of a signature are among those of `check_shapes`.
    """

    def correctly_signed_response(
        self, decoded_xml: str, *_: Any, require_response_signature: bool = False, **__: Any
    ) -> samlp.Response:
        collected = _collected.get()
        if collected.response is None:
            collected.response = _as_object(collected.original)
        if collected.response.signature:
            self._check_signature(decoded_xml, collected.response, class_name(collected.response))
        elif require_response_signature:
            raise SignatureError("Signature missing for response")
        if collected.response.encrypted_assertion:
            collected.plain, collected.valid = self.crypto.opened(collected.original), None
            collected.response = _as_object(collected.plain)
        return collected.response

    def _check_signature(
        self, decoded_xml: str, item: Any, node_name: str, *_: Any, issuer: Any = None, **__: Any
    ) -> Any:
        """The signed object. Raises SignatureError, MissingKey, and Refused for a forbidden shape."""
        named = item.issuer or issuer
        try:
            certificates = self.metadata.certs((named.text or "").strip() if named else "", "any", "signing")
        except KeyError as error:
            raise MissingKey from error
        _check_schema(item)
        for _, certificate in certificates:
            if self.verify_signature(decoded_xml, certificate.name, node_name=node_name, node_id=item.id):
                return item
        raise SignatureError("Failed to verify signature")


def _as_object(root: etree._Element) -> samlp.Response:
    """pysaml2's own object of a screened Response. It is made of a copy, because pysaml2 writes into what it reads."""
    return create_class_from_element_tree(samlp.Response, _copied(root, _UNREAD))


# What pysaml2 is not asked about: the attributes are read from the signed element (mapping.py), and the keys are given.
# The schemas are held against the message itself, with all of it.
_UNREAD = frozenset({saml("AttributeStatement"), ds("KeyInfo")})


def _copied(element: etree._Element, without: frozenset[str] = frozenset()) -> Element:
    copy = Element(element.tag, dict(element.attrib))
    copy.text = element.text
    copy.extend([_copied(child, without) for child in element if child.tag not in without])
    return copy


def _check_schema(item: Any) -> None:
    """Raises SignatureError for what the schemas do not allow. What lxml does not like, the slow check judges."""
    collected = _collected.get()
    if collected.valid is None:
        collected.valid = _schema().validate(collected.plain)
    if not collected.valid:
        # Attack: a large message that breaks the schema would keep the slow check busy for a second; it needs no
        # signature. Of such a one only what was signed is looked at, and quickly.
        signed = next((e for e in collected.plain.iter() if e.get("ID") == item.id), None)
        if signed is None:
            raise SignatureError("Invalid document format")
        if len(list(collected.plain.iter())) > MAX_JUDGED_SLOWLY:
            if not _schema().validate(signed):
                raise SignatureError("Invalid document format")
            return
        try:
            validate_slowly(str(create_class_from_element_tree(type(item), _copied(signed))))
        except XMLSchemaError as error:
            raise SignatureError("Invalid document format") from error


def private_key(pem: bytes) -> xmlsec.Key:
    return xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatPem)


def is_encrypted(message: etree._Element) -> bool:
    return next(message.iter(xenc("EncryptedData")), None) is not None


@lru_cache(maxsize=512)
def _verification_key(pem: bytes) -> xmlsec.Key:
    return xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatCertPem)


@dataclass(frozen=True, slots=True)
class _Certificate:
    name: str
    """pysaml2 takes this for a file's name and hands it to `validate_signature`."""


class IdpKeys:
    """The signing certificates of one IdP, in the place of pysaml2's metadata store in its security context.

    The store would give every key of every entity in the file, and pysaml2 would write each to a temporary file.
    """

    def __init__(self, entity_id: str, certificates: tuple[str, ...]) -> None:
        self.entity_id = entity_id
        self.certificates = certificates

    def certs(self, entity_id: str, descriptor: str, use: str) -> list[tuple[str, _Certificate]]:
        if entity_id != self.entity_id:
            raise KeyError(entity_id)
        return [("", _Certificate(certificate)) for certificate in self.certificates]


class XmlSecBackend(CryptoBackend):
    """pysaml2's crypto interface over the xmlsec binding, for one connection."""

    def __init__(self, signing_key: xmlsec.Key) -> None:
        super().__init__()
        self._signing_key = signing_key
        self.decryption_keys: tuple[xmlsec.Key, ...] = ()
        """Tried in order. Most connections never need one, so whoever has an encrypted message gives them."""

    @property
    def version(self) -> str:
        return version("xmlsec")

    def validate_signature(
        self, signedtext: str | bytes, cert_file: str, cert_type: str, node_name: str, node_id: str
    ) -> bool:
        """Whether this certificate signed the element of this name and ID. Raises Refused for a forbidden shape.

        `cert_file` is the certificate itself, as PEM, where `IdpKeys` gave it; pysaml2's own store names a file.
        Whatever text pysaml2 hands over, the trees of the message are read.
        """
        collected = _collected.get()
        # A signature of the Response covers what arrived; one inside of the assertion what was encrypted.
        of_response = node_name.rpartition(":")[2] == "Response"
        element = _the_element(collected.original if of_response else collected.plain, node_name, node_id)
        given = cert_file.startswith("-----BEGIN")
        if not signed_by(element, cert_file.encode() if given else Path(cert_file).read_bytes()):
            return False
        collected.verified.append(element)
        return True

    def opened(self, message: etree._Element) -> etree._Element:
        """A copy of a Response with its encrypted assertion replaced by the plain one. Raises Refused."""
        root = deepcopy(message)
        holder = root.find(saml("EncryptedAssertion"))
        holder.getparent().replace(holder, self.decrypted(holder, saml("Assertion")))
        if screen(root) or not _well_shaped(root):
            raise Refused(unreadable(message.find(saml("EncryptedAssertion"))))
        return root

    def decrypted(self, holder: etree._Element, expected: str) -> etree._Element:
        """The element of this tag that a SAML Encrypted* element hides. Raises Refused.

        The refusal is exact about what stands in the clear; whatever is wrong inside is `unreadable`.
        """
        data = holder.find(xenc("EncryptedData"))
        keys = list(holder.iter(xenc("EncryptedKey")))
        number = len(list(holder.iter(xenc("EncryptedData"))))
        if data is None or number != 1:
            raise Refused(refuse("saml:decryption-failed", what="EncryptedData", expected=1, found=number))
        # Attack: thousands of keys cost an RSA operation each; nested encryption multiplies.
        if not 1 <= len(keys) <= MAX_ENCRYPTED_KEYS:
            few = f"1 to {MAX_ENCRYPTED_KEYS}"
            raise Refused(
                refuse("saml:decryption-failed", what="EncryptedKey", expected=few, found=len(keys))
            )
        # Attack: CipherReference and a foreign RetrievalMethod make the service provider fetch an address.
        if next(holder.iter(xenc("CipherReference")), None) is not None:
            raise Refused(refuse("saml:cipher-reference"))
        for method in holder.iter(ds("RetrievalMethod")):
            if not method.get("URI", "").startswith("#"):
                raise Refused(refuse("saml:cipher-reference", what="RetrievalMethod"))
        cipher = _algorithm(data)
        if cipher not in DATA_CIPHERS:
            raise Refused(forbidden("encryption", DATA_CIPHERS, cipher))
        for transport in map(_algorithm, keys):
            if transport not in KEY_TRANSPORTS:
                raise Refused(forbidden("key transport", KEY_TRANSPORTS, transport))
        plain, sound = _deciphered(data, self._session_key(keys, DATA_CIPHERS[cipher]))
        try:
            element = _parse_in(holder, plain)
        except Refused:
            raise Refused(unreadable(holder)) from None
        if not sound or element.tag != expected:
            raise Refused(unreadable(holder))
        return element

    def _session_key(self, keys: list[etree._Element], size: int) -> bytes:
        """What the first of these opens to; where none does, a key that opens nothing, so that the work is the same."""
        for encrypted_key in keys:
            for private_key in self.decryption_keys:
                session_key = _unlock(encrypted_key, private_key)
                # Attack (padding oracle by time): were the next key tried where this one's content cannot be read, the
                # answer would take longer for bad padding than for good.
                if session_key is not None:
                    # GCM and CBC keys are the same kind of bytes; only their number belongs to the algorithm.
                    return session_key if len(session_key) == size else secrets.token_bytes(size)
        return secrets.token_bytes(size)

    def sign_statement(self, statement: Any, node_name: str, key_file: str, node_id: str) -> str:
        """Fills in the signature template that pysaml2 put into the statement."""
        # pysaml2 hands over bytes for the first signature of a message, and our own answer for the second.
        xml = statement if isinstance(statement, bytes) else str(statement).encode()
        root = etree.fromstring(xml, etree.XMLParser(resolve_entities=False, no_network=True))
        element = _the_element(root, node_name, node_id)
        signature = element.find(ds("Signature"))
        context = xmlsec.SignatureContext()
        context.key = self._signing_key
        context.register_id(element, "ID")
        try:
            context.sign(signature)
        except xmlsec.Error as error:
            raise SignatureError(str(error)) from error
        return etree.tostring(root, encoding="unicode")


def check_shapes(root: etree._Element) -> None:
    """Looks at every signature of a screened message before any key is tried. Raises Refused."""
    for signature in root.iter(ds("Signature")):
        parent = signature.getparent()
        _the_signature(parent, parent.get("ID", ""))


def _well_shaped(root: etree._Element) -> bool:
    try:
        check_shapes(root)
    except Refused:
        return False
    return True


def signed_by(element: etree._Element, certificate: bytes) -> bool:
    """Whether the key of this PEM certificate signed exactly this element. Raises Refused for a forbidden shape."""
    signature = _the_signature(element, element.get("ID", ""))
    context = xmlsec.SignatureContext()
    # Only this ID: registering every ID of the tree re-opens signature wrapping.
    context.register_id(element, "ID")
    try:
        # The key is given, so xmlsec never opens KeyInfo (attack: a certificate of the attacker's in the message).
        context.key = _verification_key(certificate)
        context.verify(signature)
    except xmlsec.Error:
        return False
    return True


def _the_element(root: etree._Element, node_name: str, node_id: str) -> etree._Element:
    """The one element of pysaml2's `namespace:Name` with this ID."""
    namespace, _, name = node_name.rpartition(":")
    found = [e for e in root.iter(f"{{{namespace}}}{name}") if e.get("ID") == node_id]
    if len(found) != 1:
        raise Refused(refuse("saml:duplicate-id" if found else "saml:wrapped", id=node_id, count=len(found)))
    return found[0]


def _the_signature(element: etree._Element, node_id: str) -> etree._Element:
    """The element's own signature, of the only shape that SAML allows (core 5.4). Raises Refused."""
    signatures = element.findall(ds("Signature"))
    if len(signatures) != 1:
        raise Refused(refuse("saml:signature-shape", what="Signature", expected=1, found=len(signatures)))
    signature = signatures[0]
    signed_info = signature.findall(ds("SignedInfo"))
    references = [*signature.iter(ds("Reference"))]
    if len(signed_info) != 1 or len(references) != 1 or references[0].getparent() is not signed_info[0]:
        raise Refused(
            refuse(
                "saml:signature-shape",
                what="Reference in SignedInfo",
                expected="1 in 1",
                found=f"{len(references)} in {len(signed_info)}",
            )
        )
    reference = references[0]
    # Attack: a reference to another element, to the whole document or to a file (URI="", "#xpointer(...)", a URL).
    # One to an element without an ID is a reference to anything.
    if not node_id or reference.get("URI") != f"#{node_id}":
        found = reference.get("URI") or "nothing"
        raise Refused(refuse("saml:signature-reference", expected=f"#{node_id}", found=found))
    transforms = [e.get("Algorithm", "") for e in reference.iter(ds("Transform"))]
    # Attack: XPath, XSLT and base64 transforms choose what is digested, or run code. The enveloped transform comes
    # first; what follows may only canonicalise.
    if (
        transforms[:1] != [ENVELOPED]
        or len(transforms) > 2
        or not CANONICALIZATIONS.issuperset(transforms[1:])
    ):
        expected = f"{ENVELOPED}, then at most one of {' '.join(sorted(CANONICALIZATIONS))}"
        found = " ".join(transforms) or "none"
        raise Refused(refuse("saml:algorithm", what="transforms", expected=expected, found=found))
    for parameter in (
        *reference.iterfind(f"{ds('Transforms')}/{ds('Transform')}/*"),
        *signed_info[0].iterfind(f"{ds('CanonicalizationMethod')}/*"),
    ):
        if parameter.tag != INCLUSIVE:
            what, found = "transform parameter", parameter.tag
            raise Refused(refuse("saml:algorithm", what=what, expected=INCLUSIVE, found=found))
        # Attack: each of thousands of prefixes is looked up again at every element, before any key is tried.
        prefixes = len(parameter.get("PrefixList", "").split())
        if prefixes > MAX_PREFIXES:
            what = "inclusive prefixes"
            raise Refused(refuse("saml:signature-shape", what=what, size=prefixes, limit=MAX_PREFIXES))
    for name, allowed in (
        ("CanonicalizationMethod", CANONICALIZATIONS),
        ("SignatureMethod", SIGNATURES),
        ("DigestMethod", DIGESTS),
    ):
        methods = [*signed_info[0].iter(ds(name))]
        # Attack: HMACOutputLength shortens what is compared (CVE-2009-0217); no method here takes parameters.
        parameters = sum(map(len, methods)) if name != "CanonicalizationMethod" else 0
        if len(methods) != 1 or parameters:
            expected, found = "1 with 0 parameters", f"{len(methods)} with {parameters} parameters"
            raise Refused(refuse("saml:signature-shape", what=name, expected=expected, found=found))
        if methods[0].get("Algorithm") not in allowed:
            raise Refused(forbidden(name, allowed, methods[0].get("Algorithm")))
    # Attack: two digest values, one for the verifier and one for show (xml-crypto, CVE-2025-29774 and -29775).
    for name in ("DigestValue", "SignatureValue"):
        if (number := len([*signature.iter(ds(name))])) != 1:
            raise Refused(refuse("saml:signature-shape", what=name, expected=1, found=number))
    return signature


def forbidden(what: str, allowed: Iterable[str], found: str | None) -> Refusal:
    return refuse("saml:algorithm", what=what, expected=" ".join(sorted(allowed)), found=found or "none")


def unreadable(holder: etree._Element) -> Refusal:
    """The one answer for whatever is wrong inside of an Encrypted* element: it tells what stands in the clear."""
    # Attack (padding oracle): whoever learns whether what he changed in a CBC ciphertext is well padded, or still XML,
    # or still an assertion, reads it byte by byte. That nobody signed what is inside is wrong inside, too.
    data, keys = holder.find(xenc("EncryptedData")), list(holder.iter(xenc("EncryptedKey")))
    return refuse(
        "saml:decryption-failed",
        what="content",
        cipher=_algorithm(data),
        keys=len(keys),
        key_transport=" ".join(dict.fromkeys(map(_algorithm, keys))),
        key_bits=" ".join(str(8 * len(_cipher_value(key))) for key in keys),
    )


def _algorithm(encrypted: etree._Element) -> str:
    method = encrypted.find(xenc("EncryptionMethod"))
    return method.get("Algorithm", "") if method is not None else ""


def _cipher_value(encrypted: etree._Element) -> bytes:
    """The ciphertext; nothing where it is no base64."""
    text = encrypted.findtext(f"{xenc('CipherData')}/{xenc('CipherValue')}", "")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _deciphered(data: etree._Element, key: bytes) -> tuple[bytes, bool]:
    """The content of an EncryptedData, and whether its padding or its tag is good."""
    value = _cipher_value(data)
    if _algorithm(data).endswith("-gcm"):
        try:
            return AESGCM(key).decrypt(value[:GCM_NONCE], value[GCM_NONCE:], None), True
        except (InvalidTag, ValueError):
            return b"", False
    if len(value) < 2 * BLOCK or len(value) % BLOCK:
        return b"", False
    decryptor = Cipher(AES(key), CBC(value[:BLOCK])).decryptor()
    plain = decryptor.update(value[BLOCK:]) + decryptor.finalize()
    # XML Encryption 5.2: only the last byte of the padding says something.
    sound = 1 <= plain[-1] <= BLOCK
    # Attack (padding oracle by time): what is badly padded is read as far as what is well padded, too.
    return plain[: -plain[-1] if sound else -BLOCK], sound


def _unlock(encrypted: etree._Element, key: xmlsec.Key) -> bytes | None:
    """The bytes inside an EncryptedKey, on a copy of its own; None when this key is not the one."""
    copy = etree.fromstring(etree.tostring(encrypted, with_tail=False))
    # Without a Type, xmlsec returns bytes instead of parsing them into the tree with a parser of its own.
    copy.attrib.pop("Type", None)
    # The key is given; KeyInfo could only send xmlsec looking for others.
    for key_info in copy.findall(ds("KeyInfo")):
        copy.remove(key_info)
    context = xmlsec.EncryptionContext()
    context.key = key
    try:
        return bytes(context.decrypt(copy))
    except xmlsec.Error:
        return None


def _parse_in(holder: etree._Element, plain: bytes) -> etree._Element:
    """The decrypted element; where its sender relied on prefixes of the place it stood in, those are declared."""
    try:
        return parse(plain.strip())
    except Refused as first:
        if first.refusal.reason != "saml:malformed" or plain.lstrip().startswith(b"<?xml"):
            raise
        declarations = " ".join(
            f'xmlns:{prefix}="{uri}"' if prefix else f'xmlns="{uri}"' for prefix, uri in holder.nsmap.items()
        )
        wrapper = parse(f"<wrapper {declarations}>".encode() + plain + b"</wrapper>")
        if len(wrapper) != 1 or (wrapper.text or "").strip():
            raise
        return wrapper[0]


@lru_cache(maxsize=1)
def _schema() -> etree.XMLSchema:
    """SAML's protocol schema from pysaml2's own copies of the files, found by their places in the namespace map."""
    folder = files("saml2.data.schemas")
    imports = {
        DSIG: "xmldsig-core-schema.xsd",
        XENC: "xenc-schema.xsd",
        ASSERTION: "saml-schema-assertion-2.0.xsd",
        PROTOCOL: "saml-schema-protocol-2.0.xsd",
    }
    lines = "".join(
        f'<xs:import namespace="{uri}" schemaLocation="{Path(str(folder.joinpath(name))).as_uri()}"/>'
        for uri, name in imports.items()
    )
    root = etree.fromstring(f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{lines}</xs:schema>')
    return etree.XMLSchema(root)


def validate_quickly(doc: str, validator: Any = None) -> None:
    """pysaml2's schema check by lxml: a thirtieth of the time. What lxml does not like, the slow one judges.

    pysaml2 re-serialises an empty AttributeValue with an undeclared `xs:` prefix, which only lxml refuses.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    root = etree.fromstring(str(doc).encode(), parser)
    if _schema().validate(root):
        return
    # Attack: a large message that breaks the schema would keep the slow one busy for a second; it needs no signature.
    if len(list(root.iter())) > MAX_JUDGED_SLOWLY:
        declared = _START_TAG.sub(r'\g<0> xmlns:xs="http://www.w3.org/2001/XMLSchema"', str(doc), count=1)
        if "xs" in root.nsmap or not _schema().validate(etree.fromstring(declared.encode(), parser)):
            raise XMLSchemaError("larger than what is judged slowly")
        return
    validate_slowly(doc, validator)


def install_schema_check() -> None:
    """Puts the quick check in the place where pysaml2's signature code looks for its own."""
    saml2.sigver.validate_doc_with_schema = validate_quickly
