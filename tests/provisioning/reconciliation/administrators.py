"""Two people who may release a run. Knows no run."""

from uuid import UUID

from provisioning.decision.types import Actor
from provisioning.models import Identity, Tenant

ADA, BOB = (Actor(kind="identity", id=str(UUID(int=number))) for number in (1, 2))


def appoint(tenant: Tenant) -> None:
    for actor, name in ((ADA, "ada"), (BOB, "bob")):
        Identity.objects.create(
            pk=UUID(actor.id), tenant=tenant, local=True, is_tenant_administrator=True, login_name=name
        )
