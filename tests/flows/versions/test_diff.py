"""What changed between two versions, on tables made by hand and on a real git and DVC checkout."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from flows.versions.diff import (
    KINDS,
    as_markdown,
    as_text,
    compare,
    pair_images,
    unequal_rows,
)
from flows.versions.revision import COLUMNS, WORKSPACE, Version, read_versions
from tasks.common.errors import UserError
from tests.conftest import Project, commit

# content, file name, label, split, status
BEFORE = [
    ("aa", "cat/kept.png", "cat", "train", "ok"),
    ("bb", "cat/gone.png", "cat", "train", "ok"),
    ("cc", "cat/wrong.png", "cat", "train", "ok"),
    ("dd", "cat/moved.png", "cat", "train", "ok"),
    ("ee", "cat/old name.png", "cat", "test", "ok"),
    ("ff", "cat/twin.png", "cat", "train", "ok"),
    ("gg", "cat/edited.png", "cat", "train", "ok"),
    ("", "cat/unreadable.png", "cat", "", "quarantined"),
    ("hh", "cat/conflict.png", "cat", "", "quarantined"),
    ("hh", "dog/conflict.png", "dog", "", "quarantined"),
]
AFTER = [
    ("aa", "cat/kept.png", "cat", "train", "ok"),
    ("cc", "dog/right.png", "dog", "train", "ok"),
    ("dd", "cat/moved.png", "cat", "validation", "ok"),
    ("ee", "cat/new name.png", "cat", "test", "ok"),
    ("ff", "cat/a twin.png", "cat", "train", "ok"),
    ("ff", "cat/twin.png", "cat", "", "duplicate"),
    ("g2", "cat/edited.png", "cat", "train", "ok"),
    ("", "cat/other unreadable.png", "cat", "", "quarantined"),
    ("hh", "cat/conflict 2.png", "cat", "", "quarantined"),
    ("hh", "dog/conflict 2.png", "dog", "", "quarantined"),
]


def version(name: str, rows: list[tuple[str, ...]], **params: object) -> Version:
    return Version(
        name, pd.DataFrame([(*row, "") for row in rows], columns=COLUMNS), {}, "0123", params
    )


def names(found: dict, kind: str) -> list:
    if kind in ("added", "removed"):
        return [entry["file_name"] for entry in found[kind]]
    return [(entry["before"]["file_name"], entry["after"]["file_name"]) for entry in found[kind]]


def test_an_image_is_its_bytes() -> None:
    found = compare(version("a", BEFORE), version("b", AFTER))
    assert {kind: names(found, kind) for kind in KINDS} == {
        "added": ["cat/a twin.png", "cat/edited.png", "cat/other unreadable.png"],
        "removed": ["cat/gone.png", "cat/edited.png", "cat/unreadable.png"],
        "relabelled": [("cat/wrong.png", "dog/right.png")],
        "moved": [("cat/moved.png", "cat/moved.png")],
        "renamed": [
            ("cat/old name.png", "cat/new name.png"),
            ("cat/conflict.png", "cat/conflict 2.png"),
            ("dog/conflict.png", "dog/conflict 2.png"),
        ],
        "status_changed": [("cat/twin.png", "cat/twin.png")],
    }
    assert found["counts"] == {kind: len(found[kind]) for kind in KINDS}
    assert compare(version("a", BEFORE), version("a", BEFORE[::-1]))["counts"] == dict.fromkeys(
        KINDS, 0
    )


@pytest.mark.parametrize("seed", range(20))
def test_rows_that_are_equal_in_both_versions_decide_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)

    def rows() -> pd.DataFrame:
        """Few contents, labels and splits, so that images of all kinds of change are there."""
        chosen = random.permutation(40)[:25]
        values = {
            "sha256": random.choice(["", "aa", "bb", "cc"], 25),
            "file_name": [f"{number}.png" for number in chosen],
            **{
                column: random.choice(["", "x", "y"], 25, p=[0.1, 0.8, 0.1])
                for column in COLUMNS[2:]
            },
        }
        return pd.DataFrame(values, dtype=str)

    before, after = rows(), rows()
    shared = before.sample(15, random_state=seed)
    after = pd.concat([shared, after[~after["file_name"].isin(shared["file_name"])]])
    expected, found = pair_images(before, after), pair_images(*unequal_rows(before, after))
    assert found.removed["file_name"].tolist() == expected.removed["file_name"].tolist()
    assert found.added["file_name"].tolist() == expected.added["file_name"].tolist()
    both = pd.concat([expected.before, expected.after.add_suffix(" after")], axis=1)
    differs = (expected.before != expected.after).any(axis=1)
    left = pd.concat([found.before, found.after.add_suffix(" after")], axis=1)
    assert left.values.tolist() == both[differs].values.tolist() and 0 < len(left) < len(both)


def test_text_shows_some_of_each_kind_and_json_all() -> None:
    many = [(f"{number:02x}", f"cat/{number:02}.png", "cat", "train", "ok") for number in range(8)]
    found = compare(version("a", BEFORE, seed=1), version("b", BEFORE + many, seed=2))
    text = as_text(found)
    more = "  ... and 3 more (`variegate diff --json` has all)"
    assert "files    10 -> 18: 8 added\n" in text and "params   seed: 1 -> 2\n" in text
    assert text.endswith(
        "added: 8\n" + "".join(f"  cat/{n:02}.png (train)\n" for n in range(5)) + more
    )
    assert len(found["added"]) == 8


def test_an_accuracy_without_its_interval_is_not_told() -> None:
    known = {"images": 3, "accuracy": 0.5, "accuracy_low": 0.25, "accuracy_high": 0.75}
    old, new = ({"images": 3, "accuracy": 0.4}, known)
    versions = [replace(version("v", BEFORE), metrics=metrics) for metrics in (old, new)]
    line = "\naccuracy not evaluated -> 50.00% (25.0 to 75.0) of 3 test images"
    assert line in as_text(compare(*versions))
    assert "accuracy" not in as_text(compare(versions[0], versions[0]))
    same = as_markdown(compare(versions[1], versions[1]))
    assert "\n\nAccuracy: 50.00% (25.0 to 75.0) of 3 test images" in same


def test_text_shows_the_classes_whose_counts_changed() -> None:
    def with_classes(sources: int) -> Version:
        counts = {"sources": sources, "written": 8, "training_images": sources + 8}
        classes = {f"{number:02}": counts for number in range(22)}
        same = {"sources": 3, "written": 0, "training_images": 3}
        return Version(
            "v", pd.DataFrame(columns=COLUMNS, dtype=str), {**classes, "same": same}, "0123", {}
        )

    text = as_text(compare(with_classes(2), with_classes(1_000)))
    assert "class    00: sources 2 -> 1,000, written 8, training images 10 -> 1,008\n" in text
    assert text.endswith("\n         ... and 2 more classes") and "same:" not in text


def counted(sources: int) -> dict[str, int]:
    return {"sources": sources, "written": 4 * sources, "training_images": 5 * sources}


def with_classes(name: str, rows: list[tuple[str, ...]], **classes: int) -> Version:
    its = version(name, rows, **{"augment.seed": 7 if rows else 42, "augment.same": 1})
    return Version(
        name,
        its.images,
        {label: counted(sources) for label, sources in classes.items()},
        "0123",
        its.params,
    )


MARKDOWN = """\
## Dataset: `main` -> `HEAD`

Files: 0 -> 7: 7 added

Recipe: 0123

| class | sources | written | training images |
| --- | --- | --- | --- |
| `<script>` | 0 -> 1,200 | 0 -> 4,800 | 0 -> 6,000 |
| `dog` | 1 -> 0 | 4 -> 0 | 5 -> 0 |
| **all classes** | 3 -> 1,202 | 12 -> 4,808 | 15 -> 6,010 |

| parameter | before | after |
| --- | --- | --- |
| `augment.seed` | `42` | `7` |

### added: 7

- `` <script>/a|b`\\|c.png `` (train)
- `cat/@all #1 _x_ [a](b).png` (train)
- `cat/höhe 2.png` (train)
- `cat/\\x202egnp.exe` (train)
- `cat/two\\x0alines.png` (train)
- ... and 2 more (`variegate diff --json` has all)"""


def test_markdown_is_what_a_pull_request_shows_and_names_are_inert() -> None:
    names = [
        "<script>/a|b`\\|c.png",
        "cat/@all #1 _x_ [a](b).png",
        "cat/höhe 2.png",
        "cat/\u202egnp.exe",
    ]
    names += ["cat/two\nlines.png", "cat/6.png", "cat/7.png"]
    rows = [(f"{number:02x}", name, "cat", "train", "ok") for number, name in enumerate(names)]
    before = with_classes("main", [], cat=2, dog=1)
    found = compare(before, with_classes("HEAD", rows, cat=2, **{"<script>": 1_200}))
    assert as_markdown(found) == MARKDOWN
    assert (
        as_markdown(compare(before, before))
        == "## Dataset: `main`\n\nFiles: 0: the same images\n\nRecipe: 0123"
    )


def test_markdown_of_every_kind_of_change() -> None:
    text = as_markdown(compare(version("a", BEFORE), version("b", AFTER)))
    counts = (
        "3 added (1 set aside), 3 removed, 1 relabelled, 1 moved between splits, 3 "
        "renamed, 1 with another status"
    )
    assert f"\nFiles: 10: {counts}\n" in text and "|" not in text
    lists = """
### relabelled: 1

- `cat/wrong.png` -> `dog/right.png`: `cat` -> `dog`

### moved between splits: 1

- `cat/moved.png`: `train` -> `validation`

### renamed: 3

- `cat/old name.png` -> `cat/new name.png`
- `cat/conflict.png` -> `cat/conflict 2.png`
- `dog/conflict.png` -> `dog/conflict 2.png`

### with another status: 1

- `cat/twin.png`: `ok` -> `duplicate`"""
    assert text.endswith(lists)


def test_two_commits_of_a_real_checkout(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.root)
    commit(finished, "first")
    was = pd.read_parquet(finished.path("data/validated/manifest.parquet"))
    raw = finished.path("data/raw")
    (raw / "0/0000.png").unlink()
    (raw / "1/0001.png").rename(raw / "2/0001.png")
    (raw / "0/0010.png").rename(raw / "0/renamed.png")
    (raw / "2/broken.png").write_bytes(b"no image")
    Image.new("L", (8, 8), 9).save(raw / "1/new.png")
    finished.set_params(augment__variants_per_image=3, augment__seed=7)
    stale = finished.variegate("diff", "--json")
    assert (
        "note: data/raw, ingest, validate, augment: not as the workspace's last run left them"
        in stale.stderr
    )
    assert set(json.loads(stale.stdout)["counts"].values()) == {0}
    finished.run("dvc", "repro", "-q", "augment")
    first, second = read_versions(["HEAD", WORKSPACE])
    assert first.params["train.epochs"] == 2
    uncommitted = json.loads(json.dumps(compare(first, second), default=list))
    commit(finished, "second")
    now = pd.read_parquet(finished.path("data/validated/manifest.parquet"))

    state = fingerprint(finished)
    found = json.loads(finished.variegate("diff", "HEAD~1", "HEAD", "--json").stdout)
    assert fingerprint(finished) == state
    assert {**uncommitted, "before": "HEAD~1", "after": "HEAD"} == found
    metrics = json.loads(finished.path("metrics/evaluate.json").read_text())
    judged = {name: metrics[name] for name in found["accuracy"]["before"]}
    assert found["accuracy"] == {"before": judged, "after": None}  # only augment ran again
    figures = f"{judged['accuracy']:.2%} ({100 * judged['accuracy_low']:.1f} to "
    figures += f"{100 * judged['accuracy_high']:.1f}) of 3 test images"
    text = finished.variegate("diff", "HEAD~1", "HEAD").stdout
    assert f"\naccuracy {figures} -> not evaluated\n" in text
    assert names(found, "added") == ["1/new.png", "2/broken.png"]
    assert found["added"][1]["reason"] == "not_an_image" and found["added"][1]["split"] is None
    assert names(found, "removed") == ["0/0000.png"]
    assert names(found, "relabelled") == [("1/0001.png", "2/0001.png")]
    assert names(found, "renamed") == [("0/0010.png", "0/renamed.png")]
    before = dict(zip(was["sha256"], was["split"], strict=True))
    now_ok = now[now["status"] == "ok"]
    moved = {
        s
        for s, split in zip(now_ok["sha256"], now_ok["split"], strict=True)
        if before.get(s, split) != split
    }
    assert {entry["after"]["sha256"] for entry in found["moved"]} == moved and moved
    assert found["params"] == {
        "augment.variants_per_image": {"before": 4, "after": 3},
        "augment.seed": {"before": 42, "after": 7},
    }
    assert found["recipe_hash"]["before"] != found["recipe_hash"]["after"]
    for label in "012":
        sides = found["classes"][label]
        assert (sides["before"]["sources"], sides["before"]["written"]) == (4, 16)
        assert (
            sides["after"]["sources"] == ((now["label"] == label) & (now["split"] == "train")).sum()
        )
        assert sides["after"]["training_images"] == 4 * sides["after"]["sources"]
    markdown = finished.variegate("diff", "HEAD~1", "HEAD", "--markdown").stdout
    expected = as_markdown(compare(*read_versions(["HEAD~1", "HEAD"])))
    assert markdown == expected + "\n" and "| `augment.seed` | `42` | `7` |" in markdown
    both = finished.variegate("diff", "--json", "--markdown", check=False)
    assert (both.returncode, both.stderr) == (
        2,
        "error: --json and --markdown: needs one of them, found both\n",
    )
    check_what_cannot_be_read(finished)


def check_what_cannot_be_read(project: Project) -> None:
    """Unknown revisions, those before a run, and data that only a remote holds, or nobody."""
    with pytest.raises(
        UserError,
        match=r"^revision 'nowhere': not found in git; needs a commit, a branch, a tag or HEAD$",
    ):
        read_versions(["nowhere"])
    need = "needs a dvc.lock that names ingest, validate, augment, found none"
    with pytest.raises(
        UserError, match=f"^HEAD~2: {need}; `variegate run --until augment` makes it$"
    ):
        read_versions(["HEAD~2"])
    cache, remote = project.path(".dvc/cache"), project.path("../remote")
    shutil.rmtree(remote, ignore_errors=True)
    shutil.move(cache, remote)
    where = "data/validated/manifest.parquet is neither in git nor in DVC's cache or remote"
    mend = (
        "`dvc push` it where it was made, then `dvc fetch`; where it was not yours, "
        "commit your own first"
    )
    with pytest.raises(UserError, match=f"^HEAD~1: {where}; {mend}$"):
        read_versions(["HEAD~1"])
    project.run("dvc", "remote", "add", "-q", "-d", "origin", str(remote))
    assert compare(*read_versions(["HEAD~1", "HEAD"]))["counts"]["removed"] == 1
    shutil.rmtree(remote)


def fingerprint(project: Project) -> dict[str, object]:
    """What git sees, and the time and size of every file but git's and DVC's own."""
    files = [
        path
        for path in project.root.rglob("*")
        if path.is_file() and not {".git", ".dvc"} & set(path.parts)
    ]
    files = [path for path in files if "__pycache__" not in path.parts]
    facts: dict[str, object] = {os.fspath(path): path.stat().st_mtime_ns for path in files}
    return facts | {"git": project.run("git", "status", "--porcelain").stdout}


def test_without_a_commit_it_says_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)
    project.run("git", "init", "-q")
    project.run("dvc", "init", "-q")
    with pytest.raises(UserError, match=r"^revision 'HEAD': not found in git; "):
        read_versions(["HEAD", WORKSPACE])
