"""Floor 2. The HTTPS client of a box, which trusts the seed's authority only."""

from __future__ import annotations

from pathlib import Path

import requests

_TIMEOUT_S = 30
_LARGEST_RESPONSE_BYTES = 1_000_000


class FleetError(Exception):
    """The box cannot do it now; the text says what and what to do."""


class FleetClient:
    """A client of the centre at `url`; `ca_file` holds the authority that it trusts."""

    def __init__(self, url: str, ca_file: str) -> None:
        self._url, self._ca_file = url, ca_file

    def post(self, path: str, body: dict[str, str]) -> requests.Response:
        """POST; returns the response. FleetError for a status other than 200, or no response."""
        return require_success(self.ask("POST", path, body), path)

    def ask(self, method: str, path: str, body: dict[str, str] | None = None) -> requests.Response:
        """Send a request; returns any response. FleetError: none, or one that is too large."""
        url = f"{self._url}/v1/{path}"
        try:
            response = requests.request(
                method, url, json=body, timeout=_TIMEOUT_S, verify=self._ca_file, stream=True
            )
            content = response.raw.read(_LARGEST_RESPONSE_BYTES + 1, decode_content=True)
        except (requests.RequestException, OSError) as error:
            raise FleetError(f"no answer from {url}: {error}") from error
        if len(content) > _LARGEST_RESPONSE_BYTES:
            raise FleetError(f"the answer from {url} is too large")
        response._content = content  # noqa: SLF001 (read here, so that its size is bounded)
        return response

    def download(self, path: str, target: Path, limit_bytes: int) -> int:
        """GET a large file into `target`; returns how many bytes came.

        Ends early once more than `limit_bytes` have come. FleetError: a status other than 200, a
        connection that fails, or a file that cannot be written.
        """
        url = f"{self._url}/v1/{path}"
        size_bytes = 0
        try:
            with (
                requests.get(
                    url, timeout=_TIMEOUT_S, verify=self._ca_file, stream=True
                ) as response,
                target.open("wb") as file,
            ):
                require_success(response, path)
                for chunk in response.iter_content(65_536):
                    size_bytes += len(chunk)
                    if size_bytes > limit_bytes:
                        break
                    file.write(chunk)
        except (requests.RequestException, OSError) as error:
            raise FleetError(f"no file from {url}: {error}") from error
        return size_bytes


def require_success(response: requests.Response, what: str) -> requests.Response:
    """Return the response; FleetError for a status other than 200."""
    if response.status_code != 200:
        raise FleetError(
            f"the centre refused ({what}): HTTP {response.status_code}; its log says why"
        )
    return response
