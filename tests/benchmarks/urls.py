"""The hub's addresses and the yardstick's."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from identity_hub.core.clock import now
from provisioning.models import Account
from provisioning.selectors.tokens import connection_of


def bare(request: HttpRequest, account_id: UUID) -> HttpResponse:
    """A bare Django view: the token's look-up and one statement, answered as JSON."""
    caller = connection_of(request.headers["Authorization"].removeprefix("Bearer "), now())
    if caller is None:
        return HttpResponse(status=401)
    row = Account.objects.filter(tenant_id=caller.tenant_id, pk=account_id).values("id", "user_name").get()
    return JsonResponse({"id": str(row["id"]), "userName": row["user_name"]})


urlpatterns = [path("bare/<uuid:account_id>", bare), path("", include("identity_hub.urls"))]
