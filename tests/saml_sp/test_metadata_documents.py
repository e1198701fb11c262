"""Whatever metadata is taken, a login begins with it, a sign-out too, and an IdP's sign-out is answered."""

import random
from collections import Counter
from copy import deepcopy

import pytest
from lxml import etree

from identity_hub.core.clock import now
from provisioning.idp_metadata import Unusable, describe, require_usable
from provisioning.models import Connection
from saml_sp import client
from saml_sp.assertion import NameId

from .idp import PERSISTENT, TestIdp

DOCUMENTS = 150
SEED = 7
NAME = NameId(value="p-4711", format=PERSISTENT, qualifier="", sp_qualifier="")
# As the products write them.
BEFORE_THE_KEYS = (
    "<md:Extensions><x:Scope xmlns:x='urn:mace:shibboleth:metadata:1.0'>corp</x:Scope></md:Extensions>"
)
BEHIND_THE_ROLE = (
    "<md:Organization><md:OrganizationName xml:lang='en'>Corp</md:OrganizationName>"
    "<md:OrganizationDisplayName xml:lang='en'>Corp</md:OrganizationDisplayName>"
    "<md:OrganizationURL xml:lang='en'>https://corp.example</md:OrganizationURL></md:Organization>"
    "<md:ContactPerson contactType='technical'>"
    "<md:EmailAddress>mailto:it@corp.example</md:EmailAddress></md:ContactPerson>"
)
BEFORE_SIGN_OUT = (
    "<md:ArtifactResolutionService index='0' Binding='urn:oasis:names:tc:SAML:2.0:bindings:SOAP' "
    "Location='https://idp.example/artifact'/>"
)
BEFORE_SIGN_IN = "<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>"


def rich(document: str) -> str:
    first, rest = document.split("<md:KeyDescriptor", 1)
    document = f"{first}{BEFORE_THE_KEYS}<md:KeyDescriptor{rest}"
    for before, more in (
        ("<md:SingleLogoutService", BEFORE_SIGN_OUT),
        ("<md:SingleSignOnService", BEFORE_SIGN_IN),
        ("</md:EntityDescriptor>", BEHIND_THE_ROLE),
    ):
        document = document.replace(before, more + before)
    return document


def changed(document: str, dice: random.Random) -> str:
    """One or two things are missing, empty, otherwise or there twice."""
    root = etree.fromstring(document.encode())
    for _ in range(dice.randint(1, 2)):
        node = dice.choice([one for one in root.iter() if one is not root])
        match dice.choice(["unset", "set", "text", "gone", "twice"]):
            case "unset" if node.attrib:
                node.attrib.pop(dice.choice(list(node.attrib)))
            case "set" if node.attrib:
                node.set(dice.choice(list(node.attrib)), dice.choice(["", " ", "x", "urn:x", "https://a b"]))
            case "text":
                node.text = dice.choice(["", "x", None])
            case "gone":
                node.getparent().remove(node)
            case "twice":
                node.addnext(deepcopy(node))
    return etree.tostring(root, encoding="unicode")


@pytest.mark.django_db
def test_with_whatever_is_taken_everything_can_be_asked(connection: Connection, idp: TestIdp) -> None:
    dice, whole = random.Random(SEED), rich(idp.metadata())
    met: Counter[str] = Counter()
    for number in range(DOCUMENTS):
        document = changed(whole, dice)
        try:
            require_usable(found := describe(document), now())
        except Unusable:
            met["refused"] += 1
            continue
        connection.idp_metadata, connection.idp_entity_id = document, found.entity_id
        connection.config_version = 1000 + number
        try:
            assert client.start_login(connection).id
            client.start_logout(connection, NAME, "")
            client.logout_answer(connection, "_1", "")
            met["taken"] += 1
        except client.NotConfigured as error:
            pytest.fail(f"{number} of {SEED}: {error.detail}\n{document}")
        except Exception as error:
            raise AssertionError(f"{number} of {SEED}\n{document}") from error
    assert min(met["refused"], met["taken"]) > DOCUMENTS // 5, met
