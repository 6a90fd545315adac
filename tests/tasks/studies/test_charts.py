"""Charts: places computed by hand, and properties of scales and names."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.studies.charts import HEIGHT, WIDTH, Box, Mark, Scale, Tick, line, with_names

VALUES = st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-6)


def test_a_scale_has_round_ends_and_ticks() -> None:
    scale = Scale.over([0.83, 0.97], 100)
    texts = ["0.80", "0.85", "0.90", "0.95", "1.00"]
    assert scale.ticks() == [Tick(25 * i, text) for i, text in enumerate(texts)]
    assert scale.at(0.9) == 50
    assert Scale.over([0.83, 0.97], 100, upwards=True).at(0.85) == 75


def test_ticks_have_units_signs_and_whole_steps_where_these_are_asked_for() -> None:
    points = Scale.over([-3, 6], 120).ticks(unit=" pt", sign=True)
    texts = ["-5 pt", "0 pt", "+5 pt", "+10 pt"]
    assert points == [Tick(40 * i, text) for i, text in enumerate(texts)]
    assert [tick.text for tick in Scale.over([1, 2], 10, least_step=1).ticks()] == ["1", "2"]


def test_equal_values_and_none_have_a_scale_too() -> None:
    assert [tick.text for tick in Scale.over([], 10).ticks()][:2] == ["0.0", "0.5"]
    for value in (0.0, 7.0, -0.003):
        scale = Scale.over([value, value], 10)
        assert scale.low <= value <= scale.high and scale.low < scale.high


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_all_values_lie_between_few_ticks(values: list[float]) -> None:
    scale = Scale.over(values, WIDTH)
    assert all(0 <= scale.at(value) <= WIDTH for value in values)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 7
    assert (ticks[0].at, ticks[-1].at) == (0, WIDTH)


def test_a_line_goes_through_its_places() -> None:
    assert line("none", 2, [(0.0, 1.5), (10.0, 0.0)]).points == "0.0,1.5 10.0,0.0"


def mark(x: float, y: float) -> Mark:
    return Mark(x, y, 4, "circle", "better", "")


def test_a_name_stands_to_the_right_of_its_mark_where_there_is_room() -> None:
    [alone] = with_names([mark(100, 100)], ["all"])
    assert (alone.name, alone.name_x, alone.name_y) == ("all", 107, 103.5)
    [at_end] = with_names([mark(WIDTH - 1, 100)], ["all"])
    assert at_end.name == "all" and at_end.name_x < WIDTH - 20


@given(
    st.lists(st.tuples(st.integers(0, WIDTH), st.integers(0, HEIGHT)), max_size=25),
    st.integers(1, 30),
)
def test_names_cover_neither_marks_nor_each_other(
    places: list[tuple[int, int]], letters: int
) -> None:
    named = with_names([mark(x, y) for x, y in places], ["n" * letters] * len(places))
    boxes = [
        Box(one.name_x, one.name_y - 10, one.name_x + 6.2 * letters, one.name_y + 3)
        for one in named
        if one.name
    ]
    inner = [Box(b.left + 0.2, b.top + 0.2, b.right - 0.2, b.bottom - 0.2) for b in boxes]
    for i, box in enumerate(inner):
        assert not any(map(box.meets, inner[i + 1 :]))
        assert not any(box.meets(Box(x - 4, y - 4, x + 4, y + 4)) for x, y in places)
