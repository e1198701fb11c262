"""The hub's addresses and the yardsticks' (`tests.benchmarks.bare`)."""

from django.urls import include, path

from tests.benchmarks import bare

urlpatterns = [*bare.urlpatterns, path("", include("identity_hub.urls"))]
