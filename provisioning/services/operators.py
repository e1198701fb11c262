"""Who may do what concerns the whole installation. Knows no act."""

from uuid import UUID

from provisioning.decision.types import Actor
from provisioning.models import Identity


def is_operator(actor: Actor) -> bool:
    """A command, or an installation superuser who may sign in."""
    if actor.kind == "command":
        return True
    return (
        actor.kind == "identity"
        and Identity.objects.with_state().filter(pk=UUID(actor.id), is_superuser=True, enabled=True).exists()
    )
