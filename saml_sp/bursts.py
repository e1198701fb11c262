"""Whether a connection refuses very many logins at once. Knows the login log; what follows is the domain's matter."""

from collections import Counter, defaultdict
from datetime import datetime
from uuid import UUID

from django.db.models import Count, F, Q

from provisioning.decision.reasons import FindingKind
from provisioning.services.bursts import WINDOW, Burst

from .models import LoginAttempt

VOUCHED = {
    # The checks judge only what the IdP's signature was found on.
    "saml:destination-missing": "a signed Response that says nowhere where it goes",
    "saml:recipient-foreign": "inside the signed assertion",
    "saml:audience-missing": "inside the signed assertion",
    "saml:audience-foreign": "inside the signed assertion",
    "saml:conditions-missing": "the signed assertion lacks them",
    "saml:condition-unknown": "inside the signed assertion",
    "saml:confirmation-missing": "the signed assertion lacks it",
    "saml:confirmation-endless": "inside the signed assertion",
    "saml:authentication-missing": "the signed assertion lacks it",
    "saml:several-authentications": "inside the signed assertion",
    "saml:authentication-weak": "the signed AuthnStatement",
    "saml:authentication-old": "the signed AuthnStatement",
    "saml:not-yet-valid": "judged after the signature: usually a clock",
    "saml:expired": "judged after the signature: usually a clock",
    "saml:too-old": "judged after the signature: usually a clock",
    "saml:window-too-long": "inside the signed assertion",
    "saml:session-over": "the signed AuthnStatement",
    "saml:subject-missing": "the signed assertion lacks it",
    "saml:request-foreign": "the signed confirmation names another request",
    "saml:not-verified": "what pysaml2 has against a message is asked after the signature",
    "saml:attributes-too-many": "signed attributes",
    "saml:attribute-too-long": "signed attributes",
    "saml:attribute-ambiguous": "signed attributes",
    "saml:emails-disagree": "signed attributes",
    # The memory is asked last.
    "saml:request-used": "a second answer that the IdP signed",
    "saml:replayed": "the IdP signed it once",
}
"""What is refused only after the IdP's signature was found good: code -> why. Every `login:` code is too.

Attack: a tenant's alarm raised by bare requests from anywhere, or by answers to sign-ins that the attacker began
himself. So a code that may also come before the signature (`saml:issuer-foreign`, `saml:malformed`) counts for none.
"""


def refusals(*, at: datetime) -> list[Burst]:
    """The connections at which more messages of the IdP's were just refused than allowed for. One statement.

    A message that comes again counts once for each reason.

    The reasons are told of all refusals; `noise` is how many of them anybody may have caused.
    """
    rows = (
        LoginAttempt.objects.filter(
            at__gt=at - WINDOW,
            at__lte=at,
            outcome=LoginAttempt.Outcome.REFUSED,
            connection__burst_refusals__gt=0,
        )
        .order_by()
        .values("tenant_id", "connection_id", "reason", threshold=F("connection__burst_refusals"))
        # Attack: one person posts one assertion, which was refused or used up, two hundred times.
        .annotate(
            number=Count("message", filter=~Q(message=""), distinct=True) + Count("pk", filter=Q(message=""))
        )
    )
    reasons: dict[tuple[UUID, UUID, int], Counter[str]] = defaultdict(Counter)
    for row in rows:
        reasons[row["tenant_id"], row["connection_id"], row["threshold"]][row["reason"]] += row["number"]
    found = []
    for (tenant_id, connection_id, threshold), counts in reasons.items():
        vouched = sum(number for reason, number in counts.items() if is_vouched(reason))
        if vouched > threshold:
            burst = Burst(
                kind=FindingKind.REFUSAL_BURST,
                tenant_id=tenant_id,
                connection_id=connection_id,
                number=vouched,
                threshold=threshold,
                reasons=dict(counts.most_common()),
                noise=counts.total() - vouched,
            )
            found.append(burst)
    return found


def is_vouched(reason: str) -> bool:
    return reason.startswith("login:") or reason in VOUCHED
