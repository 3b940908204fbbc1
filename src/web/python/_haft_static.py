"""Files below a URL for servers that have no such thing: GET and HEAD, with their type, length and
time."""

from __future__ import annotations

import email.utils
import mimetypes
import os
import stat

TYPE_CHECKING = False  # typing is not loaded for it
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Iterable, Iterator

_BLOCK = 1 << 16


class StaticFiles:
    """A WSGI application in front of another one."""

    def __init__(self, application: Any, directories: list[tuple[str, str]]) -> None:
        self._application = application
        # The longer URL first.
        resolved = [(url.rstrip("/") + "/", os.path.realpath(path)) for url, path in directories]
        self._directories = sorted(resolved, reverse=True)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
        for url, directory in self._directories:
            if path == url[:-1] and os.path.isfile(directory):
                return self._answer(directory, directory, environ, start_response)
            if path.startswith(url):
                return self._answer(
                    os.path.join(directory, path[len(url) :]), directory, environ, start_response
                )
        return self._application(environ, start_response)

    def _answer(
        self, name: str, directory: str, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _refuse(start_response, "405 Method Not Allowed", [("Allow", "GET, HEAD")])
        try:
            # Links are followed, but not out of the directory.
            real = os.path.realpath(name)
            if "\0" in name or os.path.commonpath([real, directory]) != directory:
                raise FileNotFoundError
            file = open(real, "rb")  # noqa: SIM115  # closed behind the answer
        except (OSError, ValueError):
            return _refuse(start_response, "404 Not Found")
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            file.close()
            return _refuse(start_response, "404 Not Found")
        kind, encoding = mimetypes.guess_type(real)
        modified = email.utils.formatdate(status.st_mtime, usegmt=True)
        headers = [
            ("Content-Type", kind or "application/octet-stream"),
            ("Last-Modified", modified),
        ]
        if encoding:
            headers.append(("Content-Encoding", encoding))
        if environ.get("HTTP_IF_MODIFIED_SINCE") == modified:
            file.close()
            start_response("304 Not Modified", headers)
            return []
        headers.append(("Content-Length", str(status.st_size)))
        start_response("200 OK", headers)
        if environ["REQUEST_METHOD"] == "HEAD":
            file.close()
            return []
        wrapper = environ.get("wsgi.file_wrapper")
        return wrapper(file, _BLOCK) if wrapper else _blocks(file)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while data := file.read(_BLOCK):
            yield data


def _refuse(
    start_response: Any, status: str, headers: Iterable[tuple[str, str]] = ()
) -> list[bytes]:
    body = (status + "\n").encode()
    start_response(
        status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *headers]
    )
    return [body]
