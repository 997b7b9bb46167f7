"""Floor 2. What a box asks of the centre over HTTPS, whom the seed's authority vouches for."""

from __future__ import annotations

import requests

_TIMEOUT_S = 30
_LARGEST_RESPONSE_BYTES = 1_000_000


class FleetError(Exception):
    """The box cannot do it now; the text says what and what to do."""


class FleetClient:
    """The centre at `url`, whose certificate the authority in `ca_file` has signed."""

    def __init__(self, url: str, ca_file: str) -> None:
        self._url, self._ca_file = url, ca_file

    def post(self, path: str, body: dict[str, str]) -> requests.Response:
        """The answer to what was posted; FleetError where it is a refusal, or there is none."""
        return require_success(self.ask("POST", path, body), path)

    def ask(self, method: str, path: str, body: dict[str, str] | None = None) -> requests.Response:
        """Any answer; FleetError where there is none, or one that is too large."""
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

    def stream(self, path: str) -> requests.Response:
        """A large file's answer, to be read bit by bit; `requests`' own errors pass."""
        return requests.get(
            f"{self._url}/v1/{path}", timeout=_TIMEOUT_S, verify=self._ca_file, stream=True
        )


def require_success(response: requests.Response, what: str) -> requests.Response:
    """The same answer, unless it is a refusal (FleetError)."""
    if response.status_code != 200:
        raise FleetError(
            f"the centre refused ({what}): HTTP {response.status_code}; its log says why"
        )
    return response
