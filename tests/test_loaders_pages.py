"""A stream whose connection is lost is read again from where it was, or ends in one line."""

import contextlib
import http.client
import http.server
import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import fsspec
import pytest
from loader_data import row, table, write_shard

from sousa.loaders.pages import Backoff, is_transient
from sousa.loaders.streams import Stream, Window

COLUMNS = ("sample_id", "audio")


def ids(windows: Iterator[Window]) -> list[str]:
    return [name for window in windows for name in window.table.column("sample_id").to_pylist()]


class Server(http.server.BaseHTTPRequestHandler):
    """Ranges of one file; hangs up in the middle of every answer whose turn it is."""

    content = b""
    cut: Callable[[int], bool]
    answers = 0

    def do_GET(self) -> None:
        server = type(self)
        server.answers += 1
        first, last = (int(at) for at in self.headers["Range"][6:].split("-"))
        body = server.content[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if server.cut(server.answers) else body)

    def log_message(self, *_: object) -> None:
        pass


class Loopback(fsspec.AbstractFileSystem):
    """Files of a server on this machine, as `datasets` reads remote ones: range by range."""

    protocol = "loopback"
    cachable = False

    def info(self, path: str, **_: object) -> dict[str, Any]:
        return {"name": path, "size": len(Server.content), "type": "file"}

    def _open(self, path: str, mode: str = "rb", **_: object) -> io.BufferedIOBase:
        return LoopbackFile(self, path, mode, block_size=4096, cache_type="none")


class LoopbackFile(fsspec.spec.AbstractBufferedFile):
    def _fetch_range(self, start: int, end: int) -> bytes:
        host = self.path.removeprefix("loopback://").split("/")[0]
        with contextlib.closing(http.client.HTTPConnection(host, timeout=5)) as connection:
            connection.request("GET", "/", headers={"Range": f"bytes={start}-{end - 1}"})
            return connection.getresponse().read()


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[datasets.IterableDataset]:
    """One file behind a server."""
    fsspec.register_implementation("loopback", Loopback, clobber=True)
    write_shard(
        tmp_path / "x.parquet", table("audio_16k", [row("audio_16k", i) for i in range(16)])
    )
    Server.content = (tmp_path / "x.parquet").read_bytes()
    Server.cut, Server.answers = staticmethod(lambda _: False), 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"loopback://127.0.0.1:{server.server_port}/x.parquet"
        yield datasets.load_dataset("parquet", data_files=url, split="train", streaming=True)
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_lost_connection_is_taken_up_again(
    remote: datasets.IterableDataset, shuffle: bool
) -> None:
    whole = ids(Stream(remote, COLUMNS).windows(0, 0, shuffle=shuffle))
    assert len(whole) == 16
    Server.cut = staticmethod(lambda answer: answer % 7 == 3)
    stream = Stream(remote, COLUMNS, backoff=Backoff(9, 0))
    assert ids(stream.windows(0, 0, shuffle=shuffle)) == whole


@pytest.mark.parametrize("mapped", [False, True])
def test_rows_before_the_loss_come_no_second_time(mapped: bool) -> None:
    """In the middle of a page, with the dataset's own state and without."""
    left = [33, 20, 20, 7]

    def names() -> Iterator[dict[str, str]]:
        for index in range(40):
            if left and index == left[-1]:
                left.pop()
                raise ConnectionResetError("hung up")
            yield {"sample_id": f"{index}"}

    dataset = datasets.IterableDataset.from_generator(names)
    dataset = dataset.map(lambda example: example) if mapped else dataset.repeat(1)
    stream = Stream(dataset, ("sample_id",), backoff=Backoff(3, 0))
    assert ids(stream.windows(0, 0, shuffle=False)) == [f"{index}" for index in range(40)]
    assert left == []


def test_a_connection_that_stays_lost_is_one_line(remote: datasets.IterableDataset) -> None:
    Server.cut = staticmethod(lambda _: True)
    stream = Stream(remote, COLUMNS, "drums", backoff=Backoff(3, 0))
    with pytest.raises(ConnectionError, match=r"^drums, shard 0: .* in 3 tries: .*; check the .*$"):
        list(stream.windows(0, 0, shuffle=True))


def test_a_pause_ends_when_reading_is_stopped(remote: datasets.IterableDataset) -> None:
    Server.cut = staticmethod(lambda _: True)
    stop = threading.Event()
    began = time.monotonic()
    threading.Timer(0.1, stop.set).start()
    stream = Stream(remote, COLUMNS, backoff=Backoff(3, 600))
    assert list(stream.windows(0, 0, shuffle=True, stop=stop)) == []
    assert time.monotonic() - began < 10


def test_what_may_pass_is_told_from_what_stays() -> None:
    assert is_transient(ConnectionResetError())
    assert is_transient(TimeoutError())
    assert is_transient(http.client.IncompleteRead(b""))
    assert is_transient(OSError(5, "Input/output error"))
    assert not is_transient(FileNotFoundError(2, "No such file"))
    assert not is_transient(OSError(28, "No space left on device"))
    assert not is_transient(ValueError())
    assert Backoff(4, 0.5).pauses_sec == [0.5, 1, 2]
