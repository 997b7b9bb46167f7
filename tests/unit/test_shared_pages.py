"""Pages that are rendered once for all who are not signed in."""

from __future__ import annotations

import re
import time
from pathlib import Path

from starlette.requests import Request

from collector.users.user_store import UserStore
from collector.web.page_context import PageContext

_AS_OF = re.compile(r"Số liệu lúc ([0-9:]+)")


def test_a_page_that_reads_the_same_again_is_as_of_its_newest_figures(tmp_path: Path) -> None:
    context = PageContext("Asia/Ho_Chi_Minh", UserStore(tmp_path / "people.sqlite"))
    summary = {"online": 0, "probes": 0, "results": 0, "rejected": 0}
    content = {"summary": summary, "articles": [], "revision": 1}
    request = Request(
        {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "server": ("localhost", 80),
            "path": "/live",
            "query_string": b"",
            "headers": [],
        }
    )

    def as_of() -> str:
        answer = context.render_shared(request, "live.html", (), lambda: 1, lambda: content, 0.0)
        (found,) = _AS_OF.findall(bytes(answer.body).decode())
        return str(found)

    first = as_of()
    time.sleep(1.1)
    assert as_of() != first
