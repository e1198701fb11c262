"""What a SAML metadata document says about an identity provider. Knows no connection and fetches nothing."""

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography.x509 import Certificate as X509
from cryptography.x509 import load_der_x509_certificate
from lxml import etree

MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"


class Unusable(ValueError):
    """The document describes no identity provider; `str()` is a sentence for whoever gave it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A signing certificate. `fingerprint` is SHA-256 of its DER bytes, in hexadecimal."""

    fingerprint: str
    subject: str
    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Idp:
    entity_id: str
    certificates: tuple[Certificate, ...]
    """Every signing certificate that can be read, each once."""
    sign_in: tuple[str, ...]
    """Addresses of its SingleSignOnService."""
    sign_out: tuple[str, ...]

    @property
    def certificates_end(self) -> datetime | None:
        """When the last of them ends; None where there is none."""
        return max((certificate.ends for certificate in self.certificates), default=None)


def entity_id(document: str | bytes) -> str:
    """The entityID of the one IdP in the document. Raises `Unusable`."""
    return describe(document).entity_id


def describe(document: str | bytes) -> Idp:
    """The one IdP in the document. Raises `Unusable`."""
    provider = _provider(document)
    found = (provider.get("entityID") or "").strip()
    if not found:
        raise Unusable("The IdP metadata has no entityID.")
    for endpoint in provider.iter(f"{MD}SingleSignOnService", f"{MD}SingleLogoutService"):
        for name in ("Location", "ResponseLocation"):
            # Attack: "javascript:..." as the target of the form that brings a browser from our page to the IdP.
            if not endpoint.get(name, "https://").lower().startswith(("https://", "http://")):
                raise Unusable("The IdP metadata names an address that does not begin with https://.")
    role = provider.find(f"{MD}IDPSSODescriptor")
    certificates = {one.fingerprint: one for one in _certificates(role)}
    return Idp(
        entity_id=found,
        certificates=tuple(certificates.values()),
        sign_in=_locations(role, "SingleSignOnService"),
        sign_out=_locations(role, "SingleLogoutService"),
    )


def _provider(document: str | bytes) -> etree._Element:
    raw = document.encode() if isinstance(document, str) else document
    # Attack: entities that expand without end, or that read a file of ours.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(raw, parser)
    except etree.XMLSyntaxError:
        raise Unusable("The IdP metadata is not well-formed XML.") from None
    if root.getroottree().docinfo.doctype:
        raise Unusable("The IdP metadata has a DOCTYPE, which metadata never needs.")
    providers = [
        entity
        for entity in root.iter(f"{MD}EntityDescriptor")
        if entity.find(f"{MD}IDPSSODescriptor") is not None
    ]
    if not providers:
        raise Unusable("The IdP metadata describes no identity provider.")
    if len(providers) > 1:
        raise Unusable(f"The IdP metadata describes {len(providers)} identity providers; give that of one.")
    return providers[0]


def _locations(role: etree._Element, service: str) -> tuple[str, ...]:
    return tuple(endpoint.get("Location", "") for endpoint in role.iterfind(f"{MD}{service}"))


def _certificates(role: etree._Element) -> Iterator[Certificate]:
    for descriptor in role.iterfind(f"{MD}KeyDescriptor"):
        # Metadata 2.4.1.1: without a use a key serves both purposes.
        if descriptor.get("use", "signing") != "signing":
            continue
        for element in descriptor.iter(f"{DS}X509Certificate"):
            if (certificate := _certificate("".join(element.itertext()))) is not None:
                yield certificate


def _certificate(encoded: str) -> Certificate | None:
    try:
        der = base64.b64decode("".join(encoded.split()), validate=True)
        found: X509 = load_der_x509_certificate(der)
    except (binascii.Error, ValueError):
        return None
    return Certificate(
        fingerprint=hashlib.sha256(der).hexdigest(),
        subject=found.subject.rfc4514_string(),
        begins=found.not_valid_before_utc,
        ends=found.not_valid_after_utc,
    )
