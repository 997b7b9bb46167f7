"""Floor 1. Wraps dnspython's messages: a question to bytes, bytes to an answer (RFC 1035).

Bytes in, values out. An answer counts only with our number and our question (RFC 5452 §9.1);
whether it came from the resolver is the socket's to say. Opens no socket.
"""

from __future__ import annotations

from enum import Enum, auto

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
from msgspec import Struct

# DNS flag day 2020: an answer that fits every path unfragmented.
_UDP_PAYLOAD_BYTES = 1232
# RFC 1035 §4.1.1: TC in the header's third octet.
_TRUNCATED_BIT = 0x02


class BadNameError(ValueError):
    """A text is no name that can be asked for."""


class DnsDiscard(Enum):
    """A packet that is not the answer to our question."""

    MALFORMED = auto()
    FORGED = auto()


class DnsQuestion(Struct, frozen=True):
    """What is asked: a name, a type in letters, and the number that the answer must bear."""

    name: str
    record_type: str
    number: int


class DnsAnswer(Struct, frozen=True):
    """What a resolver said. `addresses` are of the asked type, whatever aliases led there."""

    rcode: str
    truncated: bool
    answers: int
    addresses: tuple[str, ...]


def encode_question(question: DnsQuestion) -> bytes:
    """A recursive query with EDNS.

    Raises:
        BadNameError: the name breaks the rules of RFC 1035.
    """
    return _query(question).to_wire()


def decode_answer(packet: bytes, question: DnsQuestion) -> DnsAnswer | DnsDiscard:
    """The answer to a question, or why a packet is none."""
    # A truncated answer is to be asked for again: where it was cut is of no interest.
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
    # dnspython's own, and what it lets through for some malformed records.
    except (dns.exception.DNSException, ValueError, IndexError, KeyError):
        return DnsDiscard.MALFORMED


def _query(question: DnsQuestion) -> dns.message.QueryMessage:
    try:
        return dns.message.make_query(
            question.name,
            question.record_type,
            use_edns=0,
            payload=_UDP_PAYLOAD_BYTES,
            id=question.number,
        )
    except dns.exception.DNSException as error:
        raise BadNameError(f"{question.name!r} cannot be asked for: {error}") from error
