"""Objects of S3 and of stores that speak its protocol, for downloads that go on where they were.

Credentials and the address of the store are what AWS's own tools take: AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY, or a profile (AWS_PROFILE); AWS_ENDPOINT_URL.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from tasks.acquire.resumable import ChangedError, RemoteFile, Stream, TransientError, with_patience
from tasks.common import events
from tasks.common.errors import UserError

CHUNK = 16 << 20  # for each request: a request takes about as long as 1 MB
MD5 = re.compile("[0-9a-f]{32}")  # an ETag of an object that was sent in one piece
CREDENTIALS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


class Listed(NamedTuple):
    """An object, by its name below the prefix that was listed."""

    name: str
    size: int
    etag: str


class Bucket:
    """A bucket, as whoever runs this may see it.

    Raises:
        UserError: where the package for S3, or the profile of AWS, is not there.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.files = _connect(name)

    def look(self, key: str) -> RemoteFile | None:
        """What the store says of an object; None where it has none of that key."""
        try:
            found = self._ask("head_object", key)
        except FileNotFoundError:
            return None
        encrypted = "aws" in found.get("ServerSideEncryption", "") or (
            "SSECustomerAlgorithm" in found
        )
        return self.file(key, found["ContentLength"], found["ETag"], encrypted)

    def file(self, key: str, size: int, etag: str, encrypted: bool | None = None) -> RemoteFile:
        """An object whose facts are known.

        `encrypted`: by a key of its own, so that the ETag is not the MD5 of its content; None:
        it is not known, as a listing does not tell.
        """
        digest = etag.strip('"')
        md5 = digest if MD5.fullmatch(digest) and not encrypted else None
        opening = partial(self._open, key, size, etag)

        def is_md5() -> bool:
            found = self.look(key) if encrypted is None else None
            return found is None or found.md5 is not None

        return RemoteFile(self._address(key), size, etag, opening, md5, is_md5)

    def list(self, prefix: str) -> Iterator[Listed]:
        """The objects below `prefix`, in the order of their keys; none that stands for a folder."""
        more: dict[str, str] = {}
        while True:
            page = self._ask("list_objects_v2", prefix, Prefix=prefix, **more)
            for found in page.get("Contents", ()):
                name = found["Key"][len(prefix) :]
                if name and not (name.endswith("/") and found["Size"] == 0):
                    yield Listed(name, found["Size"], found["ETag"])
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _ask(self, method: str, key: str, **request: str) -> Any:
        """Call a method of the store once it answers."""
        request = request or {"Key": key}

        def call() -> Any:
            with self._errors(key):
                return self.files.call_s3(method, Bucket=self.name, **request)

        return with_patience(call, self._address(key))

    @contextmanager
    def _open(self, key: str, size: int, etag: str, start: int) -> Iterator[Stream]:
        yield Stream(start, self._read(key, size, etag, start))

    def _read(self, key: str, size: int, etag: str, start: int) -> Iterator[bytes]:
        from fsspec.asyn import sync

        while start < size:
            wanted = f"bytes={start}-{min(start + CHUNK, size) - 1}"
            request = {"Bucket": self.name, "Key": key, "Range": wanted, "IfMatch": etag}
            try:
                with self._errors(key):
                    chunk = sync(self.files.loop, _read_object, self.files, request)
            except FileNotFoundError:
                raise ChangedError from None
            if not chunk:
                return
            yield chunk
            start += len(chunk)

    def _address(self, key: str) -> str:
        return f"s3://{self.name}/{key}"

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Turn what s3fs raises into TransientError, ChangedError or UserError.

        FileNotFoundError stays what it is.
        """
        import aiohttp
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        address = self._address(key)
        try:
            yield
        except FileNotFoundError as error:
            if "bucket" in str(error).lower():
                found = "found none of that name"
                raise UserError(f"s3://{self.name}: needs a bucket, {found}") from error
            raise
        except (PermissionError, NoCredentialsError) as error:
            need = f"needs permission to read it: {CREDENTIALS}"
            raise UserError(f"{address}: {need}; the store says: {_words(error)}") from error
        except (BotoCoreError, ClientError, aiohttp.ClientError, OSError) as error:
            if _status(error) == 412:
                raise ChangedError from error
            if _status(error) in range(400, 500):
                raise UserError(f"{address}: the store says: {_words(error)}") from error
            raise TransientError(_words(error)) from error


def _connect(bucket: str) -> Any:
    """s3fs's file system; anonymous where there are no credentials, as for public data."""
    try:
        import botocore.session
        import s3fs
        from botocore.exceptions import BotoCoreError
    except ModuleNotFoundError as error:
        need = f"needs the package {error.name}, found none"
        raise UserError(f"s3://{bucket}: {need}: pip install 'variegate[s3]'") from None
    try:
        anonymous = botocore.session.get_session().get_credentials() is None
    except BotoCoreError as error:  # a profile that is not there, a file that cannot be read
        raise UserError(f"s3://{bucket}: {_words(error)}") from error
    if anonymous:
        events.say(f"s3://{bucket}: read without a login, as public data: no {CREDENTIALS}")
    return s3fs.S3FileSystem(anon=anonymous, use_listings_cache=False, skip_instance_cache=True)


async def _read_object(files: Any, request: dict[str, str]) -> bytes:
    answer = await files._call_s3("get_object", **request)
    async with answer["Body"] as body:
        return bytes(await body.read())


def _status(error: BaseException) -> int:
    """The status of the store's answer; 0 without one."""
    for cause in (error, error.__cause__):
        if response := getattr(cause, "response", None):
            return int(response["ResponseMetadata"].get("HTTPStatusCode", 0))
    return 0


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
