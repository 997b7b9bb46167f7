"""Floor 1. Wraps dnspython's messages: encodes queries and decodes answers (RFC 1035).

An answer is accepted only with the query's ID and question (RFC 5452 §9.1); the socket checks the
source address. Opens no socket.
"""

from __future__ import annotations

from enum import Enum, auto

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
from msgspec import Struct

# DNS flag day 2020: an answer of this size is not fragmented on any usual path.
UDP_PAYLOAD_BYTES = 1232
# RFC 1035 §4.1.1: TC in the header's third octet.
_TRUNCATED_BIT = 0x02


class BadNameError(ValueError):
    """A text is not a valid domain name."""


class DnsDiscard(Enum):
    """Why a received packet is discarded."""

    MALFORMED = auto()
    FORGED = auto()


class DnsQuestion(Struct, frozen=True):
    """A DNS question: name, record type, and the ID that the answer must have."""

    name: str
    record_type: str
    number: int


class DnsAnswer(Struct, frozen=True):
    """A resolver's answer. `addresses` are of the asked type, also those behind CNAMEs."""

    rcode: str
    truncated: bool
    answers: int
    addresses: tuple[str, ...]


def encode_question(question: DnsQuestion, *, edns: bool = True) -> bytes:
    """A recursive query, with EDNS (RFC 6891) or without.

    Raises:
        BadNameError: the name breaks the rules of RFC 1035.
    """
    return _query(question, edns=edns).to_wire()


def decode_answer(packet: bytes, question: DnsQuestion) -> DnsAnswer | DnsDiscard:
    """The answer to a question, or why the packet is discarded."""
    # A truncated answer is asked for again over TCP, so only its question is read.
    cut = len(packet) > 2 and bool(packet[2] & _TRUNCATED_BIT)
    try:
        message = dns.message.from_wire(packet, ignore_trailing=True, question_only=cut)
        if not _query(question).is_response(message):
            return DnsDiscard.FORGED
        wanted = dns.rdatatype.from_text(question.record_type)
        records = [record for found in message.answer for record in found]
        return DnsAnswer(
            rcode=dns.rcode.to_text(message.rcode()),
            truncated=bool(message.flags & dns.flags.TC),
            answers=len(records),
            addresses=tuple(str(r) for r in records if r.rdtype == wanted),
        )
    # dnspython's own errors, and those that it does not catch for some malformed records.
    except (dns.exception.DNSException, ValueError, IndexError, KeyError):
        return DnsDiscard.MALFORMED


def _query(question: DnsQuestion, *, edns: bool = True) -> dns.message.QueryMessage:
    try:
        return dns.message.make_query(
            question.name,
            question.record_type,
            use_edns=0 if edns else False,
            payload=UDP_PAYLOAD_BYTES if edns else None,
            id=question.number,
        )
    except dns.exception.DNSException as error:
        raise BadNameError(f"{question.name!r} cannot be asked for: {error}") from error
