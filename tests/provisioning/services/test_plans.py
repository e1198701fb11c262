"""A batch's facts are found by the indexes of its keys, whatever the statistics say of a connection being filled."""

from typing import Any

import pytest
from django.db import connection as database

from identity_hub.core.ids import new_ids
from provisioning import load, sql
from provisioning.decision.types import Intent
from provisioning.services import submit_many

from ..cast import House, pushed, user

pytestmark = pytest.mark.django_db

PROBED = {
    "account_email_keys": "provisioning_account",
    "account_external_id_once": "provisioning_account",
    "account_asserted_key": "provisioning_account",
    "account_user_name_once": "provisioning_account",
    "account_subject_once": "provisioning_account",
    "account_looks_like": "provisioning_account",
    "account_unique_keys": "provisioning_account",
    "provisioning_account_pkey": "provisioning_account",
    "identity_email": "provisioning_identity",
}
ASKED = 1000


def fill(where: House, number: int) -> None:
    for start in range(0, number, 500):
        submit_many(
            [
                pushed(where, Intent.CREATE, user(f"p{n}@{where.domain}", f"k{n}"))
                for n in range(start, start + 500)
            ]
        )


def explained(where: House) -> list[dict[str, Any]]:
    """Every node that reads accounts or identities, as the statements were really run."""
    names = [f"q{n}@{where.domain}" for n in range(ASKED)]
    asked = {
        "tenant": where.tenant.pk,
        "connections": [where.connection.pk],
        "ids": sql.ids(new_ids(ASKED)),
        "external_ids": sql.array([f"q{n}" for n in range(ASKED)]),
        "names": sql.array(names),
        "skeletons": sql.array(names),
        "other_skeletons": sql.array(names),
        "emails": sql.array(names),
        "issuers": ["https://idp.example"] * ASKED,
        "subjects": [f"s{n}" for n in range(ASKED)],
        "hr_numbers": sql.array([]),
        "keys": names,
    }
    nodes: list[dict[str, Any]] = []

    def walk(node: dict[str, Any]) -> None:
        if node.get("Relation Name") in PROBED.values() or "Index Name" in node:
            nodes.append(node)
        for inner in node.get("Plans", ()):
            walk(inner)

    several = {**asked, "connections": [where.connection.pk] * ASKED}
    for statement, values in ((load._MATCHES, asked), (load._CANDIDATES, asked), (load._HOLDERS, several)):
        (plan,) = sql.rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values, prepared=False)
        walk(plan[0][0]["Plan"])
    return nodes


@pytest.mark.parametrize("others", [20, 500])
def test_each_key_is_one_probe_of_its_index(acme: House, globex: House, others: int) -> None:
    """All that PostgreSQL has looked at belongs to somebody else, so that of the next one it knows nothing."""
    submit_many([pushed(globex, Intent.CREATE, user(f"p{n}@globex.example", f"k{n}")) for n in range(others)])
    with database.cursor() as cursor:
        cursor.execute("ANALYZE provisioning_account, provisioning_identity")
    fill(acme, 1500)
    probe_the_keys_alone(acme)


@pytest.mark.parametrize("index", [name for name in PROBED if name.startswith("account_")])
def test_no_other_index_takes_a_connection_for_a_key(acme: House, index: str) -> None:
    """PostgreSQL 18 enters an index by its second column, too. What it knows of a table that nobody has analysed can
    make that look better than the index of the keys."""
    with database.cursor() as cursor:
        cursor.execute(f"DROP INDEX {index}")
        cursor.execute("SET LOCAL enable_seqscan = off")
    nodes = explained(acme)
    assert index not in {node.get("Index Name") for node in nodes}
    assert not [node for node in nodes if "(connection_id = " in node.get("Index Cond", "")]


def probe_the_keys_alone(where: House) -> None:
    nodes = explained(where)
    used = {node["Index Name"] for node in nodes if "Index Name" in node}
    assert used >= PROBED.keys(), nodes
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan"]
    # Rows that were read to be thrown away.
    assert sum(node.get("Rows Removed by Filter", 0) * node["Actual Loops"] for node in nodes) == 0
