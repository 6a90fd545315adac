"""Sources of an import that lie elsewhere: https://, http:// and s3:// addresses.

They are downloaded into the private cache, from where they are imported as local files are. After
an import that failed they stay there, whole or not, for the next one.
"""

import fcntl
import hashlib
import io
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from tasks.acquire import http_files
from tasks.acquire.archives import MAX_MEMBERS, Member, plain_parts
from tasks.acquire.folder_names import safe_name
from tasks.acquire.resumable import ChangedError, RemoteFile, arrived, download, with_patience
from tasks.acquire.s3_files import Bucket, Listed
from tasks.common import events, machine
from tasks.common.errors import UserError
from tasks.common.temporary import atomic_folder, require_empty
from tasks.dataset import clutter
from tasks.dataset.clutter import is_clutter, is_document
from tasks.dataset.raw_files import list_files

ADDRESS = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]+)://")
SIGNED = re.compile(  # what signatures of Amazon's, Google's and Azure's links change
    r"X-(Amz|Goog)-.*|AWSAccessKeyId|GoogleAccessId|Signature|Expires|Policy|Key-Pair-Id"
    r"|s(ig|e|t|p|v|r|ks|ke|kt)",
    re.IGNORECASE,
)
SCHEMES = ("https", "http", "s3")
EXAMPLE = "https://example.org/photos.zip"
AT_ONCE = 16  # downloads: a small file takes a round trip, whatever its size
BATCH = 1000
TRIES = 3  # for a file that changes while it is downloaded
MAX_NAME = 100  # characters


@dataclass(frozen=True)
class Local:
    """What is here: files, or instead the folder of a prefix; and the clutter left out of it."""

    files: list[Path]
    tree: Path | None = None
    clutter: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tree:
    """The files of a prefix, each with its place below it, and the clutter that is left out."""

    files: dict[str, Listed]  # by place
    clutter: tuple[str, ...]


@contextmanager
def local_copies(sources: Sequence[str], folder: Path, max_gb: float) -> Iterator[Local]:
    """Give what `sources` name as local files; addresses among them are downloaded.

    Downloads are removed when the block ends without an error.

    Args:
        sources: paths and addresses.
        folder: what they will fill; it has to be empty before anything is downloaded.
        max_gb: the most that a download may be, in 10^9 bytes.

    Raises:
        UserError: where one cannot be had.
    """
    for source in sources:
        _require_known(source)
    sources = [ADDRESS.sub(lambda found: found[0].lower(), s) for s in sources]
    if not any(map(ADDRESS.match, sources)):
        yield Local([Path(source) for source in sources])
        return
    require_empty(folder, "an import")
    with ExitStack() as locks:
        addresses = dict.fromkeys(source for source in sources if ADDRESS.match(source))
        places = [locks.enter_context(_place(url)) for url in addresses]
        local = _fetch_all(sources, int(max_gb * 1e9))
        try:
            yield local
        except UserError:
            kept = ", ".join(map(str, places))
            events.say(f"what was downloaded stays in {kept}; delete it if it is damaged")
            raise
        for place in places:
            shutil.rmtree(place)


def _fetch_all(sources: Sequence[str], most: int) -> Local:
    files = []
    for source in sources:
        if not ADDRESS.match(source):
            files.append(Path(source))
        elif not source.startswith("s3://"):
            files.append(_fetch_file(partial(http_files.look, source), source, most))
        else:
            bucket, key = _parts_of(source)
            if key and not key.endswith("/") and bucket.look(key):
                files.append(_fetch_file(partial(_look_again, bucket, key), source, most))
                continue
            if len(sources) > 1:
                raise UserError(f"{source}: needs to be the only source, found {len(sources)}")
            return _fetch_tree(bucket, key, source, most)
    return Local(files)


def move_tree(tree: Path, folder: Path) -> int:
    """Make `folder`, which has to be empty, what `tree` is: everything or nothing.

    Returns:
        How many files it holds.
    """
    files = sum(1 for _ in list_files(tree))
    with atomic_folder(folder, "an import") as temporary:
        for path in tree.iterdir():
            shutil.move(path, temporary)
    return files


def _require_known(source: str) -> None:
    """Raises UserError for an address of another kind, or with a login that a store ignores."""
    found = ADDRESS.match(source)
    if found is None:
        return
    # of what follows no part can be told to be no secret
    try:
        parts = urlsplit(source)
    except ValueError as error:
        need = f"needs an address, such as {EXAMPLE}"
        raise UserError(f"{found[0]}...: {need}: {error}") from None
    try:
        _ = parts.port
    except ValueError:
        need = "needs a number as port; in a password / is written %2F, and @ %40"
        raise UserError(f"{found[0]}...: {need}") from None
    if found[1].lower() not in SCHEMES:
        need = "needs https://, http://, s3:// or a local file"
        raise UserError(f"{http_files.shown(source)}: {need}")
    if parts.scheme == "s3" and "@" in parts.netloc:
        need = "needs no login in the address: it comes from the environment or AWS's profile"
        raise UserError(f"{http_files.shown(source)}: {need}")
    if parts.scheme != "s3" and not parts.hostname:
        raise UserError(f"{http_files.shown(source)}: needs the name of a host, as in {EXAMPLE}")


# --- files ----------------------------------------------------------------------------------------


def _fetch_file(look: Callable[[], RemoteFile], url: str, most: int) -> Path:
    """Download a file; the path of what was downloaded."""
    for _ in range(TRIES):
        file = with_patience(look, http_files.shown(url))
        target = _target_of(file, url)
        _require_room(file.address, file.size, arrived(target), most)
        total = file.size or 0
        try:
            with events.Progress(total, "downloading", "byte", arrived(target)) as progress:
                download(file, target, most, progress.advance)
        except ChangedError:
            events.say(f"{file.address}: it has changed meanwhile: from the start")
            continue
        return target
    raise UserError(f"{file.address}: needs to stay the same while it is downloaded; try later")


def _target_of(file: RemoteFile, url: str) -> Path:
    """Where a version of a file belongs; what is here of other versions is removed."""
    folder = _folder_of(url) / _digest(file.version)
    for other in _folder_of(url).iterdir():
        if other.is_dir() and (other != folder or not file.version):
            shutil.rmtree(other)
            why = "it has changed" if file.version else "the server does not say if it has changed"
            events.say(f"{file.address}: {why} since a part of it was downloaded: from the start")
    name = safe_name(unquote(urlsplit(url).path.rpartition("/")[2]))[-MAX_NAME:]
    return folder / (name or "download")


def _look_again(bucket: Bucket, key: str) -> RemoteFile:
    found = bucket.look(key)
    if found is None:
        raise UserError(f"s3://{bucket.name}/{key}: needs an object, found none any more")
    return found


def _require_room(address: str, size: int | None, here: int, most: int) -> None:
    """Raises UserError where a download is larger than allowed, or than the disk has room for."""
    if size is None:
        return
    if size > most:
        need = f"needs to be at most {most / 1e9:g} GB (--max-gb)"
        raise UserError(f"{address}: {need}, found {size:,} bytes")
    cache = machine.cache_folder()
    free = shutil.disk_usage(cache).free
    if size - here > free:
        need = f"needs {size - here:,} bytes free on the disk of {cache.absolute()}"
        raise UserError(f"{address}: {need} (VARIEGATE_CACHE), found {free:,}")


# --- prefixes -------------------------------------------------------------------------------------


def _fetch_tree(bucket: Bucket, key: str, url: str, most: int) -> Local:
    """Download all files below a prefix, and lay them out as it has them."""
    prefix = f"{key.rstrip('/')}/" if key else ""
    tree = _tree_of(url, bucket.list(prefix))
    folder = _folder_of(url)
    targets = {place: _place_of(folder, listed) for place, listed in tree.files.items()}
    here = sum(map(arrived, targets.values()))
    total = sum(listed.size for listed in tree.files.values())
    _require_room(url, total, here, most)
    with events.Progress(total, "downloading", "byte", here) as progress:
        jobs = [
            (bucket.file(prefix + listed.name, listed.size, listed.etag), targets[place])
            for place, listed in tree.files.items()
            if not targets[place].exists()
        ]
        _download_all(jobs, progress)
    laid_out = folder / "tree"
    shutil.rmtree(laid_out, ignore_errors=True)
    for place, target in targets.items():
        path = laid_out / place
        path.parent.mkdir(parents=True, exist_ok=True)
        _link_or_copy(target, path)
    parquet = [place for place in targets if place.endswith(".parquet")]
    others = (place for place in targets if not place.endswith(".parquet"))
    if parquet and all(map(is_document, others)):
        return Local([laid_out / place for place in parquet])
    return Local([], laid_out, tree.clutter)


def _tree_of(url: str, listing: Iterator[Listed]) -> Tree:
    """What is listed, checked: names are not trusted, as those in archives are not.

    Raises:
        UserError: where a name is refused, two files want one place, or there is no file.
    """
    files: dict[str, Listed] = {}
    left_out = []
    for listed in listing:
        member = Member(url, listed.name, "file", io.BytesIO)
        place = "/".join(plain_parts(member))
        if is_clutter(place):
            left_out.append(place)
        elif place in files:
            raise member.refusal("needs a place of its own: another file has it")
        else:
            files[place] = listed
        if len(files) > MAX_MEMBERS:
            raise UserError(f"{url}: needs to hold at most {MAX_MEMBERS:,} files, found more")
    if not files:
        found = f"none ({clutter.words(clutter.count(left_out))})" if left_out else "none"
        raise UserError(f"{url}: needs an object of this name or files below it, found {found}")
    folders = {place.rpartition("/")[0] for place in files}
    while folders:
        if both := min(folders & files.keys(), default=None):
            raise UserError(f"{url}: {both!r} needs a place of its own: it is a folder as well")
        folders = {folder.rpartition("/")[0] for folder in folders if "/" in folder}
    return Tree(files, tuple(left_out))


def _place_of(folder: Path, listed: Listed) -> Path:
    """Where a file is kept until all are there: a name of its own for each version of it."""
    name = _digest(f"{listed.name}\n{listed.size}\n{listed.etag}")
    return folder / "files" / name[:2] / name


def _download_all(jobs: list[tuple[RemoteFile, Path]], progress: events.Progress) -> None:
    """Download files, several at once; the first error stops the others where they are."""
    lock, stopped = threading.Lock(), threading.Event()

    def advance(size: int) -> None:
        if stopped.is_set():
            raise _StoppedError
        with lock:
            progress.advance(size)

    def fetch(job: tuple[RemoteFile, Path]) -> None:
        file, target = job
        try:
            download(file, target, 0, advance)
        except ChangedError:
            problem = "needs to stay the same while it is downloaded"
            raise UserError(f"{file.address}: {problem}; the same command fetches it") from None

    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        for first in range(0, len(jobs), BATCH):  # a million futures at once would take a gigabyte
            list(pool.map(fetch, jobs[first : first + BATCH]))
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)


class _StoppedError(Exception):
    """Another download has failed."""


# --- the cache ------------------------------------------------------------------------------------


def _folder_of(url: str) -> Path:
    """The folder in the cache for what comes from an address; its name does not tell which.

    A signed link that was signed anew is the same address: the old one may have expired.
    """
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query) if not SIGNED.fullmatch(pair[0])]
    return machine.cache_folder() / "downloads" / _digest(f"{http_files.shown(url)} {query}")


@contextmanager
def _place(url: str) -> Iterator[Path]:
    """Make the folder for what comes from an address, and keep other processes out of it."""
    folder = _folder_of(url)
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, url)
        yield folder
    finally:
        os.close(handle)


def _lock(handle: int, url: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        need = "needs to be downloaded by one import at a time"
        raise UserError(f"{http_files.shown(url)}: {need}, found another one at work") from None
    except OSError:  # no locks in this file system
        return


def _parts_of(url: str) -> tuple[Bucket, str]:
    name, _, key = url.removeprefix("s3://").partition("/")
    if not name:
        raise UserError(f"{url}: needs the name of a bucket: s3://BUCKET/KEY")
    return Bucket(name), key


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # no links in this file system
        shutil.copyfile(source, target)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
