"""A real DNS server on loopback, whose zone a test writes: UDP, and TCP for what does not fit. Knows no hub."""

import errno
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@dataclass
class Zone:
    """What the server says, by name in lower case. A name that is not here does not exist."""

    address: tuple[str, int]
    texts: dict[str, list[str]] = field(default_factory=dict)
    """Each text as a zone file writes it: one or more strings in quotes. Empty: the name has no TXT record."""
    aliases: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    fails: bool = False
    asked: list[str] = field(default_factory=list)

    def answer(self, wire: bytes, *, may_truncate: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        name = str(query.question[0].name).lower().rstrip(".")
        self.asked.append(name)
        if self.silent:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if self.fails:
            response.set_rcode(dns.rcode.SERVFAIL)
            return response.to_wire()
        if alias := self.aliases.get(name):
            response.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "CNAME", f"{alias}."))
            name = alias
        if name not in self.texts:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif self.texts[name] and query.question[0].rdtype == dns.rdatatype.TXT:
            response.answer.append(dns.rrset.from_text_list(f"{name}.", 60, "IN", "TXT", self.texts[name]))
        whole = response.to_wire(max_size=65535)
        if may_truncate and len(whole) > 512:
            response.answer.clear()
            response.flags |= dns.flags.TC
            return response.to_wire()
        return whole


@contextmanager
def serving() -> Iterator[Zone]:
    """A zone that answers at `zone.address` until the block ends."""

    class Datagram(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, sock = self.request
            if answer := zone.answer(wire, may_truncate=True):
                sock.sendto(answer, self.client_address)

    class Stream(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            # RFC 1035 4.2.2: two octets of length go before each message.
            wire = self.rfile.read(int.from_bytes(self.rfile.read(2)))
            if answer := zone.answer(wire, may_truncate=False):
                self.wfile.write(len(answer).to_bytes(2) + answer)

    udp, tcp = _on_one_port(Datagram, Stream)
    zone = Zone(address=udp.server_address)
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,)) for server in (udp, tcp)]
    for thread in threads:
        thread.start()
    try:
        yield zone
    finally:
        for server in (udp, tcp):
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()


def _on_one_port(datagram: Any, stream: Any) -> tuple[Any, Any]:
    """A port that is free for UDP may be taken for TCP: then another one is looked for."""
    while True:
        udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), datagram)
        try:
            return udp, socketserver.ThreadingTCPServer(udp.server_address, stream)
        except OSError as error:
            udp.server_close()
            if error.errno != errno.EADDRINUSE:
                raise
