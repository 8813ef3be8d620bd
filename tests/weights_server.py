"""A file server on loopback that breaks off, forgets what a Range is, or changes its files."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme


@dataclass
class Served:
    """What the next answers are. `requests`: path, Range, If-Range of each."""

    base: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)  # break off after so many bytes, one each time
    ranges: bool = True
    if_range: bool = True  # False: parts of any file, whatever was asked for
    etags: bool = True
    lengths: bool = True
    statuses: list[int] = field(default_factory=list)
    location: str = ""
    requests: list[tuple[str, str, str]] = field(default_factory=list)

    def etag(self, path: str) -> str:
        return f'"{hashlib.md5(self.files[path]).hexdigest()}"'


class _Handler(BaseHTTPRequestHandler):
    served: Served

    def do_GET(self) -> None:
        served, wanted = self.served, self.headers.get("range", "")
        served.requests.append((self.path, wanted, self.headers.get("if-range", "")))
        if served.location:
            self._head(302, 0, {"Location": served.location})
        elif served.statuses:
            self._head(served.statuses.pop(0), 0)
        elif self.path not in served.files:
            self._head(404, 0)
        else:
            self._file(served.files[self.path], wanted)

    def _file(self, data: bytes, wanted: str) -> None:
        served = self.served
        tag = {"ETag": served.etag(self.path)} if served.etags else {}
        condition = self.headers.get("if-range", "")
        same = not served.if_range or condition in ("", tag.get("ETag"))
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0) if wanted else 0
        if wanted and served.ranges and same:
            if start >= len(data):
                self._head(416, 0, {"Content-Range": f"bytes */{len(data)}"})
                return
            span = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self._head(206, len(data) - start, tag | {"Content-Range": span})
        else:
            start = 0
            self._head(200, len(data), tag)
        cut = served.cuts.pop(0) if served.cuts else len(data)
        self.wfile.write(data[start : start + cut])
        self.close_connection = True

    def _head(self, status: int, length: int, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        if self.served.lengths:
            self.send_header("Content-Length", str(length))
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(certificate: trustme.LeafCert | None = None) -> Iterator[Served]:
    served = Served()
    handler = type("Handler", (_Handler,), {"served": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    scheme = "http"
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    served.base = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def certificate(folder: Path) -> tuple[Path, trustme.LeafCert]:
    """The authority's certificate, as a file in `folder`, and one of its own for 127.0.0.1."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return folder / "ca.pem", authority.issue_cert("127.0.0.1")
