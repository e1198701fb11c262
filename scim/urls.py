"""Which view answers at which SCIM address. The names are django-scim2's, in its `scim` namespace."""

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, re_path

from scim import catalogue, views
from scim.resources import Resources
from scim.views import ResourceEndpoint

app_name = "scim"


def _any_case(name: str) -> str:
    """RFC 7644 writes the endpoints with capitals; clients do not always. `reverse` takes the first."""
    return "".join(f"[{letter}{letter.swapcase()}]" for letter in name)


_SEARCH = rf"\.{_any_case('search')}"


def _one(name: str) -> str:
    return rf"^{_any_case(name)}/?$"


def _entry(name: str) -> str:
    return rf"^{_any_case(name)}/(?P<uuid>[^/]+)/?$"


def _of_a_type(resources: Resources[Any]) -> Iterator[URLPattern]:
    name, view = resources.endpoint, ResourceEndpoint.as_view(resources=resources)
    search = views.SearchView.as_view(resources=resources)
    yield re_path(rf"^{_any_case(name)}/{_SEARCH}/?$", search, name=f"{name.lower()}-search")
    yield re_path(_one(name), view, name=name.lower())
    yield re_path(_entry(name), view, name=name.lower())


urlpatterns = [
    re_path(r"^$", views.RootView.as_view(), name="root"),
    re_path(rf"^{_SEARCH}/?$", views.SearchView.as_view(), name="search"),
    *(pattern for resources in catalogue.ALL for pattern in _of_a_type(resources)),
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
