"""The ways in which SimpleSAMLphp may speak, and what a connection has to say about each. Knows no journey."""

from typing import Any

_AES = "http://www.w3.org/2001/04/xmlenc#aes"
_GCM = "http://www.w3.org/2009/xmlenc11#aes"

# The IdP's habits, and what the connection has to say about them.
STYLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the assertion is signed": ({"signs": "assertion"}, {}),
    "only the Response is signed": ({"signs": "response"}, {}),
    "both are signed": ({"signs": "both"}, {}),
    "an e-mail NameID, attributes named by OID": ({"name_id": "email", "names": "oid"}, {}),
    "a persistent NameID, attributes named as claims": ({"name_id": "persistent", "names": "claims"}, {}),
    "an unspecified NameID, the user's name": ({"name_id": "unspecified"}, {}),
    "an e-mail NameID, claims, only the Response signed": (
        {"name_id": "email", "names": "claims", "signs": "response"},
        {},
    ),
    "an encrypted assertion, signed inside": (
        {"signs": "assertion", "encrypts": f"{_AES}128-cbc", "names": "oid"},
        {},
    ),
    "an encrypted assertion in a signed Response": (
        {"signs": "response", "encrypts": f"{_AES}256-cbc", "names": "claims"},
        {},
    ),
    "an encrypted assertion, both signed, by GCM": (
        {"signs": "both", "encrypts": f"{_GCM}256-gcm", "name_id": "email"},
        {},
    ),
    "an encrypted NameID": ({"encrypts_name_id": True}, {}),
    "an encrypted NameID in an encrypted assertion": (
        {"encrypts_name_id": True, "encrypts": f"{_GCM}128-gcm", "name_id": "email"},
        {},
    ),
    "a transient NameID, and a name in an attribute": (
        {"name_id": "transient"},
        {"user_name_attribute": "uid", "external_id_attribute": "employeeNumber"},
    ),
    "a request by POST": ({"takes": ("post",)}, {}),
    "a request by POST, everything encrypted": (
        {"takes": ("post",), "encrypts": f"{_AES}128-cbc", "encrypts_name_id": True, "names": "oid"},
        {},
    ),
}
