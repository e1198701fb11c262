"""Certificates that somebody else gave: whatever stands in one, it is read, or it is said that it cannot be."""

import base64

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from identity_hub.core import certificates
from identity_hub.core.certificates import Unreadable
from tests.saml_sp.idp import key_pair

DER = load_pem_x509_certificate(key_pair("corp").certificate).public_bytes(Encoding.DER)
VERSION = DER.index(bytes.fromhex("a003020102")) + 4
NAME = DER.rindex(b"corp")
NAME_TYPE = DER.rindex(bytes.fromhex("0603550403")) + 5


def text_of(der: bytes) -> str:
    return base64.encodebytes(der).decode()


def pem_of(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{text_of(der)}-----END CERTIFICATE-----\n"


def with_byte(at: int, value: int) -> bytes:
    return DER[:at] + bytes([value]) + DER[at + 1 :]


UNREADABLE = {
    "a version that X.509 does not know": with_byte(VERSION, 1),
    "a version far beyond": with_byte(VERSION, 0x7F),
    "a subject that is no UTF-8": with_byte(NAME, 0xFF),
    "a subject of a type that names do not have": with_byte(NAME_TYPE, 0x03),
    "an end after its half": DER[: len(DER) // 2],
    "nothing": b"",
    "no certificate": b"hello",
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_certificate_is_unreadable_with(what: str) -> None:
    with pytest.raises(Unreadable):
        certificates.from_text(text_of(UNREADABLE[what]))
    with pytest.raises(Unreadable):
        certificates.from_pem(pem_of(DER) + pem_of(UNREADABLE[what]))


@pytest.mark.parametrize("text", ["ünï", "AAA", "!", "", "-----BEGIN CERTIFICATE-----"])
def test_a_text_is_unreadable_like(text: str) -> None:
    with pytest.raises(Unreadable):
        certificates.from_text(text)
    with pytest.raises(Unreadable):
        certificates.from_pem(text)


# A serial number below nought is read, with a warning.
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_whatever_byte_is_changed_the_certificate_is_read_or_unreadable() -> None:
    read = unreadable = 0
    for at, before in enumerate(DER):
        for value in {0x00, 0x01, 0x03, 0x09, 0x1E, 0x30, 0x7F, 0x80, 0xFF, before ^ 1, before ^ 0x20}:
            try:
                certificates.from_text(text_of(with_byte(at, value)))
                read += 1
            except Unreadable:
                unreadable += 1
    assert min(read, unreadable) > 500


def test_the_same_certificate_reads_the_same_in_both_forms() -> None:
    one = certificates.from_text(text_of(DER))
    assert certificates.from_pem(pem_of(DER)) == (one,)
    assert (one.subject, one.ends.year) == ("CN=corp", 2119)
