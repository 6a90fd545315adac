"""Downloads of imports: whole or not at all, on from where they were, and no secret is shown."""

import hashlib
import io
import socket
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from tasks.acquire import http_files, remote_sources, resumable
from tasks.acquire.remote_sources import local_copies
from tasks.acquire.s3_files import Bucket, Listed
from tasks.common.errors import UserError
from tests.conftest import Project
from tests.object_store import Store, failing, one_in

DATA = bytes(range(256)) * 4000
LATER = bytes(reversed(DATA))


@dataclass
class Site:
    """A web server with one file, and faults that tests turn on."""

    data: bytes = DATA
    etag: str = '"first"'
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    says_size: bool = True
    statuses: list[int] = field(default_factory=list)  # of the next answers
    cuts: list[int] = field(default_factory=list)  # bytes of the next answers, then the end
    asked: list[str] = field(default_factory=list)  # the Range of each request
    on_request: Callable[[], None] = lambda: None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/photos.zip"


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site = self.site
        site.on_request()
        site.asked.append(self.headers.get("Range", ""))
        status = site.statuses.pop(0) if site.statuses else 200
        start, tag = 0, self.headers.get("If-Range", site.etag)
        if status == 200 and site.ranges and site.asked[-1] and tag == site.etag:
            start, status = int(site.asked[-1].removeprefix("bytes=").rstrip("-")), 206
        body = site.data[start:] if status < 300 else b""
        self.send_response(status)
        if site.says_size:
            self.send_header("Content-Length", str(len(body)))
        if status == 206:
            size = len(site.data)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        for name, value in {"ETag": site.etag, **site.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if site.cuts and len(site.asked) > 1:  # the first request looks, and reads nothing
            body = body[: site.cuts.pop(0)]
        with suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    handler = type("SiteHandler", (Handler,), {"site": site})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        site.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield site
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(resumable, "PAUSES", (0, 0, 0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("VARIEGATE_CACHE", raising=False)


def fetch(*sources: str, max_gb: float = 1) -> bytes:
    """What the last source holds, as an import would see it."""
    with local_copies(sources, Path("data/raw"), max_gb) as local:
        return local.files[-1].read_bytes()


def copies_of(url: str) -> AbstractContextManager[remote_sources.Local]:
    return local_copies([url], Path("data/raw"), 1)


def refused(*sources: str, max_gb: float = 1) -> str:
    with pytest.raises(UserError) as error:
        fetch(*sources, max_gb=max_gb)
    return str(error.value)


def cached() -> list[Path]:
    return [path for path in Path(".variegate/downloads").rglob("*") if path.is_file()]


def test_a_cut_connection_goes_on_where_it_was(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.cuts = [1000, 2000]
    assert fetch(site.url) == DATA
    assert site.asked == ["", "", "bytes=1000-", "bytes=3000-"]
    assert capsys.readouterr().out.count("once more in 0 s") == 2
    assert cached() == []


def test_a_killed_import_goes_on_where_it_was(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.cuts = [5000, 0, 0, 0]
    line = refused(site.url)
    assert line.startswith(f"{site.url}: ") and line.endswith(
        "4 times in a row; what has arrived is kept: the same command goes on from there"
    )
    assert [path.stat().st_size for path in cached()] == [5000]
    site.asked.clear()
    assert fetch(site.url) == DATA
    assert site.asked == ["", "bytes=5000-"]


def test_an_import_that_fails_after_the_download_does_not_fetch_it_again(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    copies = local_copies([site.url], Path("data/raw"), 1)
    with pytest.raises(UserError, match="no archive"), copies:
        raise UserError("no archive")
    (folder,) = Path(".variegate/downloads").iterdir()
    stays = f"what was downloaded stays in {folder}; delete it if it is damaged"
    assert stays in capsys.readouterr().out
    site.asked.clear()
    assert fetch(site.url) == DATA
    assert site.asked == [""]


@pytest.mark.parametrize("how", ["between imports", "between tries"])
def test_a_file_that_changes_is_fetched_from_the_start(
    site: Site, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def change() -> None:
        if len(site.asked) == 2:
            site.data, site.etag = LATER, '"second"'

    if how == "between imports":
        site.cuts = [5000, 0, 0, 0]
        refused(site.url)
        site.data, site.etag = LATER, '"second"'
        site.asked.clear()
    else:
        site.cuts, site.on_request = [5000], change
    assert fetch(site.url) == LATER
    assert "it has changed" in capsys.readouterr().out
    assert list(Path(".variegate/downloads").iterdir()) == []


def test_a_server_without_ranges_gives_it_from_the_start(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.ranges, site.cuts = False, [5000]
    assert fetch(site.url) == DATA
    assert f"{site.url}: the server gives no parts of it: from the start" in capsys.readouterr().out


def test_a_file_of_which_nothing_tells_its_successors_is_fetched_from_the_start(site: Site) -> None:
    for etag in ("", 'W/"weak"'):
        site.etag, site.cuts = etag, [5000]
        site.asked.clear()
        assert fetch(site.url) == DATA
        assert site.asked == ["", "", ""]


def test_what_may_pass_is_tried_again_and_what_does_not_is_one_line(site: Site) -> None:
    site.statuses = [503, 429, 500]
    assert fetch(site.url) == DATA
    site.statuses = [404]
    assert refused(site.url) == f"{site.url}: needs a file, the server answers 404 Not Found"
    site.statuses = [403]
    assert refused(site.url) == (
        f"{site.url}: needs a file, the server answers 403 Forbidden: "
        "it wants a login, or a link that has not expired"
    )
    site.statuses = [503] * 4
    assert refused(site.url).startswith(
        f"{site.url}: the server answers 503 Service Unavailable, 4 times in a row; "
    )


def test_a_truncated_body_is_never_whole(site: Site) -> None:
    site.says_size = False
    assert refused(site.url) == (
        f"{site.url}: needs a server that says how long the file is, found one that does not: "
        "half of it would look like all of it"
    )


def test_bounds_hold_before_and_while_bytes_are_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused(site.url, max_gb=0.001) == (
        f"{site.url}: needs to be at most 0.001 GB (--max-gb), found 1,024,000 bytes"
    )
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10}))
    assert "needs 1,024,000 bytes free on the disk of" in refused(site.url)
    assert cached() == []


def test_more_bytes_than_announced_are_refused(tmp_path: Path) -> None:
    stream = resumable.Stream(0, iter([b"12345", b"6"]))
    file = resumable.RemoteFile("http://x/y", 5, "v", lambda start: nullcontext(stream))
    with pytest.raises(UserError, match="http://x/y: needs at most 5 bytes, found more"):
        resumable.download(file, tmp_path / "y", 0, lambda size: None)
    assert not (tmp_path / "y").exists()


def test_damage_on_the_way_is_found_by_the_md5(tmp_path: Path) -> None:
    md5 = hashlib.md5(b"12345").hexdigest()

    def file(content: bytes) -> resumable.RemoteFile:
        stream = resumable.Stream(0, iter([content]))
        return resumable.RemoteFile("s3://x/y", 5, "v", lambda start: nullcontext(stream), md5)

    with pytest.raises(UserError, match=f"needs bytes of the MD5 {md5}, found .*: damaged"):
        resumable.download(file(b"12344"), tmp_path / "y", 0, lambda size: None)
    resumable.download(file(b"12345"), tmp_path / "y", 0, lambda size: None)
    assert (tmp_path / "y").read_bytes() == b"12345"


def test_an_etag_that_no_request_can_carry_tells_nothing(site: Site) -> None:
    site.etag, site.cuts = '"caf\u00e9"', [5000]
    assert fetch(site.url) == DATA
    assert site.asked == ["", "", ""]


def test_a_server_that_refuses_a_range_nobody_asked_for_is_one_line(site: Site) -> None:
    site.statuses = [416]
    answer = "416 Requested Range Not Satisfiable"
    assert refused(site.url) == f"{site.url}: needs a file, the server answers {answer}"


def test_what_will_not_pass_is_told_at_once(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secure = site.url.replace("http://", "https://")
    line = f"{secure}: needs a server that speaks https at this port, found another: "
    assert refused(secure).startswith(line)
    for code, sentence in (
        (socket.EAI_NONAME, "needs a host that exists: "),
        (socket.EAI_AGAIN, ""),
    ):
        error = socket.gaierror(code, "told by the resolver")
        monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=error))
        text = refused("http://photos.example/x.zip")
        assert text.startswith(f"http://photos.example/x.zip: {sentence}")
        assert ("4 times in a row" in text) == (capsys.readouterr().out.count("once more") == 3)
        assert ("4 times in a row" in text) == (sentence == "")


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("https://me:secret@[bad/x", "https://...: needs an address, such as {}: Invalid IPv6 URL"),
        ("s3://[bad", "s3://...: needs an address, such as {}: Invalid IPv6 URL"),
        ("https://", "https://: needs the name of a host, as in {}"),
        (
            "https://me:sec/ret@host/x",
            "https://...: needs a number as port; in a password / is written %2F, and @ %40",
        ),
    ],
)
def test_what_is_no_address_is_one_line(address: str, line: str) -> None:
    assert refused(address) == line.format("https://example.org/photos.zip")


def test_capital_letters_of_a_scheme_change_nothing(site: Site) -> None:
    assert fetch(site.url.replace("http", "HTTP")) == DATA
    assert refused("S3://") == "s3://: needs the name of a bucket: s3://BUCKET/KEY"


def test_redirections_stay_in_the_web(site: Site) -> None:
    site.statuses, site.headers = [302], {"Location": "file:///etc/passwd"}
    assert refused(site.url).startswith(f"{site.url}: needs ")
    site.headers = {"Location": "http://127.0.0.1:1/elsewhere"}
    request = http_files.httpx.Request("GET", "http://example.org/x")
    with pytest.raises(UserError, match="needs redirections to https, found one to http://ex"):
        http_files._require_web("https://example.org/x", request)


def test_no_secret_of_an_address_is_shown(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "correct-horse-battery"
    url = site.url.replace("127", f"me:{secret}@127") + f"?signature={secret}"
    site.statuses, site.cuts = [503], [1000, 5, 0, 0, 0]
    line = refused(url)
    site.statuses = [404]
    said = [line, refused(url), capsys.readouterr().out, *map(str, cached())]
    assert f"http://127.0.0.1:{site.port}/photos.zip?...: " in line
    assert not any(secret in text for text in said)
    assert secret.encode() not in b"".join(path.read_bytes() for path in cached())
    assert fetch(url) == DATA
    assert refused(f"s3://me:{secret}@bucket/x") == (
        "s3://bucket/x: needs no login in the address: "
        "it comes from the environment or AWS's profile"
    )
    assert refused("gs://bucket/x") == (
        "gs://bucket/x: needs https://, http://, s3:// or a local file"
    )


def test_two_imports_of_one_address_do_not_mix(site: Site) -> None:
    with local_copies([site.url], Path("data/raw"), 1):
        assert refused(site.url) == (
            f"{site.url}: needs to be downloaded by one import at a time, found another one at work"
        )


def test_nothing_is_downloaded_for_a_folder_that_holds_files(site: Site) -> None:
    Path("data/raw").mkdir(parents=True)
    Path("data/raw/1.png").touch()
    assert refused(site.url).startswith("data/raw: needs to be empty for an import")
    assert site.asked == []


def listed(*names: str) -> list[Listed]:
    return [Listed(name, 1, '"etag"') for name in names]


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["a/1.png", "../2.png"], "'../2.png' leads out of its folder"),
        (["/1.png"], "'/1.png' needs a relative name"),
        (["a\\1.png"], r"'a\\1.png' needs a name without backslashes and drive letters"),
        (["a/1.png", "a//1.png"], "'a//1.png' needs a place of its own: another file has it"),
        (["a/b", "a/b/c/1.png"], "'a/b' needs a place of its own: it is a folder as well"),
        ([], "needs an object of this name or files below it, found none"),
    ],
)
def test_names_of_objects_are_not_trusted(names: list[str], line: str) -> None:
    with pytest.raises(UserError) as error:
        remote_sources._tree_of("s3://bucket/set", iter(listed(*names)))
    assert str(error.value) == f"s3://bucket/set: {line}"


def test_an_archive_of_the_web_is_imported_as_one_of_the_disk(project: Project, site: Site) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("cat/1.png", b"1")
    site.data = packed.getvalue()
    done = project.variegate_here("import", site.url)
    assert (done.stdout, done.stderr) == ("wrote 1 file to data/raw\n", "")
    assert project.path("data/raw/cat/1.png").read_bytes() == b"1"
    assert list(project.path(".variegate/downloads").iterdir()) == []


# --- S3 -------------------------------------------------------------------------------------------


@pytest.fixture
def login(s3_server: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server


def test_a_prefix_of_a_failing_store_is_a_folder_tree(
    project: Project, login: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = login.make_bucket("tree")
    files = {f"set/train/cat {number % 2}/{number}.png": b"%d" % number for number in range(40)}
    for key, data in {**files, "set/.DS_Store": b"x", "settled/1.png": b"x"}.items():
        login.put(bucket, key, data)
    with failing(login, one_in(10, seed=5)) as proxy:
        done = project.variegate_here(
            "import", f"s3://{bucket}/set", AWS_ENDPOINT_URL=proxy.store.url
        )
        assert proxy.faults
    left_out = "1 file of systems and editors left out, .DS_Store for one"
    assert done.stdout.splitlines()[-1] == f"wrote 40 files to data/raw; {left_out}"
    assert {
        f"set/{path.relative_to(project.path('data/raw'))}": path.read_bytes()
        for path in project.path("data/raw").rglob("*.png")
    } == files
    assert list(project.path(".variegate/downloads").iterdir()) == []


def test_files_of_a_prefix_that_are_here_are_not_fetched_again(login: Store) -> None:
    bucket = login.make_bucket("again")
    for number in range(20):
        login.put(bucket, f"set/{number}.png", b"%d" % number)
    with failing(login, lambda request: None) as proxy, pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_ENDPOINT_URL", proxy.store.url)
        with pytest.raises(UserError, match="stop"), copies_of(f"s3://{bucket}/set") as local:
            assert local.tree is not None and len(list(local.tree.iterdir())) == 20
            raise UserError("stop")
        login.put(bucket, "set/7.png", b"other")
        proxy.requests.clear()
        with copies_of(f"s3://{bucket}/set") as local:
            assert local.tree is not None
            assert (local.tree / "7.png").read_bytes() == b"other"
            assert (local.tree / "8.png").read_bytes() == b"8"
        assert [path for method, path in proxy.requests if path.endswith(".png")] == [
            f"/{bucket}/set/7.png"
        ]


def test_an_object_goes_on_where_it_was_and_is_compared_with_its_md5(
    login: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.acquire.s3_files.CHUNK", 100_000)
    bucket = login.make_bucket("object")
    login.put(bucket, "photos.zip", DATA)
    with failing(login, lambda request: None) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.store.url)
        target, seen = Path("photos.zip"), []
        file = Bucket(bucket).look("photos.zip")
        assert file is not None and file.md5 == hashlib.md5(DATA).hexdigest()

        def advance(size: int) -> None:
            seen.append(size)
            if len(seen) == 3:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            resumable.download(file, target, 0, advance)
        assert resumable.arrived(target) == 300_000
        proxy.requests.clear()
        resumable.download(file, target, 0, seen.append)
        assert (target.read_bytes(), sum(seen)) == (DATA, len(DATA))
        assert proxy.requests["GET", f"/{bucket}/photos.zip"] == 8
        login.put(bucket, "photos.zip", LATER)
        with pytest.raises(resumable.ChangedError):
            resumable.download(file, Path("other"), 0, seen.append)


def test_an_etag_that_is_no_md5_is_not_taken_for_damage(
    login: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Amazon's ETags of objects encrypted by KMS look like MD5s; the listing does not tell them."""
    bucket = login.make_bucket("encrypted")
    for key in ("set/plain.png", "set/kms.png"):
        login.put(bucket, key, b"1")
    ask, kms = Bucket._ask, {"ServerSideEncryption": "aws:kms"}

    def answer(self: Bucket, method: str, key: str, **request: str) -> dict[str, Any]:
        found: dict[str, Any] = ask(self, method, key, **request)
        return {**found, **(kms if key == "set/kms.png" else {})}

    monkeypatch.setattr(Bucket, "_ask", answer)
    monkeypatch.setattr(Bucket, "_read", lambda self, key, size, etag, start: iter([b"2"]))
    files = {
        found.name: Bucket(bucket).file(f"set/{found.name}", found.size, found.etag)
        for found in Bucket(bucket).list("set/")
    }
    resumable.download(files["kms.png"], Path("kms.png"), 0, lambda size: None)
    assert Path("kms.png").read_bytes() == b"2"
    with pytest.raises(UserError, match="damaged on the way"):
        resumable.download(files["plain.png"], Path("plain.png"), 0, lambda size: None)


def test_what_a_store_refuses_is_one_line(login: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = login.make_bucket("refuse")
    login.put(bucket, "x", b"x")
    need = "needs an object of this name or files below it, found none"
    assert refused(f"s3://{bucket}/none.zip") == f"s3://{bucket}/none.zip: {need}"
    assert refused("s3://no-bucket/x") == "s3://no-bucket: needs a bucket, found none of that name"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert refused(f"s3://{bucket}/x") == (
        f"s3://{bucket}: The config profile (nobody) could not be found"
    )
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "")
    assert "needs permission to read it: AWS_ACCESS_KEY_ID and" in refused(f"s3://{bucket}/x")


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    assert refused("s3://bucket/x") == (
        "s3://bucket: needs the package s3fs, found none: pip install 'variegate[s3]'"
    )
