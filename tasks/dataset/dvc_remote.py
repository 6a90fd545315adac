"""Read files of data/raw from the project's DVC remote, for workers that do not have the folder.

Which remote it is, and how to reach it, say DVC's own configuration and this process's environment:
nothing of it is taken from another process. A file is found by the MD5 that the listing of
data/raw.dvc gives it, is compared with that, and is kept in the private cache for a while.
"""

import hashlib
import json
import os
import random
import re
import time
from collections.abc import Callable
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import platformdirs
from configobj import ConfigObj, ConfigObjError
from ruamel.yaml import YAML, YAMLError

from tasks.common import machine
from tasks.common.cache_bound import trim_cache
from tasks.common.errors import OF_THE_DISK, UserError
from tasks.common.temporary import atomic_write
from tasks.dataset.paths import RAW

RAW_DVC = RAW.with_suffix(".dvc")
DVC_CONFIG = Path(".dvc/config")
# Of a remote's settings, those that DVC takes for paths, from the folder of their file.
PATHS = ("url", "credentialpath", "configpath", "keyfile", "cert_path", "key_path")
NUMBERS = ("port", "timeout", "read_timeout", "connect_timeout", "max_sessions", "jobs")
SECRET = re.compile("pass|secret|token|key|connection_string|auth")

# A store that fails one request in ten fails nine in a row once in 10^9 times; they take 26 s.
MOST_TRIES = 9
FIRST_PAUSE = 0.1  # seconds; each one is twice as long as the one before
# What no other try mends: botocore's and asyncssh's errors by name, for they may not be there.
FINAL = {
    "ImportError",
    "ModuleNotFoundError",
    "PermissionError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "PermissionDenied",
    "HostKeyNotVerifiable",
}
CHECKED = 4096  # copies that are remembered to be sound
SHARE_TO_TRIM = 0.05  # of the cache's bound: so much is fetched before what is old is looked for

PUSH = f"run `dvc add {RAW}`, commit {RAW_DVC} and run `dvc push {RAW_DVC}`"
OTHER_BYTES = f"{RAW_DVC} is of other bytes of it; {PUSH}"

Config = dict[str, Any]


class Remote(NamedTuple):
    """A DVC remote: its name, its file system, the path of its root there, and its settings."""

    name: str
    fs: Any  # of dvc_objects
    root: str
    settings: Config

    def place(self, md5: str) -> str:
        """Where the object of an MD5 lies."""
        return str(self.fs.join(self.root, "files", "md5", md5[:2], md5[2:]))


# --- files ----------------------------------------------------------------------------------------


def fetch(path: Path) -> Path:
    """A copy of a file of data/raw in the private cache, with the MD5 that data/raw.dvc names.

    Raises:
        UserError: where there is none to be had.
    """
    return _kept(md5_of(path), str(path))


def md5_of(path: Path) -> str:
    """The MD5 of a file of data/raw, as data/raw.dvc has it.

    Raises:
        UserError: where it does not name the file.
    """
    md5 = read_listing().get(path.relative_to(RAW).as_posix())
    if md5 is None:
        raise UserError(f"{RAW_DVC}: needs to name {path}, found no such file; {PUSH}")
    return md5


def require_listed(rows: pd.DataFrame) -> None:
    """Check that data/raw.dvc names the files that hold these rows, and that it has been pushed.

    Args:
        rows: of the ingested or the validated manifest.

    Raises:
        UserError: where it has not, and workers would look for a file in vain.
    """
    files = rows["container"].fillna(rows["file_name"]).drop_duplicates()
    missing = files[~files.isin(read_listing().keys())]
    if len(missing):
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        found = f"found no {RAW / missing.iloc[0]}{more}"
        raise UserError(f"{RAW_DVC}: needs to be of what {RAW} holds, {found}; {PUSH}")


def read_listing() -> dict[str, str]:
    """The MD5 of each file of data/raw by its name there, as data/raw.dvc has it.

    Raises:
        UserError: where data/raw.dvc or its listing cannot be had.
    """
    try:
        text = RAW_DVC.read_bytes()
    except FileNotFoundError:
        need = f"VARIEGATE_SOURCES=remote needs data/raw in DVC's hands, found no {RAW_DVC}"
        raise UserError(f"{need}; {PUSH}") from None
    return _read_listing(text)


@cache
def _read_listing(raw_dvc: bytes) -> dict[str, str]:
    """The listing that the text of data/raw.dvc names; read once by each process."""
    try:
        (out,) = YAML(typ="safe").load(raw_dvc.decode())["outs"]
        md5 = str(out["md5"])
    except (YAMLError, ValueError, KeyError, TypeError):
        raise UserError(f"{RAW_DVC}: needs the MD5 of a folder, found none; {PUSH}") from None
    copy = _kept(md5, f"the listing of {RAW}")
    return {entry["relpath"]: entry["md5"] for entry in json.loads(copy.read_bytes())}


def _kept(md5: str, what: str) -> Path:
    """The copy of an object in the private cache; `what`: it is, for people."""
    copy = machine.cache_folder() / "fetched" / f"{md5}.raw"
    try:
        if _is_sound(copy, copy.stat().st_ino):
            return copy
    except FileNotFoundError:
        pass
    _download(md5, copy, what)
    return copy


@lru_cache(maxsize=CHECKED)
def _is_sound(copy: Path, inode: int) -> bool:
    """Whether a copy has the MD5 of its name; looked at once for each file."""
    return _md5_in(copy) == copy.name.partition(".")[0]


def _md5_in(path: Path) -> str:
    with path.open("rb") as file:
        new = partial(hashlib.md5, usedforsecurity=False)
        return hashlib.file_digest(file, new).hexdigest()


_fetched_bytes = 0  # by this process, since it looked for what is old


def _download(md5: str, copy: Path, what: str) -> None:
    """Make `copy` the object of an MD5."""
    _make_room()
    with atomic_write(copy) as temporary:

        def download(remote: Remote) -> None:
            remote.fs.fs.get_file(remote.place(md5), str(temporary))
            found = _md5_in(temporary)
            if found != md5.removesuffix(".dir"):
                raise ValueError(f"its bytes have the MD5 {found} instead of {md5}")

        _try_often(download, what)
    global _fetched_bytes
    _fetched_bytes += copy.stat().st_size


def _make_room() -> None:
    """Keep the private cache within its bound, with what is about to be fetched left aside."""
    global _fetched_bytes
    limit_bytes = machine.cache_limit_bytes()
    if _fetched_bytes > SHARE_TO_TRIM * limit_bytes:
        trim_cache(limit_bytes)
        _fetched_bytes = 0


# --- the remote -----------------------------------------------------------------------------------


def _try_often(read: Callable[[Remote], None], what: str) -> None:
    """Call `read`, again where the remote fails for a moment.

    Raises:
        UserError: where it fails for good.
    """
    pause = FIRST_PAUSE
    for last in (*[False] * (MOST_TRIES - 1), True):
        remote = find_remote()
        try:
            read(remote)
            return
        except FileNotFoundError:
            found = f"found none in the remote {remote.name!r}: run `dvc push {RAW_DVC}`"
            raise UserError(f"{what}: needs its object, {found}") from None
        except Exception as error:  # a file system raises what its libraries raise
            if isinstance(error, OSError) and error.errno in OF_THE_DISK:
                error.filename = str(machine.cache_folder().absolute())  # not the remote's object
                raise
            final = type(error).__name__ in FINAL
            if last or final:
                tries = "" if final else f" {MOST_TRIES} times in a row"
                told = f"the remote {remote.name!r} failed{tries}: {_told(error, remote)}"
                raise UserError(f"{what}: {told}") from None
        find_remote.cache_clear()  # a connection may be broken
        time.sleep(pause * random.uniform(0.5, 1))  # many workers shall not come at once
        pause *= 2


def _told(error: Exception, remote: Remote) -> str:
    """What an error says, in one line, without what is secret in the remote's settings."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    for name, value in remote.settings.items():
        if SECRET.search(name) and isinstance(value, str) and value:
            text = text.replace(value, "***")
    return re.sub(r"//[^/@\s]*@", "//", text)


@cache
def find_remote() -> Remote:
    """The default remote of DVC's configuration, connected to as DVC does it.

    Raises:
        UserError: where there is none, or the library for it is not installed.
    """
    from dvc_objects.fs import get_fs_cls  # with its libraries half a second, and seldom needed

    config = read_config()
    name = str(config.get("core", {}).get("remote", "")).lower()
    if not name:
        need = f"needs the remote that {RAW} was pushed to, found none"
        raise UserError(f"{DVC_CONFIG} core.remote: {need}; `dvc remote add -d NAME URL`")
    settings = _settings_of(name, config.get("remote", {}))
    url = settings.pop("url")
    try:
        kind = get_fs_cls({"url": url})
        own = {**kind._get_kwargs_from_urls(url), **settings}
        return Remote(name, kind(**own), kind._strip_protocol(url), own)
    except ImportError as error:
        raise UserError(f"{DVC_CONFIG} remote {name!r}: {error}") from None


def _settings_of(name: str, remotes: dict[str, Config]) -> Config:
    """The settings of a remote, with those of the one that its URL begins with, if any does.

    Raises:
        UserError: where it has no URL.
    """
    settings = dict(remotes.get(name, {}))
    url = settings.get("url")
    if url is None:
        raise UserError(f"{DVC_CONFIG} remote {name!r}: needs a url, found none")
    if url.startswith("remote://"):
        base, _, below = url.removeprefix("remote://").partition("/")
        others = {key: value for key, value in remotes.items() if key != name}
        from_base = _settings_of(base.lower(), others)
        return {**from_base, **settings, "url": f"{from_base['url'].rstrip('/')}/{below}"}
    return settings


def read_config() -> dict[str, Any]:
    """DVC's configuration: of the system, the user, the project and this clone; the last counts.

    Raises:
        UserError: where a file is no such configuration.
    """
    system = os.environ.get("DVC_SYSTEM_CONFIG_DIR") or platformdirs.site_config_dir(
        "dvc", "iterative"
    )
    user = os.environ.get("DVC_GLOBAL_CONFIG_DIR") or platformdirs.user_config_dir(
        "dvc", "iterative"
    )
    merged: dict[str, Any] = {"core": {}, "remote": {}}
    for path in (
        Path(system, "config"),
        Path(user, "config"),
        DVC_CONFIG,
        DVC_CONFIG.with_suffix(".local"),
    ):
        found = _read_config_file(path)
        merged["core"] |= found["core"]
        for name, settings in found["remote"].items():
            merged["remote"][name] = merged["remote"].get(name, {}) | settings
    return merged


def _read_config_file(path: Path) -> dict[str, Any]:
    """The sections `core` and `remote` of one file, values as file systems take them."""
    found: dict[str, Any] = {"core": {}, "remote": {}}
    if not path.is_file():
        return found
    try:
        sections = ConfigObj(str(path), encoding="utf-8", interpolation=False)
    except (ConfigObjError, UnicodeDecodeError):  # whose text holds a line of the file
        raise UserError(f"{path}: needs to be a configuration of DVC, found another") from None
    for title, section in sections.items():
        lowered = str(title).strip().lower()
        values = {str(key).lower(): value for key, value in dict(section).items()}
        if lowered == "core":
            found["core"] = values
        elif remote := re.fullmatch(r"remote\s*\"(.*)\"", lowered):
            converted = {key: _converted(key, value, path) for key, value in values.items()}
            found["remote"][remote.group(1)] = converted
    return found


def _converted(key: str, value: Any, path: Path) -> Any:
    """A setting of a remote as DVC converts it; paths are from the folder of its file."""
    if not isinstance(value, str):  # several, with commas between them
        return value
    if key in PATHS:
        own = re.match(r"\w+://", value)
        return value if own else os.path.abspath(path.parent / Path(value).expanduser())  # noqa: PTH100
    if key in NUMBERS and value.isdecimal():
        return int(value)
    return {"true": True, "false": False}.get(value.lower(), value)
