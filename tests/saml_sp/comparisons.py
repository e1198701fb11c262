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
    {"valid_until", "now"},
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
        *("several-authentications", "authentication-weak", "authentication-old", "session-over"),
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

LOGINS = {
    "login:no-account": "the keys that came and met nobody",
    "login:creation-stopped": "the keys that came and met nobody",
    "login:subject-transient": "the NameID that came, and what would do",
    "login:disputed": "the keys that came, and the accounts that they mean",
    "login:domain-not-allowed": "the e-mails that came, and the domains",
    "login:group-not-allowed": "the groups that came, and those that do",
    "login:attribute-not-allowed": "the values that came, and those that do",
    "login:name-id-changed": "both keys",
    "login:name-id-recycled": "both keys",
}
"""What the decision's own refusals compare: in the attempt without values of a person, which stand beside the audit."""

BOTH_BESIDE = frozenset({"login:name-id-changed", "login:name-id-recycled"})
"""Both sides are values of a person."""

LOGINS_ALONE = {
    "login:profile-incomplete": "each attribute with what is wrong with it; what it said stands beside the audit",
    "login:identity-held": "who it is; the holds stand on the page of the identity",
    "login:account-deleted": "who it was; when, stands in the history of the identity",
    "login:link-pending": "the account; the finding has the candidates",
    "login:approval-pending": "the account; the finding asks for the approval",
    "login:protected": "who it is; the finding says by which keys",
}


def assert_both_sides(attempt: LoginAttempt) -> None:
    """Of a refusal that compares, the attempt has what was expected and what came, and neither is empty."""
    if attempt.reason in COMPARING:
        told = {name for name, value in attempt.detail.items() if value}
        assert any(pair <= told for pair in SIDES), (attempt.reason, attempt.detail)
    if attempt.reason in LOGINS:
        beside = AuditValue.objects.filter(pk=attempt.audit_id).first()
        brought = beside.values.get("found", []) if beside else []
        if attempt.reason in BOTH_BESIDE:
            assert brought
            assert all(" where " in value for value in brought)
        else:
            assert all(attempt.detail.get(name) for name in ("expected", "found")), attempt.detail
        said = [value.rpartition(": ")[2] for value in brought]
        assert not any(value in str(attempt.detail.values()) for value in said if len(value) > 4)
    if attempt.reason in OF_A_PERSON:
        found = AuditValue.objects.get(pk=attempt.audit_id).values["found"]
        assert len(set(found)) > 1
        assert not any(
            value.rpartition(": ")[2] in str(attempt.detail.values()) for value in found if len(value) > 2
        )
