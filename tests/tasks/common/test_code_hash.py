from pathlib import Path

from tasks.common.code_hash import code_hash


def test_code_is_hashed_by_names_and_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "code"
    (folder / "part").mkdir(parents=True)
    (folder / "a.py").write_text("1")
    (folder / "part/b.py").write_text("2")
    hashes = [code_hash(folder)]
    (folder / "notes.txt").write_text("no code")
    assert code_hash(folder) == hashes[0]
    (folder / "part/b.py").write_text("3")
    hashes.append(code_hash(folder))
    (folder / "part/b.py").rename(folder / "b.py")
    hashes.append(code_hash(folder))
    assert len(set(hashes)) == 3
