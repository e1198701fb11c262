"""Whether somebody may sign in, in a badge and a few words. Knows no page."""

from provisioning.models import Account, Identity
from provisioning.selectors.timeline import HOLD_NAMES


def state_of(identity: Identity) -> tuple[str, str]:
    """(badge, words). The identity comes with `with_state`, and with its holds where there may be some."""
    if identity.merged_into_id is not None:
        return "merged", "Merged into another one"
    if identity.enabled:  # type: ignore[attr-defined]
        return "enabled", "Enabled"
    if identity.held:  # type: ignore[attr-defined]
        kinds = sorted({hold.kind for hold in identity.holds.all()})
        return "held", f"Held: {', '.join(HOLD_NAMES.get(kind, kind) for kind in kinds)}"
    return "gone", "No live account"


def state_of_account(account: Account) -> tuple[str, str]:
    if account.deleted_at is not None:
        return "deleted", "Deleted"
    if not account.active:
        return "inactive", "Inactive"
    return ("active", "Active") if account.confirmed_at else ("unconfirmed", "Unconfirmed")
