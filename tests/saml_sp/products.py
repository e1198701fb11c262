"""What each product sends with a first login: the names and shapes of its documentation, as data."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from saml_sp.assertion import Assertion, Attribute, NameId

from .idp import BASIC, EMAIL, PERSISTENT, TRANSIENT, UNSPECIFIED

CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
MICROSOFT = "http://schemas.microsoft.com/identity/claims/"
AD = "http://schemas.microsoft.com/ws/2008/06/identity/claims/"
URI = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
GUID = "4f9c0e4e-0b7c-4c3e-8f0a-1f6f5a2b7c11"
MAIL = "ada@corp.example"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """An assertion as the product makes it: attributes are (Name, FriendlyName, value)."""

    product: str
    issuer: str
    sign_on: str
    name_id: tuple[str, str]
    attributes: list[tuple[str, str, str]]
    attribute_format: str = BASIC
    id: str = "_a75adf55-01d7-40cc-929f-dbd8372ebdfc"
    session_index: str = ""
    names: tuple[str, str] = ("Ada", "Lovelace")
    """Given and family name, where the product sends them apart."""
    user_name: str
    user_name_attribute: str = ""
    external_id_attribute: str = ""
    attribute_map: dict[str, list[str]] = field(default_factory=dict)

    @property
    def assertion(self) -> Assertion:
        return asserted(
            id=self.id,
            issuer=self.issuer,
            session_index=self.session_index,
            name_id=NameId(value=self.name_id[1], format=self.name_id[0]),
            attributes=tuple(
                Attribute(
                    name=name, friendly_name=friendly, values=(value,), name_format=self.attribute_format
                )
                for name, friendly, value in self.attributes
            ),
        )


def asserted(**said: Any) -> Assertion:
    facts: dict[str, Any] = {
        "id": "_1",
        "version": "2.0",
        "issuer": "https://idp.example",
        "issuer_format": "",
        "issued_at": datetime(2026, 11, 1, tzinfo=UTC),
        "name_id": None,
        "confirmations": (),
        "has_conditions": True,
        "not_before": None,
        "not_on_or_after": None,
        "audiences": (),
        "unknown_conditions": (),
        "authentications": 0,
        "authenticated_at": None,
        "authn_context": "",
        "session_index": "",
        "session_not_on_or_after": None,
        "attributes": (),
    }
    return Assertion(**(facts | said))


SENT = {
    "entra-id": Sent(
        product="Microsoft Entra ID",
        issuer=f"https://sts.windows.net/{GUID}/",
        sign_on=f"https://login.microsoftonline.com/{GUID}/saml2",
        name_id=(EMAIL, "alovelace@corp.onmicrosoft.com"),
        attributes=[
            (f"{MICROSOFT}tenantid", "", GUID),
            (f"{MICROSOFT}objectidentifier", "", "11111111-2222-4333-8444-555555555555"),
            (f"{MICROSOFT}displayname", "", "Ada Lovelace"),
            (f"{MICROSOFT}identityprovider", "", f"https://sts.windows.net/{GUID}/"),
            (
                "http://schemas.microsoft.com/claims/authnmethodsreferences",
                "",
                f"{AD}authenticationmethod/password",
            ),
            (f"{CLAIMS}givenname", "", "Ada"),
            (f"{CLAIMS}surname", "", "Lovelace"),
            (f"{CLAIMS}emailaddress", "", MAIL),
            (f"{CLAIMS}name", "", "alovelace@corp.onmicrosoft.com"),
        ],
        attribute_format="",
        session_index="_a75adf55-01d7-40cc-929f-dbd8372ebdfc",
        user_name="alovelace@corp.onmicrosoft.com",
        user_name_attribute=f"{CLAIMS}name",
        external_id_attribute=f"{MICROSOFT}objectidentifier",
        attribute_map={
            "email": [f"{CLAIMS}emailaddress"],
            "given_name": [f"{CLAIMS}givenname"],
            "family_name": [f"{CLAIMS}surname"],
            "display_name": [f"{MICROSOFT}displayname"],
        },
    ),
    "okta": Sent(
        product="Okta",
        issuer="http://www.okta.com/exk1fcia6d6EMsf331d8",
        sign_on="https://corp.okta.com/app/corp_hub_1/exk1fcia6d6EMsf331d8/sso/saml",
        name_id=(UNSPECIFIED, MAIL),
        attributes=[
            ("email", "", MAIL),
            ("firstName", "", "Ada"),
            ("lastName", "", "Lovelace"),
            ("oktaId", "", "00ub0oNGTSWTBKOLGLNR"),
        ],
        id="id26182705368138761886243541",
        session_index="id1605118452468.1389834317",
        user_name=MAIL,
        external_id_attribute="oktaId",
        attribute_map={"email": ["email"], "given_name": ["firstName"], "family_name": ["lastName"]},
    ),
    "google": Sent(
        product="Google Workspace",
        issuer="https://accounts.google.com/o/saml2?idpid=C01abc234",
        sign_on="https://accounts.google.com/o/saml2/idp?idpid=C01abc234",
        name_id=(EMAIL, MAIL),
        attributes=[("email", "", MAIL), ("firstName", "", "Ada"), ("lastName", "", "Lovelace")],
        attribute_format=UNSPECIFIED,
        id="_1f4a9c0e4e0b7c4c3e8f0a1f6f5a2b7c",
        user_name=MAIL,
        attribute_map={"email": ["email"], "given_name": ["firstName"], "family_name": ["lastName"]},
    ),
    "adfs": Sent(
        product="Active Directory Federation Services",
        issuer="http://fs.corp.example/adfs/services/trust",
        sign_on="https://fs.corp.example/adfs/ls/",
        name_id=(UNSPECIFIED, "CORP\\ada"),
        attributes=[
            (f"{CLAIMS}upn", "", "ada@corp.local"),
            (f"{CLAIMS}emailaddress", "", MAIL),
            (f"{CLAIMS}givenname", "", "Ada"),
            (f"{CLAIMS}surname", "", "Lovelace"),
            (f"{AD}primarysid", "", "S-1-5-21-1004336348-1177238915-682003330-1105"),
        ],
        attribute_format="",
        user_name="ada@corp.local",
        user_name_attribute=f"{CLAIMS}upn",
        external_id_attribute=f"{AD}primarysid",
        attribute_map={
            "email": [f"{CLAIMS}emailaddress"],
            "given_name": [f"{CLAIMS}givenname"],
            "family_name": [f"{CLAIMS}surname"],
        },
    ),
    "keycloak": Sent(
        product="Keycloak",
        issuer="https://sso.corp.example/realms/staff",
        sign_on="https://sso.corp.example/realms/staff/protocol/saml",
        name_id=(UNSPECIFIED, "ada"),
        attributes=[
            ("urn:oid:1.2.840.113549.1.9.1", "email", MAIL),
            ("urn:oid:2.5.4.42", "givenName", "Ada"),
            ("urn:oid:2.5.4.4", "surname", "Lovelace"),
            ("Role", "", "offline_access"),
            ("keycloakId", "", GUID),
        ],
        id=f"ID_{GUID}",
        session_index=f"{GUID}::{GUID}",
        user_name="ada",
        external_id_attribute="keycloakId",
        attribute_map={
            "email": ["urn:oid:1.2.840.113549.1.9.1", "email"],
            "given_name": ["urn:oid:2.5.4.42", "givenName"],
            "family_name": ["urn:oid:2.5.4.4", "surname"],
        },
    ),
    "ping": Sent(
        product="PingOne",
        issuer=f"https://auth.pingone.eu/{GUID}",
        sign_on=f"https://auth.pingone.eu/{GUID}/saml20/idp/sso",
        name_id=(PERSISTENT, "11111111-2222-4333-8444-555555555555"),
        attributes=[
            ("email", "", MAIL),
            ("firstName", "", "Ada"),
            ("lastName", "", "Lovelace"),
            ("userName", "", "alovelace"),
        ],
        user_name="alovelace",
        user_name_attribute="userName",
        attribute_map={"email": ["email"], "given_name": ["firstName"], "family_name": ["lastName"]},
    ),
    "onelogin": Sent(
        product="OneLogin",
        issuer=f"https://app.onelogin.com/saml/metadata/{GUID}",
        sign_on=f"https://corp.onelogin.com/trust/saml2/http-post/sso/{GUID}",
        name_id=(EMAIL, MAIL),
        attributes=[
            ("User.email", "", MAIL),
            ("User.FirstName", "", "Ada"),
            ("User.LastName", "", "Lovelace"),
            ("memberOf", "", "Staff"),
            ("PersonImmutableID", "", MAIL),
        ],
        id=f"pfx{GUID}",
        session_index=f"_{GUID}",
        user_name=MAIL,
        attribute_map={
            "email": ["User.email"],
            "given_name": ["User.FirstName"],
            "family_name": ["User.LastName"],
        },
    ),
    "simplesamlphp": Sent(
        product="SimpleSAMLphp",
        issuer="https://idp.corp.example/simplesaml/saml2/idp/metadata.php",
        sign_on="https://idp.corp.example/simplesaml/saml2/idp/SSOService.php",
        name_id=(TRANSIENT, "_3f7b3dcf-1674-4ecd-92c8-1544f346baf8"),
        attributes=[
            ("uid", "", "ada"),
            ("mail", "", MAIL),
            ("givenName", "", "Ada"),
            ("sn", "", "Lovelace"),
            ("eduPersonAffiliation", "", "staff"),
        ],
        id="_" + "0123456789abcdef" * 2 + "0123456789",
        session_index="_" + "fedcba9876543210" * 2 + "0123456789",
        user_name="ada",
        user_name_attribute="uid",
        attribute_map={"email": ["mail"], "given_name": ["givenName"], "family_name": ["sn"]},
    ),
    "shibboleth": Sent(
        product="Shibboleth",
        issuer="https://idp.uni.example/idp/shibboleth",
        sign_on="https://idp.uni.example/idp/profile/SAML2/Redirect/SSO",
        name_id=(TRANSIENT, "AAdzZWNyZXQx5gXpM0bLh8YkQ"),
        attributes=[
            ("urn:oid:0.9.2342.19200300.100.1.3", "mail", MAIL),
            ("urn:oid:2.5.4.42", "givenName", "Ada"),
            ("urn:oid:2.5.4.4", "sn", "Lovelace"),
            ("urn:oid:1.3.6.1.4.1.5923.1.1.1.6", "eduPersonPrincipalName", "ada@uni.example"),
            ("urn:oid:1.3.6.1.4.1.5923.1.1.1.9", "eduPersonScopedAffiliation", "staff@uni.example"),
            (
                "urn:oid:1.3.6.1.4.1.5923.1.1.1.13",
                "eduPersonUniqueId",
                "28c5353b8bb34984a8bd4169ba94c606@uni.example",
            ),
        ],
        attribute_format=URI,
        id="_" + "0123456789abcdef" * 2,
        session_index="_" + "fedcba9876543210" * 2,
        user_name="ada@uni.example",
        user_name_attribute="urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
        external_id_attribute="urn:oid:1.3.6.1.4.1.5923.1.1.1.13",
        attribute_map={
            "email": ["urn:oid:0.9.2342.19200300.100.1.3", "mail"],
            "given_name": ["urn:oid:2.5.4.42", "givenName"],
            "family_name": ["urn:oid:2.5.4.4", "sn"],
        },
    ),
    "authentik": Sent(
        product="authentik",
        issuer="https://id.corp.example/application/saml/hub/metadata/",
        sign_on="https://id.corp.example/application/saml/hub/sso/binding/redirect/",
        name_id=(PERSISTENT, "b4c6a8d0e2f4" * 5),
        attributes=[
            (f"{CLAIMS}upn", "", MAIL),
            (f"{CLAIMS}name", "", "Ada Lovelace"),
            (f"{CLAIMS}emailaddress", "", MAIL),
            (f"{AD}windowsaccountname", "", "ada"),
            ("http://schemas.goauthentik.io/2021/02/saml/username", "", "ada"),
            ("http://schemas.goauthentik.io/2021/02/saml/uid", "", "b4c6a8d0e2f4" * 5),
        ],
        attribute_format="",
        names=("", ""),
        user_name="ada",
        user_name_attribute="http://schemas.goauthentik.io/2021/02/saml/username",
        external_id_attribute="http://schemas.goauthentik.io/2021/02/saml/uid",
        attribute_map={"email": [f"{CLAIMS}emailaddress"], "display_name": [f"{CLAIMS}name"]},
    ),
}

WITHOUT_PRESET = {
    "jumpcloud": Sent(
        product="JumpCloud",
        issuer="https://sso.jumpcloud.com/saml2/hub",
        sign_on="https://sso.jumpcloud.com/saml2/hub",
        name_id=(UNSPECIFIED, "ada"),
        attributes=[("email", "", MAIL), ("firstName", "", "Ada"), ("lastName", "", "Lovelace")],
        user_name="ada",
    )
}
"""Products of docs/connect/ that send, set up as it says there, what the hub reads by itself."""
