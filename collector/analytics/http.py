"""Floor 2. ClickHouse over its HTTP interface, by `requests`.

A request is `POST /?query=…` with the rows as its body. Redirects are not followed: rows go only to
the configured URL.
"""

from __future__ import annotations

_ANSWER_CHARACTERS = 500
