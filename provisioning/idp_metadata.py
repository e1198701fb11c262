"""What a SAML metadata document says about an identity provider. Knows no connection and fetches nothing."""

import hashlib
import re
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import urlsplit

from lxml import etree

from identity_hub.core import certificates
from identity_hub.core.certificates import Certificate

MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
SAML_2 = "urn:oasis:names:tc:SAML:2.0:protocol"
CARRIED_BY_BROWSERS = {f"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-{how}" for how in ("Redirect", "POST")}
_HOST_AND_PORT = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]*)?", re.IGNORECASE)
# With the underscore, which hosts inside of a company have.
_LABEL = re.compile(r"(?=_*[a-z0-9])[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)


class Unusable(ValueError):
    """The document describes no identity provider; `str()` is a sentence for whoever gave it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idp:
    entity_id: str
    certificates: tuple[Certificate, ...]
    """Every signing certificate that can be read and whose key is strong enough, each once."""
    left_out: tuple[str, ...]
    """A sentence each about those that count for nothing, and why."""
    sign_in: tuple[str, ...]
    """Addresses of its SingleSignOnService."""
    bindings: frozenset[str]
    """How it takes requests there."""
    protocols: frozenset[str]
    sign_out: tuple[str, ...]
    valid_until: datetime | None
    """The earliest validUntil of the IdP and of what it stands in; None where the document is endless."""
    document: str
    """The descriptor of this IdP alone, also where it was found among others."""
    substance: str
    """A digest that stays the same while only the document's signature, ID and dates are new."""

    def good_at(self, at: datetime) -> tuple[Certificate, ...]:
        """Those that have begun and not ended."""
        return tuple(certificate for certificate in self.begun_at(at) if certificate.ends > at)

    def begun_at(self, at: datetime) -> tuple[Certificate, ...]:
        return tuple(certificate for certificate in self.certificates if certificate.begins <= at)


def entity_id(document: str | bytes) -> str:
    """The entityID of the one IdP in the document. Raises `Unusable`."""
    return describe(document).entity_id


def require_usable(idp: Idp, at: datetime) -> None:
    """Raises `Unusable` for a document that is over, or by which no login could begin or be verified any more."""
    if idp.valid_until is not None and idp.valid_until <= at:
        raise Unusable(f"The IdP metadata was valid until {idp.valid_until:%Y-%m-%d %H:%M} UTC.")
    if SAML_2 not in idp.protocols:
        raise Unusable("The IdP metadata does not say that the identity provider speaks SAML 2.0.")
    if not idp.bindings & CARRIED_BY_BROWSERS:
        raise Unusable("The IdP metadata names no address to sign in at by redirect or by POST.")
    if not idp.certificates:
        why = " ".join(idp.left_out)
        raise Unusable(f"The IdP metadata has no signing certificate that can be used. {why}".strip())
    # One that has yet to begin is published ahead, or by a clock that is fast.
    if all(certificate.ends <= at for certificate in idp.certificates):
        ended = max(certificate.ends for certificate in idp.certificates)
        raise Unusable(
            f"Every signing certificate in the IdP metadata has ended, the last on {ended:%Y-%m-%d}."
        )


def describe(document: str | bytes, wanted: str = "") -> Idp:
    """The one IdP in the document; of several, the one with the entityID that is `wanted`. Raises `Unusable`."""
    provider = _provider(document, wanted)
    found = (provider.get("entityID") or "").strip()
    if not found:
        raise Unusable("The IdP metadata has no entityID.")
    for endpoint in provider.iter(f"{MD}SingleSignOnService", f"{MD}SingleLogoutService"):
        for name in ("Location", "ResponseLocation"):
            address = endpoint.get(name)
            if address is None:
                continue
            # Attack: "javascript:..." as the target of the form that brings a browser from our page to the IdP.
            if not address.lower().startswith(("https://", "http://")):
                raise Unusable("The IdP metadata names an address that does not begin with https://.")
            if not _leads_somewhere(address):
                raise Unusable(
                    "The IdP metadata names an address that no browser can be sent to: write it with its host, and "
                    "without spaces, special letters, a user name or a port that does not exist."
                )
        # Metadata 2.2.2. Whoever reads on takes both for granted.
        if not endpoint.get("Binding", "").strip() or not endpoint.get("Location"):
            raise Unusable("The IdP metadata has an address without a Binding, or one without an address.")
    role, *more = provider.findall(f"{MD}IDPSSODescriptor")
    if more:
        # Attack: keys in a second role, which one reader shows and another uses.
        raise Unusable("The IdP metadata describes the identity provider more than once.")
    good, left_out = _certificates(role)
    return Idp(
        entity_id=found,
        certificates=good,
        left_out=left_out,
        sign_in=_locations(role, "SingleSignOnService"),
        bindings=frozenset(one.get("Binding", "") for one in role.iterfind(f"{MD}SingleSignOnService")),
        protocols=frozenset(role.get("protocolSupportEnumeration", "").split()),
        sign_out=_locations(role, "SingleLogoutService"),
        valid_until=min(
            filter(None, map(_valid_until, (role, provider, *provider.iterancestors()))), default=None
        ),
        document=_alone(provider, document),
        substance=_substance(provider),
    )


def _leads_somewhere(address: str) -> bool:
    """Whether every reader finds the same host in it."""
    # RFC 3986 2: what else an address holds is written in percent signs.
    if not address.isascii() or not address.isprintable() or " " in address:
        return False
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    # Attack: "https://idp.example\@evil.example", whose host one reader finds before the @ and another behind it.
    found = _HOST_AND_PORT.fullmatch(parts.netloc)
    return found is not None and port != 0 and _is_host(found[1])


def _is_host(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])
            return True
        # Browsers take what ends in a number for an address, also where it is none.
        if _NUMBER.fullmatch(labels[-1]):
            IPv4Address(".".join(labels))
            return True
    except AddressValueError:
        return False
    return len(host) <= 254 and all(map(_LABEL.fullmatch, labels))


def _valid_until(element: etree._Element) -> datetime | None:
    said = element.get("validUntil")
    if said is None:
        return None
    try:
        moment = datetime.fromisoformat(said.strip())
    except ValueError:
        raise Unusable("The IdP metadata has a validUntil that is no time.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _alone(provider: etree._Element, document: str | bytes) -> str:
    if provider.getparent() is None:
        return document if isinstance(document, str) else document.decode("utf-8-sig")
    alone = deepcopy(provider)
    alone.tail = None
    ends = min(filter(None, map(_valid_until, (provider, *provider.iterancestors()))), default=None)
    if ends is not None:
        alone.set("validUntil", ends.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    return etree.tostring(alone, encoding="unicode")


def _substance(provider: etree._Element) -> str:
    bare = deepcopy(provider)
    bare.tail = None
    for name in ("ID", "validUntil", "cacheDuration"):
        bare.attrib.pop(name, None)
    for signature in bare.findall(f"{DS}Signature"):
        bare.remove(signature)
    return hashlib.sha256(etree.tostring(bare, method="c14n", exclusive=True)).hexdigest()


def _provider(document: str | bytes, wanted: str) -> etree._Element:
    raw = document.encode() if isinstance(document, str) else document
    # Attack: entities that expand without end, or that read a file of ours. Comments go, so that none can cut a text
    # in two here that another reader takes as one.
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError):  # ValueError: no XML at all
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
        named = [entity for entity in providers if (entity.get("entityID") or "").strip() == wanted]
        if len(named) != 1:
            also = f", and not one with the entityID {wanted}" if wanted else ""
            raise Unusable(
                f"The IdP metadata describes {len(providers)} identity providers{also}; give that of one."
            )
        return named[0]
    return providers[0]


def _locations(role: etree._Element, service: str) -> tuple[str, ...]:
    return tuple(endpoint.get("Location", "") for endpoint in role.iterfind(f"{MD}{service}"))


def _certificates(role: etree._Element) -> tuple[tuple[Certificate, ...], tuple[str, ...]]:
    """Those that count, and a sentence about each kind that does not."""
    named = [
        "".join(element.itertext())
        for descriptor in role.iterfind(f"{MD}KeyDescriptor")
        # Metadata 2.4.1.1: without a use a key serves both purposes.
        if descriptor.get("use", "signing") == "signing"
        for element in descriptor.iter(f"{DS}X509Certificate")
    ]
    read: dict[str, Certificate] = {}
    unreadable = 0
    for text in named:
        try:
            certificate = certificates.from_text(text)
            read[certificate.fingerprint] = certificate
        except certificates.Unreadable:
            unreadable += 1
    left_out = []
    if unreadable:
        left_out.append(f"Of its {len(named)} signing certificates {unreadable} cannot be read.")
    left_out += [
        f"The certificate {one.subject} (SHA-256 {one.fingerprint[:16]}...) counts for nothing: it has {one.weakness}."
        for one in read.values()
        if one.weakness
    ]
    return tuple(one for one in read.values() if not one.weakness), tuple(left_out)
