"""A small identity provider for tests: builds and signs messages with lxml and xmlsec alone.

It shares no code with pysaml2, so it does not share its blind spots. Every part of a message can be left out or
replaced, which is what the attacks are made of.
"""

import base64
import secrets
import zlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit
from xml.sax.saxutils import escape, quoteattr

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from lxml import etree

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
DS = "http://www.w3.org/2000/09/xmldsig#"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
BASIC = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    key: bytes
    certificate: bytes

    @property
    def certificate_text(self) -> str:
        return "".join(self.certificate.decode().strip().splitlines()[1:-1])


_ENDS = datetime(2119, 12, 8, tzinfo=UTC)


@lru_cache
def key_pair(name: str, *, bits: int = 2048, exponent: int = 65537, curve: bool = False) -> KeyPair:
    """One pair per name and test run; making one takes a tenth of a second."""
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = (
        ec.generate_private_key(ec.SECP256R1())
        if curve
        else rsa.generate_private_key(public_exponent=exponent, key_size=bits)
    )
    key = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(key=key, certificate=certificate_for(key, name, _ENDS))


def small_curve(name: str) -> KeyPair:
    private = ec.generate_private_key(ec.SECP192R1())
    key = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(key=key, certificate=certificate_for(key, name, _ENDS))


def certificate_for(key: bytes, name: str, ends: datetime) -> bytes:
    """Another certificate for a key that is there."""
    private = serialization.load_pem_private_key(key, password=None)
    assert isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(ends)
        .sign(private, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def ending(name: str, ends: datetime) -> KeyPair:
    """The pair of this name with a certificate that ends then."""
    pair = key_pair(name)
    return KeyPair(key=pair.key, certificate=certificate_for(pair.key, name, ends))


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a Response says. None leaves the attribute or element out."""

    issuer: str | None
    audience: str | None
    acs: str
    in_response_to: str | None
    at: datetime
    name_id: str | None = "p-4711"
    name_id_format: str = PERSISTENT
    attributes: dict[str, list[str]] = field(default_factory=dict)
    response_issuer: str | None = None
    destination: str | None = ""
    recipient: str | None = ""
    confirmation_in_response_to: str | None = ""
    method: str = BEARER
    not_before: datetime | None = None
    not_on_or_after: datetime | None = None
    confirmation_ends: datetime | None = None
    confirmation_endless: bool = False
    conditions: bool = True
    extra_audiences: tuple[str, ...] = ()
    extra_confirmations: str = ""
    session_not_on_or_after: datetime | None = None
    session_index: str = ""
    authn_statement: bool = True
    status: str = SUCCESS
    assertion_id: str = field(default_factory=lambda: f"_a{secrets.token_hex(16)}")
    response_id: str = field(default_factory=lambda: f"_r{secrets.token_hex(16)}")
    attribute_format: str = BASIC

    def but(self, **changes: Any) -> "Facts":
        return replace(self, **changes)


def _attr(name: str, value: str | None) -> str:
    return f" {name}={quoteattr(value)}" if value is not None else ""


def assertion_xml(facts: Facts) -> str:
    ends = facts.not_on_or_after or facts.at + timedelta(minutes=5)
    confirmation_ends = None if facts.confirmation_endless else stamp(facts.confirmation_ends or ends)
    recipient = facts.acs if facts.recipient == "" else facts.recipient
    answered = (
        facts.in_response_to if facts.confirmation_in_response_to == "" else facts.confirmation_in_response_to
    )
    audiences = "".join(
        f"<saml:AudienceRestriction><saml:Audience>{escape(a)}</saml:Audience></saml:AudienceRestriction>"
        for a in (facts.audience, *facts.extra_audiences)
        if a is not None
    )
    conditions = (
        f'<saml:Conditions NotBefore="{stamp(facts.not_before or facts.at - timedelta(minutes=1))}" '
        f'NotOnOrAfter="{stamp(ends)}">{audiences}</saml:Conditions>'
        if facts.conditions
        else ""
    )
    name_id = (
        f'<saml:NameID Format="{facts.name_id_format}">{escape(facts.name_id)}</saml:NameID>'
        if facts.name_id is not None
        else ""
    )
    attributes = "".join(
        f'<saml:Attribute Name={quoteattr(name)} NameFormat="{facts.attribute_format}">'
        + "".join(
            f'<saml:AttributeValue xsi:type="xs:string">{escape(v)}</saml:AttributeValue>' for v in values
        )
        + "</saml:Attribute>"
        for name, values in facts.attributes.items()
    )
    session_end = stamp(facts.session_not_on_or_after) if facts.session_not_on_or_after else None
    statement = (
        f'<saml:AuthnStatement AuthnInstant="{stamp(facts.at)}"'
        f"{_attr('SessionIndex', facts.session_index or None)}{_attr('SessionNotOnOrAfter', session_end)}>"
        "<saml:AuthnContext><saml:AuthnContextClassRef>"
        "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
        "</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
        if facts.authn_statement
        else ""
    )
    issuer = f"<saml:Issuer>{escape(facts.issuer)}</saml:Issuer>" if facts.issuer is not None else ""
    return (
        f'<saml:Assertion xmlns:saml="{SAML}" xmlns:xs="http://www.w3.org/2001/XMLSchema" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ID="{facts.assertion_id}" Version="2.0" '
        f'IssueInstant="{stamp(facts.at)}">{issuer}<saml:Subject>{name_id}{facts.extra_confirmations}'
        f'<saml:SubjectConfirmation Method="{facts.method}"><saml:SubjectConfirmationData'
        f"{_attr('InResponseTo', answered)}{_attr('Recipient', recipient)}"
        f"{_attr('NotOnOrAfter', confirmation_ends)}/></saml:SubjectConfirmation></saml:Subject>"
        f"{conditions}{statement}"
        + (f"<saml:AttributeStatement>{attributes}</saml:AttributeStatement>" if attributes else "")
        + "</saml:Assertion>"
    )


def response_xml(facts: Facts, content: str) -> str:
    issuer = facts.response_issuer or facts.issuer
    destination = facts.acs if facts.destination == "" else facts.destination
    issuer_element = f'<saml:Issuer xmlns:saml="{SAML}">{escape(issuer)}</saml:Issuer>' if issuer else ""
    return (
        f'<samlp:Response xmlns:samlp="{SAMLP}" ID="{facts.response_id}" Version="2.0" '
        f'IssueInstant="{stamp(facts.at)}"{_attr("Destination", destination)}'
        f"{_attr('InResponseTo', facts.in_response_to)}>{issuer_element}"
        f'<samlp:Status><samlp:StatusCode Value="{facts.status}"/></samlp:Status>{content}</samlp:Response>'
    )


def parse(xml: str | bytes) -> etree._Element:
    return etree.fromstring(xml.encode() if isinstance(xml, str) else xml)


def sign(
    xml: str,
    pair: KeyPair,
    *,
    id: str,
    signature: Any = xmlsec.constants.TransformRsaSha256,
    digest: Any = xmlsec.constants.TransformSha256,
    c14n: Any = xmlsec.constants.TransformExclC14N,
    transforms: tuple[Any, ...] = (xmlsec.constants.TransformEnveloped, xmlsec.constants.TransformExclC14N),
    reference: str | None = None,
    key: xmlsec.Key | None = None,
    key_info: bool = True,
) -> str:
    """Signs the element with this ID, in its place after the Issuer."""
    root = parse(xml)
    element = next(e for e in root.iter() if e.get("ID") == id)
    template = xmlsec.template.create(element, c14n, signature, ns="ds")
    entry = xmlsec.template.add_reference(template, digest, uri=f"#{id}" if reference is None else reference)
    for transform in transforms:
        xmlsec.template.add_transform(entry, transform)
    if key_info:
        xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(template))
    issuer = element.find(f"{{{SAML}}}Issuer")
    element.insert(0 if issuer is None else 1, template)
    context = xmlsec.SignatureContext()
    if key is None:
        key = xmlsec.Key.from_memory(pair.key, xmlsec.constants.KeyDataFormatPem)
        key.load_cert_from_memory(pair.certificate, xmlsec.constants.KeyDataFormatCertPem)
    context.key = key
    context.register_id(element, "ID")
    context.sign(template)
    return etree.tostring(root, encoding="unicode")


def encrypt(
    assertion: str,
    certificate: bytes,
    *,
    cipher: Any = xmlsec.constants.TransformAes256Gcm,
    transport: Any = xmlsec.constants.TransformRsaOaep,
    wrapper: str = "EncryptedAssertion",
    alone: bool = False,
) -> str:
    """An Encrypted* element around one element, for the owner of this certificate.

    `alone`: the plain text declares all its prefixes itself.
    """
    holder = parse(f'<saml:{wrapper} xmlns:saml="{SAML}"/>')
    plain = parse(assertion)
    holder.append(plain)
    data = xmlsec.template.encrypted_data_create(
        holder, cipher, type="http://www.w3.org/2001/04/xmlenc#Element", ns="xenc"
    )
    xmlsec.template.encrypted_data_ensure_cipher_value(data)
    info = xmlsec.template.encrypted_data_ensure_key_info(data, ns="ds")
    encrypted_key = xmlsec.template.add_encrypted_key(info, transport)
    xmlsec.template.encrypted_data_ensure_cipher_value(encrypted_key)
    manager = xmlsec.KeysManager()
    manager.add_key(xmlsec.Key.from_memory(certificate, xmlsec.constants.KeyDataFormatCertPem))
    context = xmlsec.EncryptionContext(manager)
    bits = 128 if "128" in cipher.href else 192 if "192" in cipher.href else 256
    context.key = xmlsec.Key.generate(xmlsec.constants.KeyDataAes, bits, xmlsec.constants.KeyDataTypeSession)
    if alone:
        holder.replace(plain, data)
        context.encrypt_binary(data, assertion.encode())
    else:
        context.encrypt_xml(data, plain)
    return etree.tostring(holder, encoding="unicode")


def encode(xml: str | bytes) -> str:
    return base64.b64encode(xml.encode() if isinstance(xml, str) else xml).decode()


def deflate(xml: str) -> str:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(packer.compress(xml.encode()) + packer.flush()).decode()


def inflate(message: str) -> str:
    return zlib.decompress(base64.b64decode(message), -15).decode()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An AuthnRequest as the IdP received it."""

    id: str
    issuer: str
    acs: str
    url: str


def read_request(location: str) -> Asked:
    query = parse_qs(urlsplit(location).query)
    root = parse(inflate(query["SAMLRequest"][0]))
    return Asked(
        id=root.get("ID"),
        issuer=root.findtext(f"{{{SAML}}}Issuer"),
        acs=root.get("AssertionConsumerServiceURL"),
        url=location,
    )


def _descriptor(use: str, pair: KeyPair) -> str:
    said = f' use="{use}"' if use else ""
    return (
        f'<md:KeyDescriptor{said}><ds:KeyInfo xmlns:ds="{DS}"><ds:X509Data><ds:X509Certificate>'
        f"{pair.certificate_text}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )


@dataclass(frozen=True, kw_only=True)
class TestIdp:
    __test__ = False

    entity_id: str
    keys: KeyPair
    more_certificates: tuple[KeyPair, ...] = ()
    sso: str = "https://idp.example/sso"
    slo: str = "https://idp.example/slo"
    slo_binding: str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
    sso_binding: str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
    encryption: KeyPair | None = None
    """A key of the IdP's that signs nothing."""
    service_provider: KeyPair | None = None
    """The key of the same entity's other role."""
    names_uses: bool = True
    """Whether its metadata says what each key is for."""

    def metadata(self, attributes: str = "") -> str:
        """`attributes` as they stand in the tag of the root, like validUntil."""
        use = "signing" if self.names_uses else ""
        descriptors = "".join(_descriptor(use, pair) for pair in (*self.more_certificates, self.keys))
        if self.encryption:
            descriptors += _descriptor("encryption", self.encryption)
        role = (
            f'<md:SPSSODescriptor protocolSupportEnumeration="{SAMLP}">'
            f'{_descriptor("signing", self.service_provider)}<md:AssertionConsumerService index="0" '
            'Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example/acs"/>'
            "</md:SPSSODescriptor>"
            if self.service_provider
            else ""
        )
        return (
            f'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{self.entity_id}"'
            f'{attributes and " "}{attributes}><md:IDPSSODescriptor protocolSupportEnumeration="{SAMLP}">{descriptors}'
            + (
                f'<md:SingleLogoutService Binding="{self.slo_binding}" Location="{self.slo}"/>'
                if self.slo
                else ""
            )
            + f'<md:SingleSignOnService Binding="{self.sso_binding}" Location="{self.sso}"/>'
            f"</md:IDPSSODescriptor>{role}</md:EntityDescriptor>"
        )

    def facts(self, asked: Asked, at: datetime, **changes: Any) -> Facts:
        base = Facts(
            issuer=self.entity_id,
            audience=asked.issuer,
            acs=asked.acs,
            in_response_to=asked.id,
            at=at,
            attributes={"email": ["ada@corp.example"], "givenName": ["Ada"], "sn": ["Lovelace"]},
        )
        return base.but(**changes)

    def signed_assertion(self, facts: Facts, **options: Any) -> str:
        """A whole Response with the assertion signed."""
        return response_xml(facts, sign(assertion_xml(facts), self.keys, id=facts.assertion_id, **options))

    def signed_response(self, facts: Facts, **options: Any) -> str:
        return sign(response_xml(facts, assertion_xml(facts)), self.keys, id=facts.response_id, **options)

    def signed_both(self, facts: Facts) -> str:
        return sign(self.signed_assertion(facts), self.keys, id=facts.response_id)

    def encrypted(self, facts: Facts, certificate: bytes, **options: Any) -> str:
        inner = sign(assertion_xml(facts), self.keys, id=facts.assertion_id)
        return response_xml(facts, encrypt(inner, certificate, **options))

    def encrypted_in_signed_response(self, facts: Facts, certificate: bytes) -> str:
        whole = response_xml(facts, encrypt(assertion_xml(facts), certificate))
        return sign(whole, self.keys, id=facts.response_id)

    def logout_request(
        self,
        *,
        destination: str,
        name_id: str,
        at: datetime,
        format: str = PERSISTENT,
        qualifier: str = "",
        session_index: str = "",
    ) -> str:
        index = f"<samlp:SessionIndex>{session_index}</samlp:SessionIndex>" if session_index else ""
        return (
            f'<samlp:LogoutRequest xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="_l{secrets.token_hex(16)}" '
            f'Version="2.0" IssueInstant="{stamp(at)}" Destination="{destination}">'
            f"<saml:Issuer>{self.entity_id}</saml:Issuer>"
            f'<saml:NameID Format="{format}"{_attr("NameQualifier", qualifier or None)}>{escape(name_id)}</saml:NameID>'
            f"{index}</samlp:LogoutRequest>"
        )

    def logout_response(
        self, *, destination: str, in_response_to: str, at: datetime, status: str = SUCCESS, issuer: str = ""
    ) -> str:
        return (
            f'<samlp:LogoutResponse xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="_o{secrets.token_hex(16)}" '
            f'Version="2.0" IssueInstant="{stamp(at)}" Destination="{destination}" InResponseTo="{in_response_to}">'
            f"<saml:Issuer>{issuer or self.entity_id}</saml:Issuer>"
            f'<samlp:Status><samlp:StatusCode Value="{status}"/></samlp:Status></samlp:LogoutResponse>'
        )

    def signed_query(
        self, xml: str, *, relay_state: str = "", lower_case: bool = False, field: str = "SAMLRequest"
    ) -> str:
        """A redirect binding query string, signed as it stands (also with ADFS's lower-case escapes)."""
        parts = [f"{field}={quote_plus(deflate(xml))}"]
        if relay_state:
            parts.append(f"RelayState={quote_plus(relay_state)}")
        parts.append(f"SigAlg={quote_plus('http://www.w3.org/2001/04/xmldsig-more#rsa-sha256')}")
        content = "&".join(parts)
        if lower_case:
            content = _lower_escapes(content)
        key = serialization.load_pem_private_key(self.keys.key, password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        signature = key.sign(content.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{content}&Signature={quote_plus(base64.b64encode(signature).decode())}"


def _lower_escapes(text: str) -> str:
    head, *rest = text.split("%")
    return head + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)
