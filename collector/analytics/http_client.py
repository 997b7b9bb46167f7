"""Floor 2. ClickHouse over its HTTP interface, by `requests`.

A request is `POST /?query=…` with the rows as its body; a status other than 200 has ClickHouse's
own words as its body. Redirects are not followed: rows go only to the configured URL.
"""

from __future__ import annotations

import msgspec
import requests

from collector.analytics.clickhouse import AnalyticsError
from collector.analytics.settings import AnalyticsConfig
from runtime import secret_file

# Of a row that ClickHouse refuses, its message quotes much.
_MESSAGE_CHARACTERS = 500
_FORMAT = "RowBinaryWithNamesAndTypes"
_decode_rows = msgspec.json.Decoder(list[list[int]]).decode
# What ClickHouse answers (X-ClickHouse-Exception-Code) where its tables are older than this
# version: NO_SUCH_COLUMN_IN_TABLE, UNKNOWN_TABLE, INCORRECT_DATA (other types), UNKNOWN_DATABASE.
_OF_ANOTHER_VERSION = {"16", "60", "81", "117"}


class HttpClient:
    """One connection, for one thread.

    Args:
        config: the server.

    Raises:
        AnalyticsError: the password cannot be read.
    """

    def __init__(self, config: AnalyticsConfig) -> None:
        self._config = config
        self._session = requests.Session()
        # Neither a proxy nor credentials from the environment (.netrc).
        self._session.trust_env = False
        self._session.verify = config.ca_file or True
        if config.username is not None and config.password_file is not None:
            try:
                password = secret_file.read_text(config.password_file)
            except (OSError, ValueError) as error:
                raise AnalyticsError(f"{config.password_file}: {error}") from error
            self._session.headers["X-ClickHouse-User"] = config.username
            self._session.headers["X-ClickHouse-Key"] = password

    def execute(self, sql: str) -> None:
        """See ClickHouse. The statement names its database itself."""
        self._post({}, sql.encode())

    def query(self, sql: str) -> list[list[int]]:
        """See ClickHouse."""
        settings = {
            "database": self._config.database,
            "default_format": "JSONCompactEachRow",
            "output_format_json_quote_64bit_integers": "0",
            "output_format_json_array_of_rows": "0",
        }
        if self._config.cluster:
            settings["select_sequential_consistency"] = "1"
        lines = self._post(settings, sql.encode()).split(b"\n")
        try:
            return _decode_rows(b"[" + b",".join(line for line in lines if line) + b"]")
        except msgspec.DecodeError as error:
            raise AnalyticsError(f"{self._config.url} is no ClickHouse: {error}") from error

    def insert(self, table: str, body: bytes, token: str | None) -> None:
        """See ClickHouse."""
        settings = {
            "database": self._config.database,
            "query": f"INSERT INTO {table} FORMAT {_FORMAT}",
            # It answers when the rows are in the table, not when they are in a queue.
            "async_insert": "0",
            "input_format_with_names_use_header": "1",
            "input_format_with_types_use_header": "1",
            # A column that the table lacks is an error: by default it is left out in silence.
            "input_format_skip_unknown_fields": "0",
        }
        if token is not None:
            settings |= {"insert_deduplicate": "1", "insert_deduplication_token": token}
        if self._config.cluster:
            settings |= {"distributed_foreground_insert": "1", "insert_quorum": "auto"}
        self._post(settings, body)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _post(self, parameters: dict[str, str], body: bytes) -> bytes:
        url, timeout_s = self._config.url, self._config.timeout_s
        try:
            answer = self._session.post(
                url, params=parameters, data=body, timeout=timeout_s, allow_redirects=False
            )
            content = answer.content
        except requests.Timeout as error:
            raise AnalyticsError(f"ClickHouse at {url}: no answer in {timeout_s:g} s") from error
        except (requests.RequestException, OSError, ValueError) as error:
            raise AnalyticsError(f"ClickHouse at {url}: {_cause(error)}") from error
        # An exception after the first rows comes with status 200.
        code = answer.headers.get("X-ClickHouse-Exception-Code")
        if answer.status_code == 200 and code is None:
            return content
        message = " ".join(content.decode("utf-8", "replace").split())[:_MESSAGE_CHARACTERS]
        if code in _OF_ANOTHER_VERSION:
            message += " (`tramdo-collector analytics create` makes this version's tables)"
        raise AnalyticsError(f"ClickHouse at {url} answered {answer.status_code}: {message}")


def _cause(error: BaseException) -> str:
    """What began a chain of exceptions: "Connection refused", not through whose hands it went."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return getattr(error, "strerror", None) or str(error)
