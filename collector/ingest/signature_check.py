"""Floor 2. Checks the signatures of a batch by the certificates that probes have published.

A certificate counts when an authority of the tenant issued it for the probe whose topic it came on.
It is stored with the batch, so that a centre that is started anew knows it.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Sequence

from msgspec import structs

from collector.ingest.signatures import Claim, claims_of, outcomes, with_outcomes
from collector.store.messages import (
    ProbeCertificate,
    ResultsMessage,
    SignatureOutcome,
    StatusMessage,
    ValidatedMessage,
)
from collector.store.store import StoreError
from runtime.signing_certificate import Authorities, CertificateError, SigningCertificate
from wire.messages import Info

log = logging.getLogger(__name__)

# Of a nation's probes all fit; beyond it they are read from the store again.
_MOST_PROBES = 20_000
_ProbeKey = tuple[str, str]


class SignatureCheck:
    """Checks signatures. For one thread at a time.

    Args:
        authority_pem: the certificates of the authorities that count; empty: none is known.
        stored: the certificates of a probe (tenant, name) that the store has; may raise StoreError.
    """

    def __init__(
        self, authority_pem: bytes, stored: Callable[[str, str], Sequence[ProbeCertificate]]
    ) -> None:
        self._authorities = _authorities(authority_pem)
        self._stored = stored
        self._known: dict[_ProbeKey, dict[str, SigningCertificate]] = {}

    def checked(self, validated: Sequence[ValidatedMessage]) -> list[ValidatedMessage]:
        """The messages with the outcome of each signature, and with certificates that count."""
        # Certificates first: an `info` may come behind the results of its connection.
        found = [self._with_certificate(message) for message in validated]
        signed = {
            place: claims_of(message)
            for place, message in enumerate(found)
            if isinstance(message, ResultsMessage) and message.signatures
        }
        if not signed:
            return found
        claims = [claim for some in signed.values() for claim in some]
        results = iter(outcomes(claims, self._verify))
        for place, some in signed.items():
            message = found[place]
            assert isinstance(message, ResultsMessage)
            found[place] = with_outcomes(message, [next(results) for _ in some])
        return found

    def _with_certificate(self, message: ValidatedMessage) -> ValidatedMessage:
        match message:
            case StatusMessage(tenant, probe, message=Info(certificate=str() as text)):
                pass
            case _:
                return message
        certificate = self._accepted(tenant, probe, text)
        if certificate is None:
            return message
        self._certificates(tenant, probe)[certificate.key] = certificate
        return structs.replace(
            message,
            certificate=ProbeCertificate(
                certificate.key, certificate.der, certificate.begins, certificate.ends
            ),
        )

    def _accepted(self, tenant: str, probe: str, text: str) -> SigningCertificate | None:
        if self._authorities is None:
            return None
        try:
            certificate = SigningCertificate(base64.b64decode(text, validate=True))
            certificate.require_issued_by(self._authorities, probe)
        except ValueError as error:
            log.warning("the certificate of %s/%s does not count: %s", tenant, probe, error)
            return None
        return certificate

    def _verify(self, claim: Claim) -> SignatureOutcome:
        message = claim.message
        known = self._certificates(message.tenant, message.probe)
        certificate = known.get(claim.block.key)
        if certificate is None or not certificate.is_in_force(claim.times):
            return SignatureOutcome.UNKNOWN_KEY
        if certificate.verifies(claim.text, claim.block.signature):
            return SignatureOutcome.CHECKED
        log.error(
            "results %d to %d of %s/%s (%s) are not what the probe signed",
            claim.block.first,
            claim.block.last,
            message.tenant,
            message.probe,
            message.epoch,
        )
        return SignatureOutcome.MISMATCH

    def _certificates(self, tenant: str, probe: str) -> dict[str, SigningCertificate]:
        known = self._known.get((tenant, probe))
        if known is None:
            try:
                stored = self._stored(tenant, probe)
            except StoreError:
                # Asked again with the next signature; until then they are not checked.
                return {}
            known = {one.key: SigningCertificate(one.der) for one in stored}
            if len(self._known) >= _MOST_PROBES:
                self._known.clear()
            self._known[tenant, probe] = known
        return known


def _authorities(pem: bytes) -> Authorities | None:
    try:
        return Authorities(pem) if pem else None
    except CertificateError as error:
        log.warning("no signature can be checked: %s", error)
        return None
