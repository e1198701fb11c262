"""What is exported opens in a spreadsheet without running anything."""

import csv
import io

import pytest
from django.test import Client

from provisioning.admin.export import cell
from provisioning.models import Account, ReconciliationItem

from .scene import Scene


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_would_run_is_only_text(first: str) -> None:
    assert cell(f"{first}HYPERLINK()") == f"'{first}HYPERLINK()"
    assert cell(f" {first}x") == f"' {first}x"


def test_other_cells_are_as_they_are() -> None:
    assert [cell(value) for value in ("a=b", 7, None, True, "")] == ["a=b", "7", "", "True", ""]


def rows(response: object) -> list[dict[str, str]]:
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(text)))


def test_the_items_of_a_run_as_filtered(admin: Client, ours: Scene) -> None:
    item = ReconciliationItem.objects.filter(run=ours.run, account__isnull=False).first()
    Account.objects.filter(pk=item.account_id).update(user_name='=cmd|" /C calc"!A0')
    address = "/admin/provisioning/reconciliationitem/export/"
    response = admin.get(address, {"run__id__exact": str(ours.run.pk)})
    assert response["Content-Disposition"] == 'attachment; filename="reconciliationitem.csv"'
    exported = rows(response)
    assert len(exported) == ReconciliationItem.objects.filter(run=ours.run).count()
    assert '\'=cmd|" /C calc"!A0' in {row["user_name"] for row in exported}
    planned = rows(admin.get(address, {"run__id__exact": str(ours.run.pk), "status__exact": "planned"}))
    assert {row["status"] for row in planned} == {"planned"}


def test_the_audit_of_one_person(admin: Client, ours: Scene) -> None:
    exported = rows(admin.get("/admin/provisioning/auditrecord/export/", {"identity_id": str(ours.held.pk)}))
    assert {row["identity"] for row in exported} == {str(ours.held.pk)}
    assert "account:disabled" in {row["reason"] for row in exported}
