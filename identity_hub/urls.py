"""Which face answers at which address. Knows no view's inside; the probes answer before it (`probes`)."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from scim import oauth
from scim.views import RootView

handler400 = "identity_hub.errors.bad_request"
handler403 = "identity_hub.errors.forbidden"
handler404 = "identity_hub.errors.not_found"
handler500 = "identity_hub.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("scim/oauth/token", oauth.token, name="scim-token"),
    path("scim/v2", RootView.as_view()),
    path("scim/v2/", include(("scim.urls", "scim"), namespace="scim")),
    path("api/", include("provisioning.api.urls")),
    path("admin/", admin.site.urls),
    path("", include("saml_sp.urls")),
    # People type these by hand. Programs' addresses never redirect: it would lose the body of a POST.
    *(
        path(name, RedirectView.as_view(url=f"/{name}/", query_string=True))
        for name in ("admin", "login", "logout", "me")
    ),
]
