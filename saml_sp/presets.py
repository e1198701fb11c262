"""Which product sent an assertion, and what follows for its connection. Judges values; changes nothing.

What a product sends is data (`provisioning/presets.py`); here are the marks by which it gives itself away.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provisioning.attributes import CLAIMS, MICROSOFT, names_an_email
from provisioning.presets import AUTHENTIK, PRESETS, Preset

from .assertion import Assertion

__all__ = ["Preset", "evidence", "proposal", "recognise"]

DECISIVE = 10
"""The weight of an address that only this product has."""
ENOUGH = 2
_GUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_AD = "http://schemas.microsoft.com/ws/2008/06/identity/claims/"
_EDU_PERSON = "urn:oid:1.3.6.1.4.1.5923.1.1.1."
SCOPED = frozenset(
    name.lower()
    for name in (
        "urn:oasis:names:tc:SAML:attribute:subject-id",
        "urn:oasis:names:tc:SAML:attribute:pairwise-id",
        "eduPersonUniqueId",
        f"{_EDU_PERSON}13",
    )
)
"""Keys whose values end in a scope and therefore look like addresses, but are none."""
_URI = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """`issuer`, `sign_on`, `ids` and `session` are patterns of ours; `attributes` are names with their weight."""

    issuer: str = ""
    sign_on: str = ""
    ids: str = ""
    """Of the assertion's ID: telling, but not decisive."""
    session: str = ""
    """Of the SessionIndex: the same."""
    attributes: Mapping[str, int]
    name_format: str = ""
    """These attributes count in this NameFormat only."""


MARKS: Mapping[str, Marks] = {
    "entra-id": Marks(
        issuer=rf"^https://sts\.(windows\.net|chinacloudapi\.cn)/{_GUID}/$",
        sign_on=r"^https://login\.(microsoftonline\.(com|us)|partner\.microsoftonline\.cn)/",
        attributes={
            f"{MICROSOFT}tenantid": 2,
            f"{MICROSOFT}objectidentifier": 1,
            f"{MICROSOFT}identityprovider": 1,
        },
    ),
    "okta": Marks(
        issuer=r"^http://www\.okta(preview|-emea|-gov)?\.com/[0-9A-Za-z]{20}$",
        sign_on=r"^https://[^/]+\.okta(preview|-emea|-gov)?\.com/app/|/app/[^/]+/exk[0-9A-Za-z]+/sso/saml$",
        ids=r"^id[0-9]{15,}$",
        attributes={"oktaId": 2},
    ),
    "google": Marks(
        issuer=r"^https://accounts\.google\.com/o/saml2\?idpid=",
        sign_on=r"^https://accounts\.google\.com/o/saml2/",
        attributes={"googleId": 2},
    ),
    "adfs": Marks(
        issuer=r"^https?://[^/]+/adfs/services/trust$",
        sign_on=r"^https://[^/]+/adfs/ls/",
        attributes={
            f"{CLAIMS}upn": 1,
            f"{_AD}primarysid": 1,
            f"{_AD}groupsid": 1,
            f"{_AD}windowsaccountname": 1,
            "http://schemas.microsoft.com/2014/03/psso": 1,
        },
    ),
    "keycloak": Marks(
        issuer=r"^https?://.+/realms/[^/]+$",
        sign_on=r"/realms/[^/]+/protocol/saml",
        ids=rf"^ID_{_GUID}$",
        session=rf"^{_GUID}::{_GUID}$",
        attributes={"keycloakId": 2, "Role": 1},
    ),
    "ping": Marks(
        issuer=rf"^https://auth\.pingone\.(com|eu|ca|asia|sg|com\.au)/{_GUID}$|^https://pingone\.com/idp/",
        sign_on=r"^https://(auth|sso\.connect)\.pingone\.|^https://sso\.connect\.pingidentity\.com/|/idp/SSO\.saml2$",
        attributes={"SAML_SUBJECT": 2, "PingOne.idpid": 2, "PingOne.AuthenticatingAuthority": 2},
    ),
    "onelogin": Marks(
        issuer=r"^https://[^/]+\.onelogin\.com/saml/metadata/",
        sign_on=r"^https://[^/]+\.onelogin\.com/trust/saml2/",
        attributes={
            "oneloginId": 2,
            "PersonImmutableID": 1,
            "User.email": 1,
            "User.FirstName": 1,
            "User.LastName": 1,
        },
    ),
    "simplesamlphp": Marks(
        issuer=r"/saml2/idp/metadata\.php$|/module\.php/saml/idp/metadata$",
        sign_on=r"/saml2/idp/SSOService\.php$|/module\.php/saml/idp/singleSignOnService$",
        ids=r"^_[0-9a-f]{42}$",
        session=r"^_[0-9a-f]{42}$",
        attributes={},
    ),
    "shibboleth": Marks(
        issuer=r"/idp/shibboleth$",
        sign_on=r"/idp/profile/SAML2/",
        attributes={
            **{f"{_EDU_PERSON}{number}": 1 for number in (1, 5, 6, 7, 9, 10, 13, 16)},
            "urn:oasis:names:tc:SAML:attribute:subject-id": 1,
            "urn:oasis:names:tc:SAML:attribute:pairwise-id": 1,
        },
        name_format=_URI,
    ),
    "authentik": Marks(
        issuer=r"^authentik$|/application/saml/[^/]+/(metadata/)?$",
        sign_on=r"/application/saml/[^/]+/sso/binding/",
        # Its default mappings bear AD FS's names, too: these weigh more.
        attributes={f"{AUTHENTIK}username": 3, f"{AUTHENTIK}uid": 3},
    ),
}


def recognise(assertion: Assertion, issuer: str, sign_on: str = "") -> Preset | None:
    """The product that a verified assertion is from, or None where none stands out.

    `issuer` is the IdP's entity ID, `sign_on` its SingleSignOnService where its metadata is known. An address that only
    one product has decides; without one, two marks are needed and more than any other product shows.
    """
    weights = sorted(
        ((sum(_matched(code, assertion, issuer, sign_on).values()), code) for code in MARKS), reverse=True
    )
    (most, code), (next_most, _) = weights[:2]
    return PRESETS[code] if most >= ENOUGH and most > next_most else None


def evidence(preset: Preset, assertion: Assertion, issuer: str, sign_on: str = "") -> tuple[str, ...]:
    """The marks that spoke for it, as an administrator reads them."""
    return tuple(_matched(preset.code, assertion, issuer, sign_on))


def proposal(preset: Preset, assertion: Assertion) -> dict[str, Any]:
    """What to change of the connection, as `configuration.change_connection` takes it.

    Only names that arrived. An e-mail attribute is never proposed as a name or a key, nor is what holds an address as
    a key (a scoped identifier is none). Where nothing may serve as one the field is empty, and `preset.advice` says
    what to send.
    """
    arrived = _arrived(assertion)
    names = {
        attribute: [name for name in names if name.lower() in arrived]
        for attribute, names in preset.attribute_map.items()
    }
    attribute_map = {attribute: found for attribute, found in names.items() if found}
    able = {
        name: values
        for name in (*preset.user_names, *preset.keys)
        if len(values := arrived.get(name.lower(), ())) == 1 and not names_an_email(name, attribute_map)
    }
    keys = (
        name for name in preset.keys if name in able and ("@" not in able[name][0] or name.lower() in SCOPED)
    )
    return {
        "preset": preset.code,
        "attribute_map": attribute_map,
        "user_name_attribute": next((name for name in preset.user_names if name in able), ""),
        "external_id_attribute": next(keys, ""),
    }


def _matched(code: str, assertion: Assertion, issuer: str, sign_on: str) -> dict[str, int]:
    marks = MARKS[code]
    patterns = (
        ("the issuer's address", marks.issuer, issuer or assertion.issuer, DECISIVE),
        ("the sign-on address", marks.sign_on, sign_on, DECISIVE),
        ("the shape of the assertion's ID", marks.ids, assertion.id, 1),
        ("the shape of the session index", marks.session, assertion.session_index, 1),
    )
    named = {
        attribute.name
        for attribute in assertion.attributes
        if marks.name_format in ("", attribute.name_format)
    }
    return {
        **{
            what: weight for what, pattern, found, weight in patterns if pattern and re.search(pattern, found)
        },
        **{f"the attribute {name}": weight for name, weight in marks.attributes.items() if name in named},
    }


def _arrived(assertion: Assertion) -> Mapping[str, Sequence[str]]:
    """Values by lower-case Name and FriendlyName."""
    arrived: dict[str, tuple[str, ...]] = {}
    for attribute in assertion.attributes:
        for name in {attribute.name.lower(), attribute.friendly_name.lower()} - {""}:
            if attribute.values:
                arrived[name] = (*arrived.get(name, ()), *attribute.values)
    return arrived
