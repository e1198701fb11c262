"""What the charts draw is what they were given, to scale, and readable without seeing them."""

import pytest

from provisioning.admin.charts import BOTTOM, HEIGHT, TOP, Series, bars, columns, short


def series(*values: int, name: str = "admitted", tone: str = "calm") -> Series:
    return Series(name=name, tone=tone, values=values)


@pytest.mark.parametrize(
    ("most", "ticks"),
    [
        pytest.param(0, ["0", "1"], id="nothing still has an axis"),
        pytest.param(3, ["0", "1", "2", "3"], id="few are counted one by one"),
        pytest.param(7, ["0", "2", "4", "6", "8"], id="an axis ends a little above the highest column"),
        pytest.param(97, ["0", "25", "50", "75", "100"], id="its steps are round"),
        pytest.param(11_000, ["0", "3k", "6k", "9k", "12k"], id="thousands are short"),
        pytest.param(2_300_000, ["0", "600k", "1.2M", "1.8M", "2.4M"], id="millions are short"),
    ],
)
def test_an_axis(most: int, ticks: list[str]) -> None:
    assert [label for _, label in columns(["today"], [series(most)]).ticks] == ticks


def test_columns_stand_on_each_other_and_to_scale() -> None:
    chart = columns(["Mon", "Tue"], [series(75, 0), series(25, 50, name="refused", tone="bad")])
    whole = HEIGHT - TOP - BOTTOM
    monday, tuesday = (
        [(shape.tone, shape.y, shape.height) for shape in column.shapes] for column in chart.columns
    )
    assert monday == [
        ("calm", chart.floor - 0.75 * whole, 0.75 * whole),
        ("bad", chart.floor - whole, 0.25 * whole),
    ]
    assert tuesday == [("bad", chart.floor - 0.5 * whole, 0.5 * whole)]
    assert chart.summary == "admitted 75, refused 75, from Mon to Tue."
    assert chart.columns[0].told == "Mon: admitted 75, refused 25"
    assert chart.rows == [("Mon", [75, 25]), ("Tue", [0, 50])]


def test_what_is_there_is_seen_beside_a_million() -> None:
    chart = columns(["Mon"], [series(1_000_000), series(1, name="refused")])
    assert chart.columns[0].shapes[1].height >= 1
    chart_of_rows = bars(["Mon", "Tue"], [series(1_000_000, 1)])
    assert chart_of_rows.rows[1].shapes[0].width > 0


def test_bars_share_one_scale_and_never_leave_it() -> None:
    chart = bars(["a", "b"], [series(60, 30), series(40, 0, name="open")], links=["/a", "/b"])
    assert [[(shape.x, shape.width) for shape in row.shapes] for row in chart.rows] == [
        [(0, 60), (60, 40)],
        [(0, 30)],
    ]
    assert [(row.label, row.total, row.link) for row in chart.rows] == [("a", 100, "/a"), ("b", 30, "/b")]


def test_nothing_is_empty() -> None:
    assert columns(["a"], [series(0)]).is_empty
    assert bars([], [series()]).is_empty
    assert not bars(["a"], [series(1)]).is_empty


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (999, "999"), (1_200, "1.2k"), (1_234_567, "1.23M")])
def test_a_short_number(number: int, text: str) -> None:
    assert short(number) == text
