"""Addresses of the operations API."""

from django.urls import include, path
from rest_framework.routers import DefaultRouter

from . import views

router = DefaultRouter()
router.APIRootView = views.Index
router.include_format_suffixes = False
# With and without: nothing redirects a program that wrote the other one.
router.trailing_slash = "/?"
router.register("identities", views.Identities)
router.register("accounts", views.Accounts)
router.register("findings", views.Findings)
router.register("runs", views.Runs)
router.register("runs/(?P<run>[^/.]+)/items", views.Items)
router.register("audit", views.Audit)
router.register("scim-requests", views.ScimRequests)

urlpatterns = [
    path("v1/", include(router.urls)),
    path("schema/", views.Schema.as_view(), name="schema"),
]
