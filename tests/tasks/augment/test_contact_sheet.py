"""Contact sheets: each picture above its own text, no text over another."""

import numpy as np
from PIL import ImageFont

from tasks.augment.contact_sheet import (
    CELL,
    FONT_SIZE,
    GAP,
    LINE,
    MOST_LINES,
    Cell,
    draw_rows,
    row_texts,
    variant_cell,
    wrapped,
)
from tasks.dataset.captions import WHOLE

DARK = np.zeros((40, 80, 3), np.uint8)


def test_a_row_is_as_high_as_its_tallest_picture_and_its_longest_text() -> None:
    sheet = draw_rows([[Cell(DARK, ["a"]), Cell(DARK, ["b", "c", "d"])], [Cell(DARK[:20], [])]])
    heights = CELL // 2 + 3 * LINE + GAP, CELL // 4 + GAP
    assert sheet.shape == (GAP + sum(heights), GAP + 2 * (CELL + GAP), 3)
    second = GAP + heights[0]
    assert not sheet[GAP : GAP + CELL // 2, GAP : GAP + CELL].any()
    assert not sheet[second : second + CELL // 4, GAP : GAP + CELL].any()
    assert (sheet[second + CELL // 4 :] == 255).all() and (sheet[:, :GAP] == 255).all()


def test_no_line_is_wider_than_a_cell_and_what_is_too_much_is_cut() -> None:
    font = ImageFont.load_default(FONT_SIZE)
    lines = list(wrapped([f"sharpness{WHOLE}0.25, kept{WHOLE}0.31", "word " * 200, "m" * 99]))
    assert lines[0] == "sharpness 0.25, kept 0.31"
    assert all(font.getlength(line) <= CELL for line in lines)
    assert len(lines) == MOST_LINES + 1 and lines[-1] == "…"
    assert list(wrapped(["cafe\u0301"])) == ["caf\u00e9"]
    [cut] = wrapped(["m" * 99])
    assert cut.endswith("m…") and font.getlength(cut) <= CELL < font.getlength(cut + "m")


def test_a_value_stays_beside_its_name() -> None:
    names = ("clipped_low", "clipped_high", "sharpness", "similarity")
    lines = list(wrapped([", ".join(f"{name}{WHOLE}0.12" for name in names)]))
    assert lines == ["clipped_low 0.12,", "clipped_high 0.12,", "sharpness 0.12, similarity 0.12"]


def test_a_rejected_variant_says_why() -> None:
    row = {"variant_index": 7, "reason": "gate: border 0.31 > 0.25"}
    assert variant_cell((row, None)).texts == ["v007 rejected: gate: border 0.31 > 0.25"]


def test_a_variant_has_its_measures_above_its_operations() -> None:
    row = {"operations": '[{"name":"HorizontalFlip"}]', "border": 0.5}
    assert row_texts(row) == [f"border{WHOLE}0.50", "HorizontalFlip"]
    assert row_texts({**row, "border": 0.0}) == ["HorizontalFlip"]
