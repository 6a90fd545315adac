"""Files of data/raw from a DVC remote in a folder: what is read, tried again, kept and told."""

import errno
import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dvc_objects.fs.local import FsspecLocalFileSystem

from tasks.common.cache_bound import trim_cache
from tasks.common.errors import UserError
from tasks.dataset import dvc_remote, image_bytes
from tests.tasks.dataset.raw_remote import md5, object_path, push

PUSH = "run `dvc add data/raw`, commit data/raw.dvc and run `dvc push data/raw.dvc`"
SECRET = "only-the-worker-knows-it"


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A remote that has data/raw of a clone, which does not; this process is in the clone."""
    clone = tmp_path / "clone"
    (clone / "data/raw/a").mkdir(parents=True)
    for name, data in (("a/1.png", b"one"), ("a/2.png", b"two"), ("a/é.tar", b"0123456789")):
        (clone / "data/raw" / name).write_bytes(data)
    push(clone, tmp_path / "remote")
    (clone / "data/raw").rename(tmp_path / "raw")
    monkeypatch.chdir(clone)
    monkeypatch.setenv("VARIEGATE_SOURCES", "remote")
    monkeypatch.delenv("VARIEGATE_CACHE", raising=False)
    for level in ("SYSTEM", "GLOBAL"):
        monkeypatch.setenv(f"DVC_{level}_CONFIG_DIR", str(tmp_path / level))
    monkeypatch.setattr(dvc_remote, "FIRST_PAUSE", 1e-4)
    dvc_remote.find_remote.cache_clear()
    dvc_remote._read_listing.cache_clear()
    return tmp_path / "remote"


def kept() -> list[str]:
    return sorted(path.name for path in Path(".variegate/fetched").iterdir())


def read(name: str, offset: int | None = None, length: int = 3) -> bytes:
    return image_bytes.read_bytes(Path("data/raw") / name, offset, length)


def test_what_is_not_here_is_read_from_the_remote_once(remote: Path) -> None:
    assert read("a/1.png") == b"one"
    assert read("a/é.tar", 2, 5) == b"23456"
    listing = next(path.name for path in remote.rglob("*.dir"))
    names = [f"{md5(b'one')}.raw", f"{md5(b'0123456789')}.raw"]
    assert len(kept()) == 3 and {*names} < {*kept()} and any(listing in name for name in kept())
    (remote / "files").rename(remote / "gone")
    assert read("a/1.png") == b"one" and read("a/é.tar", 9, 1) == b"9"


def test_a_gzipped_container_is_read_at_any_offset(remote: Path, tmp_path: Path) -> None:
    images = np.arange(2 * 3 * 4, dtype=np.uint8)
    header = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in (2, 3, 4))
    Path("data/raw").mkdir()
    Path("data/raw/x.gz").write_bytes(gzip.compress(header + images.tobytes()))
    push(Path(), remote)
    Path("data/raw/x.gz").unlink()
    head = b"P5\n4 3\n255\n"
    second = read("x.gz", len(header) + 12, len(head) + 12)
    assert second == head + images[12:].tobytes()
    inflated = list(Path(".variegate/inflated").iterdir())
    assert read("x.gz", len(header), len(head) + 12) == head + images[:12].tobytes()
    assert list(Path(".variegate/inflated").iterdir()) == inflated and len(inflated) == 1


def test_what_is_here_is_read_here_and_without_the_mode_all_is(
    remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("data/raw/a").mkdir(parents=True)
    Path("data/raw/a/1.png").write_bytes(b"own")
    assert read("a/1.png") == b"own"
    monkeypatch.delenv("VARIEGATE_SOURCES")
    with pytest.raises(FileNotFoundError):
        read("a/2.png")
    monkeypatch.setenv("VARIEGATE_SOURCES", "s3")
    with pytest.raises(UserError) as told:
        read("a/2.png")
    assert str(told.value) == "VARIEGATE_SOURCES: needs to be remote or not there, found 's3'"


def failing(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> list[str]:
    """Let the first reads of the remote fail; the list of all reads."""
    reads: list[str] = []
    waiting = list(errors)
    get_file = FsspecLocalFileSystem.get_file

    def get(self: Any, source: str, *others: Any, **options: Any) -> None:
        reads.append(source)
        if waiting:
            raise waiting.pop(0)
        get_file(self, source, *others, **options)

    monkeypatch.setattr(FsspecLocalFileSystem, "get_file", get)
    return reads


def test_a_remote_that_fails_for_a_moment_is_asked_again(
    remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dvc_remote.read_listing()
    reads = failing(monkeypatch, *[OSError("slow down"), TimeoutError()] * 4)
    assert read("a/1.png") == b"one" and len(reads) == 9


def test_a_remote_that_always_fails_is_one_line_without_secrets(
    remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dvc_remote.read_listing()
    Path(".dvc/config.local").write_text(f"['remote \"store\"']\n    password = {SECRET}\n")
    dvc_remote.find_remote.cache_clear()
    error = OSError(f"ssh://me:{SECRET}@host/x says\nno to {SECRET}")
    reads = failing(monkeypatch, *[error] * 20)
    with pytest.raises(UserError) as told:
        read("a/1.png")
    assert str(told.value) == (
        "data/raw/a/1.png: the remote 'store' failed 9 times in a row: "
        "OSError: ssh://host/x says no to ***"
    )
    assert len(reads) == 9


def test_what_no_other_try_mends_is_tried_once(
    remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dvc_remote.read_listing()
    reads = failing(monkeypatch, PermissionError("Access Denied"))
    with pytest.raises(UserError) as told:
        read("a/1.png")
    assert str(told.value) == (
        "data/raw/a/1.png: the remote 'store' failed: PermissionError: Access Denied"
    )
    assert len(reads) == 1
    failing(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError) as full:  # of this machine's disk
        read("a/1.png")
    assert full.value.filename == str(Path(".variegate").absolute())


def test_a_missing_and_a_damaged_object_are_one_line(remote: Path) -> None:
    object_path(md5(b"one"), remote).unlink()
    with pytest.raises(UserError) as told:
        read("a/1.png")
    assert str(told.value) == (
        "data/raw/a/1.png: needs its object, found none in the remote 'store': "
        "run `dvc push data/raw.dvc`"
    )
    object_path(md5(b"two"), remote).write_bytes(b"twO")
    with pytest.raises(UserError) as told:
        read("a/2.png")
    assert str(told.value) == (
        "data/raw/a/2.png: the remote 'store' failed 9 times in a row: ValueError: its bytes have "
        f"the MD5 {md5(b'twO')} instead of {md5(b'two')}"
    )
    assert len(kept()) == 1  # the listing


def test_a_damaged_copy_is_fetched_again(remote: Path) -> None:
    read("a/1.png")
    copy = Path(".variegate/fetched", f"{md5(b'one')}.raw")
    copy.unlink()
    copy.write_bytes(b"onE")
    dvc_remote._is_sound.cache_clear()
    assert read("a/1.png") == b"one"


def test_what_is_fetched_stays_within_the_bound(
    remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VARIEGATE_CACHE_GB", "0")
    for name in ("a/1.png", "a/2.png", "a/1.png"):
        assert read(name) == (b"one" if "1" in name else b"two")
        assert len(kept()) <= 2
    trim_cache(0)
    assert kept() == []


def test_data_raw_dvc_has_to_name_what_is_asked_for(remote: Path) -> None:
    rows = pd.DataFrame({"file_name": ["a/1.png", "m"], "container": [None, "a/é.tar"]})
    dvc_remote.require_listed(rows)
    others = pd.DataFrame({"file_name": ["b.png", "a/1.png", "c.png"], "container": None})
    with pytest.raises(UserError) as told:
        dvc_remote.require_listed(others)
    assert str(told.value) == (
        "data/raw.dvc: needs to be of what data/raw holds, found no data/raw/b.png and 1 more; "
        + PUSH
    )
    with pytest.raises(UserError) as told:
        read("b.png")
    assert str(told.value) == (
        f"data/raw.dvc: needs to name data/raw/b.png, found no such file; {PUSH}"
    )
    Path("data/raw.dvc").write_text("outs: []")
    with pytest.raises(UserError) as told:
        read("b.png")
    assert str(told.value) == f"data/raw.dvc: needs the MD5 of a folder, found none; {PUSH}"
    Path("data/raw.dvc").unlink()
    with pytest.raises(UserError) as told:
        read("b.png")
    assert str(told.value) == (
        f"VARIEGATE_SOURCES=remote needs data/raw in DVC's hands, found no data/raw.dvc; {PUSH}"
    )


def test_other_bytes_than_those_of_the_manifest_are_told(remote: Path) -> None:
    located = {"path": "data/raw/a/1.png", "offset": None, "length": 3, "sha256": "0" * 64}
    (row,) = pd.DataFrame([located]).itertuples()
    with pytest.raises(UserError) as told:
        image_bytes.read_checked(row, "changed")
    assert str(told.value) == f"data/raw/a/1.png: data/raw.dvc is of other bytes of it; {PUSH}"


def test_the_configuration_is_that_of_dvc(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = {
        tmp_path / "SYSTEM/config": "[core]\nremote = one\n['remote \"one\"']\nurl = s3://b/x\n"
        "access_key_id = system\n['remote \"base\"']\nurl = ssh://me@host:23/data\nport = 24\n",
        tmp_path / "GLOBAL/config": "['remote \"one\"']\nprofile = mine\nuse_ssl = False\n",
        Path(".dvc/config"): "[core]\nremote = Below\n['remote \"One\"']\nread_timeout = 5\n"
        "['remote \"below\"']\nurl = remote://base/a/b\nuser = you\n"
        "['remote \"folder\"']\nurl = ../store 1\n",
        Path(".dvc/config.local"): "['remote \"one\"']\naccess_key_id = own\n",
    }
    for path, text in levels.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    config = dvc_remote.read_config()
    assert config["core"] == {"remote": "Below"}
    assert config["remote"]["folder"] == {"url": str(tmp_path / "clone/store 1")}
    assert config["remote"]["one"] == {
        "url": "s3://b/x",
        "access_key_id": "own",
        "profile": "mine",
        "use_ssl": False,
        "read_timeout": 5,
    }
    found = dvc_remote.find_remote()
    assert (found.name, found.root, found.fs.protocol) == ("below", "/data/a/b", "ssh")
    assert found.settings == {"host": "host", "username": "me", "port": 24, "user": "you"}
    assert found.place("abcdef") == "/data/a/b/files/md5/ab/cdef"
    # as DVC itself reads it
    import dvc.config
    from dvc.fs import get_cloud_fs

    own = dvc.config.Config(dvc_dir=".dvc")
    kind, settings, root = get_cloud_fs(own, name="below")
    assert (kind, root) == (type(found.fs), found.root)
    assert found.settings.items() <= settings.items()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "",
            "core.remote: needs the remote that data/raw was pushed to, found none; "
            "`dvc remote add -d NAME URL`",
        ),
        ("[core]\nremote = x\n", "remote 'x': needs a url, found none"),
        (
            "[core]\nremote = x\n['remote \"x\"']\nurl = gs://b\n",
            "remote 'x': gs is supported, but requires 'dvc-gs' to be installed",
        ),
    ],
)
def test_a_configuration_that_leads_nowhere_is_one_line(text: str, told: str, remote: Path) -> None:
    Path(".dvc/config").write_text(text)
    with pytest.raises(UserError) as failed:
        read("a/1.png")
    assert str(failed.value) == f".dvc/config {told}"


def test_a_broken_configuration_is_told_without_its_lines(remote: Path) -> None:
    Path(".dvc/config.local").write_text(f"password {SECRET}\n")
    with pytest.raises(UserError) as failed:
        read("a/1.png")
    assert str(failed.value) == (
        ".dvc/config.local: needs to be a configuration of DVC, found another"
    )
