"""Which view answers at which SCIM address. The names are django-scim2's, in its `scim` namespace."""

from django.urls import re_path

from scim import conformance, views
from scim.data_resources import TEST_RESOURCES
from scim.entitlements import ENTITLEMENTS, ROLES
from scim.groups import GROUPS
from scim.users import USERS
from scim.views import ConformanceEndpoint, ResourceEndpoint

app_name = "scim"


def _any_case(name: str) -> str:
    """RFC 7644 writes the endpoints with capitals; clients do not always. `reverse` takes the first."""
    return "".join(f"[{letter}{letter.swapcase()}]" for letter in name)


def _one(name: str) -> str:
    return rf"^{_any_case(name)}/?$"


def _entry(name: str) -> str:
    return rf"^{_any_case(name)}/(?P<uuid>[^/]+)/?$"


urlpatterns = [
    re_path(r"^$", views.NotFoundView.as_view(), name="root"),
    re_path(r"^\.search$", views.NotImplementedView.as_view(), name="search"),
    re_path(rf"^{_any_case('Users')}/\.search$", views.NotImplementedView.as_view(), name="users-search"),
    re_path(rf"^{_any_case('Groups')}/\.search$", views.NotImplementedView.as_view(), name="groups-search"),
    re_path(_one("Users"), ResourceEndpoint.as_view(resources=USERS), name="users"),
    re_path(_entry("Users"), ResourceEndpoint.as_view(resources=USERS), name="users"),
    re_path(_one("Groups"), ResourceEndpoint.as_view(resources=GROUPS), name="groups"),
    re_path(_entry("Groups"), ResourceEndpoint.as_view(resources=GROUPS), name="groups"),
    re_path(_one("Roles"), ResourceEndpoint.as_view(resources=ROLES)),
    re_path(_entry("Roles"), ResourceEndpoint.as_view(resources=ROLES)),
    re_path(_one("Entitlements"), ResourceEndpoint.as_view(resources=ENTITLEMENTS)),
    re_path(_entry("Entitlements"), ResourceEndpoint.as_view(resources=ENTITLEMENTS)),
    re_path(_one(conformance.ENDPOINT), ConformanceEndpoint.as_view(resources=TEST_RESOURCES)),
    re_path(_entry(conformance.ENDPOINT), ConformanceEndpoint.as_view(resources=TEST_RESOURCES)),
    re_path(_one("Me"), views.MeView.as_view(), name="me"),
    re_path(
        _one("ServiceProviderConfig"),
        views.ServiceProviderConfigView.as_view(),
        name="service-provider-config",
    ),
    re_path(_one("ResourceTypes"), views.ResourceTypesView.as_view(), name="resource-types"),
    re_path(_entry("ResourceTypes"), views.ResourceTypesView.as_view(), name="resource-types"),
    re_path(_one("Schemas"), views.SchemasView.as_view(), name="schemas"),
    re_path(_entry("Schemas"), views.SchemasView.as_view(), name="schemas"),
    re_path(_one("Bulk"), views.BulkView.as_view(), name="bulk"),
    re_path(r"^.*$", views.NotFoundView.as_view()),
]
