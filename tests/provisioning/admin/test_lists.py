"""Lists of any length: their first rows are counted, and the rest is said to be there."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from provisioning.admin.lists import Counted
from provisioning.models import Identity

from ..cast import House, push, user
from .scene import Scene


class Short(Counted):
    most = 3


@pytest.fixture
def crowd(acme: House) -> list[Identity]:
    for number in range(5):
        push(acme, user(f"crowd{number}@{acme.domain}", f"c-{number}"))
    return list(Identity.objects.order_by("user_name_key"))


def listed(most: type[Counted] = Short) -> Counted:
    return most(Identity.objects.order_by("user_name_key"), 2)


class TestCounted:
    def test_the_first_are_counted_and_the_rest_is_there(self, crowd: list[Identity]) -> None:
        assert (listed().count, listed().is_longer, listed().num_pages) == (3, True, 2)

    def test_a_short_list_is_counted_to_its_end(self, crowd: list[Identity]) -> None:
        paginator = listed(Counted)
        assert (paginator.count, paginator.is_longer) == (len(crowd), False)

    def test_pages_keep_the_order(self, crowd: list[Identity]) -> None:
        paginator = listed()
        assert [list(paginator.page(number)) for number in (1, 2)] == [crowd[:2], crowd[2:3]]

    def test_a_page_costs_two_statements(self, crowd: list[Identity]) -> None:
        with CaptureQueriesContext(connection) as queries:
            list(listed().page(2))
        assert len(queries) == 2


def test_a_list_that_is_short_says_how_many(admin: Client, ours: Scene) -> None:
    text = admin.get("/admin/provisioning/connection/").content.decode()
    assert "2 connections" in " ".join(text.split())
    assert "more than" not in text
