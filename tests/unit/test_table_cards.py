"""Tables of pages laid out as cards: each cell has its column's heading."""

from __future__ import annotations

import pytest

from collector.web.table_cards import with_labels

HEAD = (
    '<thead><tr><th scope="col"><a href="?sort=a">Xã, <b>phường</b></a>'
    '<span aria-hidden="true">▲</span></th>'
    '<th scope="col" class="num">Tải "xuống"</th></tr></thead>'
)


def table(body: str, more: str = "") -> str:
    return (
        f'<p>before</p><table class="plain{more}">{HEAD}<tbody>{body}</tbody></table><p>after</p>'
    )


def test_each_cell_takes_over_its_columns_heading() -> None:
    page = with_labels(table('<tr><th scope="row">Phủ Thông</th><td class="num">1</td></tr>' * 2))
    assert page.startswith('<p>before</p><table role="table" class="plain cards">')
    assert page.count('<td role="cell" data-label="Tải &quot;xuống&quot;" class="num">1</td>') == 2
    assert page.count('<th role="rowheader" scope="row">') == 2
    assert page.count('<tr role="row">') == 3
    assert page.endswith("</tr></tbody></table><p>after</p>")
    assert with_labels(table("<tr><td>a</td></tr>")).count('data-label="Xã, phường"') == 1


def test_a_cell_over_all_columns_has_no_label() -> None:
    page = with_labels(table('<tr><td colspan="2">Không có</td></tr>'))
    assert '<td role="cell" colspan="2">Không có</td>' in page


@pytest.mark.parametrize("more", [" wide", " lines"])
def test_a_table_that_stays_one_is_left_as_it_is(more: str) -> None:
    page = table("<tr><td>a</td></tr>", more)
    assert with_labels(page) == page


def test_two_tables_have_their_own_headings() -> None:
    other = table("<tr><td>b</td></tr>").replace("Xã, <b>phường</b>", "Nhà mạng")
    page = with_labels(table("<tr><td>a</td></tr>") + other)
    assert page.count('data-label="Xã, phường"') == page.count('data-label="Nhà mạng"') == 1
