"""The one line that an error of the system is."""

from pathlib import Path

import pytest

from tasks.common.errors import one_line


@pytest.mark.parametrize("below", ["", "recipe", "recipe/segment.tar"])
def test_a_file_in_the_place_of_a_folder_is_named_with_what_to_do(
    below: str, tmp_path: Path
) -> None:
    file = tmp_path / "segments"
    file.write_bytes(b"")
    with pytest.raises(OSError) as caught:
        (file / below).mkdir(parents=True, exist_ok=True)
    expected = f"{file}: needs to be a folder, found a file; move it away"
    assert one_line(caught.value) == expected


def test_other_errors_of_the_system_are_their_own_line(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        tmp_path.mkdir()
    assert one_line(caught.value) == f"{tmp_path}: File exists"
    with pytest.raises(OSError) as caught:
        (tmp_path / "none").read_bytes()
    assert one_line(caught.value) == f"{tmp_path}/none: No such file or directory"
    assert one_line(OSError(28, "No space left on device")) == "No space left on device"
