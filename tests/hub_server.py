"""The HTTP server of the stand-in Hub: reads requests, lets faults happen, sends replies."""

import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from hub_faults import Cut, Faults, Slow, Status
from hub_store import Refused
from hub_wire import Call, Logged, Reply, Route, error_reply

BLOCK: Final = 1 << 20
"""Bytes read or sent at a time."""

LOGGED_HEADERS: Final = ("range", "user-agent", "content-type", "x-hf-download-counter")


class Site:
    """Routes, faults and the log of one server. What is answered is answered one at a time."""

    def __init__(self, routes: Iterable[Route], incoming: Callable[[], Path]) -> None:
        self.routes = tuple(routes)
        self.incoming = incoming
        self.faults = Faults()
        self.log: list[Logged] = []
        self.failures: list[str] = []
        self.closing = threading.Event()
        self.lock = threading.RLock()
        self.account_of: Callable[[str], str | None] = lambda _: None
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.site = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and wait until every request has ended."""
        self.closing.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    def find(self, method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
        wanted = "GET" if method == "HEAD" else method
        for route in self.routes:
            if route.method == wanted and (match := route.pattern.fullmatch(path)):
                return route, tuple(unquote(group or "") for group in match.groups())
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128
    site: Site

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_args: object) -> None:
        """Note what is a defect; that a client went away, or was cut off, is none."""
        if not isinstance(sys.exception(), OSError):
            self.site.failures.append(traceback.format_exc())

    def hang_up(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class _Broken(Exception):
    """The connection was cut on purpose."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = BLOCK
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the log is the site's."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, _Broken):
            self.close_connection = True

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def _serve(self) -> None:
        site, split = self.server.site, urlsplit(self.path)
        self.action = site.faults.take(self.command, self.path)
        self.received = self.sent = self.status = 0
        headers = {name.lower(): text for name, text in self.headers.items()}
        scheme, _, token = headers.get("authorization", "").partition(" ")
        query = {name: texts[-1] for name, texts in parse_qs(split.query).items()}
        call = Call(self.command, split.path, query, headers, token if scheme == "Bearer" else None)
        self._recorded = False
        try:
            self._answer(call)
        finally:
            self._record(call)
            if call.file is not None:
                call.file.unlink(missing_ok=True)

    def _record(self, call: Call) -> None:
        """Write the log before the last byte leaves: who has the reply can read of it there."""
        if self._recorded:
            return
        self._recorded = True
        headers = {name: call.headers[name] for name in LOGGED_HEADERS if name in call.headers}
        account = self.server.site.account_of(call.token) if call.token else None
        counts = (self.status, self.received, self.sent, self.action)
        query = urlsplit(self.path).query
        self.server.site.log.append(
            Logged(call.method, call.path, query, headers, account, *counts)
        )

    def _answer(self, call: Call) -> None:
        found = self.server.site.find(call.method, call.path)
        self._read(call, to_file=found is not None and found[0].body_to_file)
        match self.action:
            case Cut("before"):
                self._break()
            case Status(status, message, code, wait):
                more = {} if wait is None else {"Retry-After": str(wait)}
                self._send(call, error_reply(status, message, code, more))
                return
        if found is None:
            reply = error_reply(404, f"The stand-in does not know {call.method} {call.path}")
        else:
            reply = self._reply(found[0], call, found[1])
        if isinstance(self.action, Cut) and self.action.when == "after":
            self._break()
        self._send(call, reply)

    def _reply(self, route: Route, call: Call, groups: tuple[str, ...]) -> Reply:
        try:
            if route.body_to_file:
                return route.answer(call, *groups)
            with self.server.site.lock:
                return route.answer(call, *groups)
        except Refused as refused:
            return error_reply(refused.status, refused.message, refused.code)
        except Exception:
            self.server.site.failures.append(traceback.format_exc())
            return error_reply(500, "the stand-in has a defect")

    def _read(self, call: Call, *, to_file: bool) -> None:
        """Read the body, to memory or to a file."""
        if not to_file:
            call.content = b"".join(self._blocks())
            return
        call.file = self.server.site.incoming()
        with call.file.open("wb") as file:
            file.writelines(self._blocks())

    def _blocks(self) -> Iterable[bytes]:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while size := int(self.rfile.readline().strip() or b"0", 16):
                yield from self._exactly(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            yield from self._exactly(int(self.headers.get("Content-Length") or 0))

    def _exactly(self, size: int) -> Iterable[bytes]:
        cut = self.action if isinstance(self.action, Cut) else Cut()
        limit = cut.after_bytes if cut.when == "receiving" else None
        while size and (limit is None or self.received < limit):
            left = size if limit is None else min(size, limit - self.received)
            if not (block := self.rfile.read1(min(left, BLOCK))):
                raise ConnectionResetError
            self.received += len(block)
            size -= len(block)
            yield block
        if limit is not None and self.received >= limit:
            self._break()

    def _send(self, call: Call, reply: Reply) -> None:
        self.status = reply.status
        self.send_response(reply.status)
        for name, text in reply.headers.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(reply.size))
        self.end_headers()
        if self.command != "HEAD":
            for block in self._parts(reply):
                self._pause(len(block))
                self.wfile.write(block)
                self.sent += len(block)
        self._record(call)
        self.wfile.flush()

    def _parts(self, reply: Reply) -> Iterable[bytes]:
        cut = self.action if isinstance(self.action, Cut) else Cut()
        left = min(reply.size, cut.after_bytes) if cut.when == "sending" else reply.size
        block = BLOCK
        if isinstance(self.action, Slow):
            block = max(1, min(BLOCK, int(self.action.bytes_per_second / 20)))
        if reply.file is None:
            yield from (reply.content[at : min(at + block, left)] for at in range(0, left, block))
        else:
            with reply.file.open("rb") as file:
                file.seek(reply.start)
                while left:
                    part = file.read(min(left, block))
                    left -= len(part)
                    yield part
        if cut.when == "sending":
            self.wfile.flush()
            self._break(politely=True)

    def _pause(self, size: int) -> None:
        if isinstance(self.action, Slow):
            self.wfile.flush()
            if self.server.site.closing.wait(size / self.action.bytes_per_second):
                self._break()

    def _break(self, *, politely: bool = False) -> None:
        """Drop the connection; not politely is with a reset, as a router that loses its power."""
        if politely:
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        raise _Broken
