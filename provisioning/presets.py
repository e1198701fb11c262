"""What each identity product sends unless it is told otherwise. Knows no connection and no assertion.

The names are those of the vendors' pages, and of docs/connect where the product sends nothing by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .attributes import CLAIMS, MICROSOFT

PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
EMAIL_ADDRESS = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """`user_names` and `keys` are attributes that may serve as userName and externalId, the best first.

    `settled` says that the product sends them always, so that they can be set before anything has arrived.
    `name_ids` are the NameID formats to expect.
    """

    code: str
    title: str
    attribute_map: Mapping[str, tuple[str, ...]]
    user_names: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    settled: bool = False
    name_ids: tuple[str, ...]
    advice: str
    """For an administrator: what makes the product send something lasting."""


_PLAIN = {
    "email": ("email", "emailAddress", "mail"),
    "given_name": ("firstName", "givenName", "first_name", "given_name"),
    "family_name": ("lastName", "surname", "last_name", "family_name", "sn"),
    "display_name": ("displayName", "display_name"),
    "hr_number": ("employeeNumber", "employeeId"),
    "department": ("department",),
    "title": ("title", "jobTitle"),
}
_LDAP = {
    "email": ("mail", "urn:oid:0.9.2342.19200300.100.1.3"),
    "given_name": ("givenName", "urn:oid:2.5.4.42"),
    "family_name": ("sn", "urn:oid:2.5.4.4"),
    "display_name": ("displayName", "urn:oid:2.16.840.1.113730.3.1.241", "cn", "urn:oid:2.5.4.3"),
    "locale": ("preferredLanguage", "urn:oid:2.16.840.1.113730.3.1.39"),
    "hr_number": ("employeeNumber", "urn:oid:2.16.840.1.113730.3.1.3"),
}
_SUBJECT_ID = "urn:oasis:names:tc:SAML:attribute:subject-id"
_PAIRWISE_ID = "urn:oasis:names:tc:SAML:attribute:pairwise-id"
_EPPN = "urn:oid:1.3.6.1.4.1.5923.1.1.1.6"
_UID = "urn:oid:0.9.2342.19200300.100.1.1"
_UNIQUE_ID = "urn:oid:1.3.6.1.4.1.5923.1.1.1.13"

AUTHENTIK = "http://schemas.goauthentik.io/2021/02/saml/"

_ALL = (
    Preset(
        code="entra-id",
        title="Microsoft Entra ID",
        attribute_map={
            "email": (f"{CLAIMS}emailaddress",),
            "given_name": (f"{CLAIMS}givenname",),
            "family_name": (f"{CLAIMS}surname",),
            "display_name": (f"{MICROSOFT}displayname",),
        },
        user_names=(f"{CLAIMS}name",),
        keys=(f"{MICROSOFT}objectidentifier",),
        settled=True,
        name_ids=(EMAIL_ADDRESS, PERSISTENT),
        advice="Entra sends the object id with every login; let SCIM send objectId as externalId, too.",
    ),
    Preset(
        code="okta",
        title="Okta",
        attribute_map=_PLAIN,
        keys=("oktaId", "okta_id", "userId"),
        name_ids=(UNSPECIFIED, EMAIL_ADDRESS),
        advice='Add the attribute statement oktaId with the value user.getInternalProperty("id").',
    ),
    Preset(
        code="google",
        title="Google Workspace",
        attribute_map=_PLAIN,
        keys=("googleId",),
        name_ids=(EMAIL_ADDRESS,),
        advice="Add a custom attribute with a value that never changes to the schema, and map it to googleId.",
    ),
    Preset(
        code="adfs",
        title="Active Directory Federation Services",
        attribute_map={
            "email": (f"{CLAIMS}emailaddress",),
            "given_name": (f"{CLAIMS}givenname",),
            "family_name": (f"{CLAIMS}surname",),
            "display_name": ("http://schemas.xmlsoap.org/claims/CommonName", "displayName"),
        },
        user_names=(f"{CLAIMS}upn",),
        keys=(
            "http://schemas.microsoft.com/LiveID/Federation/2008/05/ImmutableID",
            "http://schemas.microsoft.com/ws/2008/06/identity/claims/primarysid",
        ),
        name_ids=(UNSPECIFIED, EMAIL_ADDRESS, PERSISTENT),
        advice="Add claim rules that issue UPN, and objectGUID as ImmutableID (or else Primary SID), beside E-Mail "
        "Address, Given Name and Surname.",
    ),
    Preset(
        code="keycloak",
        title="Keycloak",
        attribute_map={
            "email": ("urn:oid:1.2.840.113549.1.9.1", "email"),
            "given_name": ("urn:oid:2.5.4.42", "givenName", "firstName"),
            "family_name": ("urn:oid:2.5.4.4", "surname", "lastName"),
            "locale": ("locale",),
        },
        user_names=("username",),
        keys=("keycloakId",),
        name_ids=(UNSPECIFIED, PERSISTENT),
        advice="Add a mapper of the type User Property: property id, SAML attribute name keycloakId.",
    ),
    Preset(
        code="ping",
        title="PingOne and PingFederate",
        attribute_map=_PLAIN,
        user_names=("userName", "username"),
        keys=("userId",),
        name_ids=(PERSISTENT, UNSPECIFIED, EMAIL_ADDRESS),
        advice="Map saml_subject to User ID with the persistent format, and userName to Username.",
    ),
    Preset(
        code="onelogin",
        title="OneLogin",
        attribute_map={
            **_PLAIN,
            "email": ("User.email", "email"),
            "given_name": ("User.FirstName", "firstName"),
            "family_name": ("User.LastName", "lastName"),
        },
        keys=("oneloginId", "PersonImmutableID"),
        name_ids=(EMAIL_ADDRESS, UNSPECIFIED, PERSISTENT),
        advice="Add the parameter oneloginId with the value OneLogin ID, included in the assertion.",
    ),
    Preset(
        code="simplesamlphp",
        title="SimpleSAMLphp",
        attribute_map=_LDAP,
        user_names=("uid", "eduPersonPrincipalName", _UID, _EPPN),
        keys=(_SUBJECT_ID, "eduPersonUniqueId", _UNIQUE_ID, _PAIRWISE_ID),
        name_ids=(TRANSIENT, PERSISTENT),
        advice="Its NameID is transient by default: add a saml:PersistentNameID filter or saml:SubjectID.",
    ),
    Preset(
        code="shibboleth",
        title="Shibboleth",
        attribute_map={attribute: (*names[1::2], *names[::2]) for attribute, names in _LDAP.items()},
        user_names=(_UID, _EPPN, "uid", "eduPersonPrincipalName"),
        keys=(_SUBJECT_ID, _UNIQUE_ID, "eduPersonUniqueId", _PAIRWISE_ID),
        name_ids=(TRANSIENT, PERSISTENT),
        advice="Its NameID is transient by default: release subject-id or pairwise-id to this service.",
    ),
    Preset(
        code="authentik",
        title="authentik",
        attribute_map={"email": (f"{CLAIMS}emailaddress",), "display_name": (f"{CLAIMS}name",)},
        user_names=(f"{AUTHENTIK}username",),
        keys=(f"{AUTHENTIK}uid",),
        settled=True,
        name_ids=(PERSISTENT, EMAIL_ADDRESS),
        advice="Keep the default property mappings: the user's uid is what SCIM sends as externalId, too.",
    ),
)
PRESETS: Mapping[str, Preset] = {preset.code: preset for preset in _ALL}


def settings(code: str) -> dict[str, Any]:
    """What a new connection to this product may be set to before anything has arrived; nothing where it is unknown.

    Only what the product sends unasked: the name of an attribute that never comes would find nobody.
    """
    preset = PRESETS.get(code)
    if preset is None:
        return {}
    always = preset.settled
    return {
        "attribute_map": {attribute: list(names) for attribute, names in preset.attribute_map.items()},
        "user_name_attribute": preset.user_names[0] if always and preset.user_names else "",
        "external_id_attribute": preset.keys[0] if always and preset.keys else "",
    }
