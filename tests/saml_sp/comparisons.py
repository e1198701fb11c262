"""Which refusals compare two things, so that an administrator has to be shown both. Knows no message."""

from provisioning.models import AuditValue
from saml_sp.models import LoginAttempt

SIDES = (
    {"expected", "found"},
    {"issued", "now"},
    {"not_before", "now"},
    {"not_on_or_after", "now"},
    {"issued", "not_on_or_after", "limit"},
    {"asked", "authenticated"},
    {"expired", "now"},
    {"first_used", "now"},
    {"size", "limit"},
    {"length", "limit"},
)
"""The names under which the two stand in the detail of an attempt."""

COMPARING = frozenset(
    f"saml:{what}"
    for what in (
        *("version", "method", "message-too-large", "several-assertions"),
        *("signature-invalid", "signature-shape", "signature-reference", "algorithm"),
        *(
            "issuer-missing",
            "issuer-foreign",
            "destination-missing",
            "destination-foreign",
            "recipient-foreign",
        ),
        *("audience-missing", "audience-foreign", "condition-unknown", "confirmation-missing"),
        *("authentication-weak", "authentication-old", "session-over"),
        *("not-yet-valid", "expired", "too-old", "window-too-long"),
        *("attributes-too-many", "attribute-too-long"),
        *("request-foreign", "request-expired", "browser-foreign"),
    )
)
OF_A_PERSON = frozenset({"saml:emails-disagree", "saml:attribute-ambiguous"})
"""They compare values of a person, which stand beside the audit."""

ALONE = {
    "saml:malformed": "what cannot be read; where a kind was expected, both are told",
    "saml:doctype": "it is there",
    "saml:comment": "it is there; the element is told",
    "saml:duplicate-id": "the ID is told",
    "saml:wrapped": "what stands where it does not belong, and where",
    "saml:signature-object": "it is there",
    "saml:idp-refused": "the IdP's own word",
    "saml:unsigned": "there is no signature",
    "saml:cipher-reference": "it is there",
    "saml:decryption-failed": "what stands in the clear, and nothing of what is inside",
    "saml:not-verified": "pysaml2's own word",
    "saml:conditions-missing": "they are not there",
    "saml:confirmation-endless": "it has no end",
    "saml:authentication-missing": "it is not there",
    "saml:subject-missing": "it is not there",
    "saml:unsolicited": "it names no request",
    "saml:request-unknown": "the request is told; there is none to compare it with",
    "saml:request-used": "it was answered",
    "saml:replayed": "it was used; when, is told of a login",
    "saml:test-over": "the address is no more",
    "saml:too-many": "nothing is written down, which is what the limit is for",
}
"""Which compare nothing, and what they tell instead."""


def assert_both_sides(attempt: LoginAttempt) -> None:
    """Of a refusal that compares, the attempt has what was expected and what came, and neither is empty."""
    if attempt.reason in COMPARING:
        told = {name for name, value in attempt.detail.items() if value}
        assert any(pair <= told for pair in SIDES), (attempt.reason, attempt.detail)
    if attempt.reason in OF_A_PERSON:
        found = AuditValue.objects.get(pk=attempt.audit_id).values["found"]
        assert len(set(found)) > 1
        assert not any(
            value.rpartition(": ")[2] in str(attempt.detail.values()) for value in found if len(value) > 2
        )
