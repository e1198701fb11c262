"""Which face answers at which address. Knows no view's inside; the probes answer before it (`probes`)."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

handler400 = "identity_hub.errors.bad_request"
handler403 = "identity_hub.errors.forbidden"
handler404 = "identity_hub.errors.not_found"
handler500 = "identity_hub.errors.server_error"

_faces = [
    ("scim/v2/", "scim.urls", "scim"),
    ("api/", "provisioning.api.urls", None),
    ("", "saml_sp.urls", "saml"),
]


def _exists(module):
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    *(path(p, include((m, n), namespace=n) if n else include(m)) for p, m, n in _faces if _exists(m)),
]
