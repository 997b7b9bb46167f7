"""Floor 3. The centre's HTTPS server for boxes: enrolment, renewal, variables, releases.

    POST /v1/enrol     {probe, token, csr}   -> {certificate, authority}     once for each token
    POST /v1/renew     {csr}                 -> {certificate, authority}     by the known key
    POST /v1/variables {csr}                 -> the box's variables (JSON), 404 where none
    GET  /v1/channel                         -> the signed channel
    GET  /v1/bundles/SHA256                  -> the release's bundle

A signing request proves possession of its key; where the register has a valid certificate of that
probe with that key, the client is authenticated as the probe. Responses are public (certificates)
or the box's own, so a replayed request gains nothing. No response discloses which names exist.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import anyio.to_thread
import msgspec
from msgspec import Meta, Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from deploy.authority import certificates, folder, register
from deploy.authority.authority import Authority, read_register
from deploy.authority.register import CertificateStatus, Purpose
from deploy.authority.rules import AuthorityError
from deploy.fleet import tokens
from deploy.fleet.tokens import TokenError
from wire.decoding import decode_json
from wire.record import Name

log = logging.getLogger(__name__)

LARGEST_REQUEST_BYTES = 16_384
_TOKENS_FILE = "enrolment.json"
# Tokens have 192 bits, so guessing needs no rate limit; this one bounds the log.
_LOGGED_REFUSALS_PER_MINUTE = 20


class EnrolRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A box's first request."""

    probe: Name
    token: Annotated[str, Meta(min_length=16, max_length=200)]
    csr: Annotated[str, Meta(max_length=8192)]


class SignedRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A request that is authenticated by the key of a valid certificate."""

    csr: Annotated[str, Meta(max_length=8192)]


class RefusedError(Exception):
    """A request is refused with this status; the text is logged, and not sent to the client."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def new_token(authority: Path, probe: str, now: datetime) -> str:
    """Issue an enrolment token for a probe; its earlier unused tokens become void.

    Raises:
        AuthorityError: the folder cannot be written.
        TokenError: its file of tokens is damaged.
    """
    token = secrets.token_urlsafe(24)
    with folder.locked(authority):
        known = tokens.with_token(_load_tokens(authority), probe, token, now)
        _save_tokens(authority, known)
    return token


class FleetServer:
    """Serves boxes. Files are read at each request: nothing is cached.

    Args:
        authority_path: the authority's folder; `enrolment.json` in it holds the tokens' hashes.
        passphrase: its key's, where it has one.
        releases: holds `channel.json` and `bundles/SHA256`.
        variables: holds a `PROBE.json` for each box (`tramdo-fleet variables`).
        now: the clock.
    """

    def __init__(
        self,
        authority_path: Path,
        passphrase: bytes | None,
        releases: Path,
        variables: Path,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._path = authority_path
        self._authority = Authority(authority_path, passphrase)
        self._releases = releases
        self._variables = variables
        self._now = now
        self._refusals: list[datetime] = []

    def app(self) -> Starlette:
        """The application, to be served over TLS by uvicorn."""
        return Starlette(
            routes=[
                Route("/v1/enrol", self._respond(self._enrol), methods=["POST"]),
                Route("/v1/renew", self._respond(self._renew), methods=["POST"]),
                Route("/v1/variables", self._respond(self._variables_of), methods=["POST"]),
                Route("/v1/channel", self._channel),
                Route("/v1/bundles/{sha256:str}", self._bundle),
            ]
        )

    def _respond(self, answer: Callable[[bytes], Response]) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            body = b""
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST_REQUEST_BYTES:
                    return JSONResponse({"error": "the request is too large"}, 413)
            try:
                return await anyio.to_thread.run_sync(answer, body)
            except (RefusedError, AuthorityError, TokenError, msgspec.MsgspecError) as error:
                status = error.status if isinstance(error, RefusedError) else 403
                self._log_refusal(request.url.path, error)
                return JSONResponse({"error": "refused: ask the centre, its log says why"}, status)

        return endpoint

    def _log_refusal(self, path: str, error: Exception) -> None:
        now = self._now()
        self._refusals = [at for at in self._refusals if (now - at).total_seconds() < 60]
        self._refusals.append(now)
        if len(self._refusals) <= _LOGGED_REFUSALS_PER_MINUTE:
            log.warning("refused %s: %s", path, error)

    def _enrol(self, body: bytes) -> Response:
        request = decode_json(body, EnrolRequest)
        csr = certificates.read_request(request.csr.encode())
        if csr.name != request.probe:
            raise RefusedError(403, f"{request.probe} sent a request for {csr.name}")
        with folder.locked(self._path):
            known, again = tokens.redeemed(
                _load_tokens(self._path), request.probe, request.token, csr.key_sha256, self._now()
            )
            # Marked as used before the response is sent: a token is valid once, whatever follows.
            _save_tokens(self._path, known)
        if again and (path := self._path / "probes" / f"{csr.name}.pem").exists():
            log.info("%s fetched its certificate again", csr.name)
            return self._certificate(path)
        held = register.certificates_of(read_register(self._path), csr.name)
        act = self._authority.renew if held else self._authority.sign
        path = act(request.csr.encode(), self._now())
        log.info("enrolled %s", csr.name)
        return self._certificate(path)

    def _renew(self, body: bytes) -> Response:
        request = decode_json(body, SignedRequest)
        name = self._authenticated(request.csr)
        path = self._authority.renew(request.csr.encode(), self._now())
        log.info("renewed %s", name)
        return self._certificate(path)

    def _variables_of(self, body: bytes) -> Response:
        name = self._authenticated(decode_json(body, SignedRequest).csr)
        path = self._variables / f"{name}.json"
        if not path.is_file():
            raise RefusedError(404, f"there are no variables for {name} in {self._variables}")
        return Response(path.read_bytes(), media_type="application/json")

    def _authenticated(self, csr: str) -> str:
        request = certificates.read_request(csr.encode())
        for issued in register.certificates_of(read_register(self._path), request.name):
            if (
                issued.purpose is Purpose.PROBE
                and issued.key_sha256 == request.key_sha256
                and issued.standing(self._now()) is CertificateStatus.VALID
            ):
                return request.name
        raise RefusedError(403, f"no valid certificate of {request.name} has this key")

    def _certificate(self, path: Path) -> Response:
        return JSONResponse(
            {
                "certificate": folder.read(path).decode(),
                "authority": folder.read(self._path / "ca.pem").decode(),
            }
        )

    async def _channel(self, _request: Request) -> Response:
        path = self._releases / "channel.json"
        if not path.is_file():
            return JSONResponse({"error": "no release has been published yet"}, 404)
        return FileResponse(path, media_type="application/json")

    async def _bundle(self, request: Request) -> Response:
        name = str(request.path_params["sha256"])
        path = self._releases / "bundles" / name
        if not (len(name) == 64 and name.isalnum() and path.is_file()):
            return JSONResponse({"error": "no such bundle"}, 404)
        return FileResponse(path, media_type="application/gzip")


def _load_tokens(authority: Path) -> tokens.Tokens:
    path = authority / _TOKENS_FILE
    return tokens.decode(folder.read(path)) if path.exists() else tokens.Tokens()


def _save_tokens(authority: Path, known: tokens.Tokens) -> None:
    folder.write(authority / _TOKENS_FILE, tokens.encode(known), folder.SECRET)
