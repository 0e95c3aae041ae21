"""Asks over HTTP/3 with aioquic, as each line of the input says (quic.Http3).

Argument: the folder of the packages. A line is `{"streams": [{"url", "save", "after", "leaves", "closes",
"headers"}], "window", "hold", "stay"}`: requests of one connection. `after` is the number of the stream whose end is
waited for, `leaves` the octets after which the stream is stopped, `closes` those after which the connection is closed,
`window` the octets that may be on their way. With `hold`, nothing more is read from the network when the first octet of
a body has come, until the next line. With `stay`, the connection is closed only at the next line, after an answer that
says so; another answer follows.

The answer is `{"streams": [{"status", "error", "message", "trailers", "saved"}], "closed", "stays"}`: what the wire
said, no more.
"""

import asyncio
import json
import ssl
import sys
from urllib.parse import urlsplit

sys.path.insert(0, sys.argv[1])

from aioquic.asyncio.protocol import QuicConnectionProtocol  # noqa: E402
from aioquic.h3.connection import H3_ALPN, ErrorCode, H3Connection  # noqa: E402
from aioquic.h3.events import DataReceived, HeadersReceived  # noqa: E402
from aioquic.quic.configuration import QuicConfiguration  # noqa: E402
from aioquic.quic.connection import Limit, QuicConnection  # noqa: E402
from aioquic.quic.events import ConnectionTerminated, StreamDataReceived, StreamReset  # noqa: E402

DEADLINE = 100.0


class Narrow(Limit):
    """A connection's window that stays as wide as it was: aioquic's own doubles whenever half of it is used."""

    def __init__(self, limit, width):
        self.width = width
        super().__init__(limit.frame_type, limit.name, width)

    @property
    def value(self):
        # A new credit for each half of the window, not for each packet.
        return self.sent if self.sent - self.used > self.width // 2 else self.used + self.width

    @value.setter
    def value(self, _doubled):
        pass


class Stream:
    """A request, and what came of it."""

    def __init__(self, asked):
        self.asked = asked
        self.body = bytearray()
        self.status, self.trailers = None, {}
        self.error, self.message = "no end", ""
        self.ended = asyncio.Event()

    def end(self, error, message=""):
        if not self.ended.is_set():
            self.error, self.message = error, message
            self.ended.set()

    def fields(self, headers):
        named = {name.decode(): value.decode("latin-1") for name, value in headers}
        if self.status is None:
            self.status = int(named[":status"])
        else:
            self.trailers = named

    def answer(self):
        with open(self.asked["save"], "wb") as file:
            file.write(self.body)
        return {
            "status": self.status, "error": self.error, "message": self.message, "trailers": self.trailers,
            "saved": True,
        }


class Http3(QuicConnectionProtocol):
    """One connection: gives what comes to the stream it belongs to."""

    def __init__(self, quic):
        super().__init__(quic)
        self.h3 = H3Connection(quic)
        self.streams = {}
        self.closed = None
        self.hold = None

    def ask(self, stream):
        id = self._quic.get_next_available_stream_id()
        self.streams[id] = stream
        url = urlsplit(stream.asked["url"])
        fields = [(":method", "GET"), (":scheme", "https"), (":authority", url.netloc)]
        fields += [(":path", f"{url.path}?{url.query}" if url.query else url.path)]
        fields += (stream.asked.get("headers") or {}).items()
        self.h3.send_headers(id, [(name.encode(), value.encode()) for name, value in fields], end_stream=True)
        self.transmit()

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            self.closed = f"0x{event.error_code:x}"
            for stream in self.streams.values():
                stream.end(f"closed {self.closed}", event.reason_phrase)
            return
        if isinstance(event, StreamReset) and event.stream_id in self.streams:
            self.streams[event.stream_id].end(f"reset 0x{event.error_code:x}")
            return
        for part in self.h3.handle_event(event):
            stream = self.streams.get(getattr(part, "stream_id", None))
            if stream is not None:
                self.took(stream, part)
        # The FIN itself, whatever the layer above makes of it.
        if isinstance(event, StreamDataReceived) and event.end_stream and event.stream_id in self.streams:
            self.streams[event.stream_id].end(None, "FIN")

    def took(self, stream, part):
        if stream.ended.is_set():
            return
        if isinstance(part, HeadersReceived):
            stream.fields(part.headers)
        if isinstance(part, DataReceived) and part.data:
            stream.body += part.data
            if self.hold is not None:
                # The whole program stands still: nothing is taken from the network, and nothing is acknowledged.
                hold, self.hold = self.hold, None
                hold()
            leaves = stream.asked.get("leaves")
            if leaves is not None and len(stream.body) >= leaves:
                self._quic.stop_stream(part.stream_id, ErrorCode.H3_REQUEST_CANCELLED)
                stream.end("left")
            closes = stream.asked.get("closes")
            if closes is not None and len(stream.body) >= closes:
                stream.end("left")
                self.close(ErrorCode.H3_NO_ERROR)


def hold():
    print(json.dumps({"held": True}), flush=True)
    sys.stdin.readline()


def configuration(host, window):
    wide = {} if window is None else {"max_data": window, "max_stream_data": window}
    return QuicConfiguration(
        is_client=True, alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE, server_name=host, idle_timeout=DEADLINE,
        **wide)


async def run(asked):
    url = urlsplit(asked["streams"][0]["url"])
    loop = asyncio.get_running_loop()
    quic = QuicConnection(configuration=configuration(url.hostname, asked.get("window")))
    if asked.get("window") is not None:
        quic._local_max_data = Narrow(quic._local_max_data, asked["window"])
    streams = [Stream(one) for one in asked["streams"]]
    transport, http3 = await loop.create_datagram_endpoint(
        lambda: Http3(quic), local_addr=("0.0.0.0", 0))
    http3.hold = hold if asked.get("hold") else None
    try:
        http3.connect((url.hostname, url.port))
        async with asyncio.timeout(DEADLINE):
            await http3.wait_connected()
            await asyncio.gather(*(one_after_another(http3, streams, stream) for stream in streams))
    except TimeoutError:
        for stream in streams:
            stream.end("timeout")
    except ConnectionError:
        for stream in streams:
            stream.end(f"closed {http3.closed}")
    else:
        if asked.get("stay"):
            print(answer(streams, http3.closed, stays=True), flush=True)
            await loop.run_in_executor(None, sys.stdin.readline)
    finally:
        closed = http3.closed
        # At once, as who has what he wanted does: before the last octets are acknowledged.
        http3.close(ErrorCode.H3_NO_ERROR)
        transport.close()
    return answer(streams, closed)


def answer(streams, closed, stays=False):
    return json.dumps({"streams": [stream.answer() for stream in streams], "closed": closed, "stays": stays})


async def one_after_another(http3, streams, stream):
    after = stream.asked.get("after")
    if after is not None:
        await streams[after].ended.wait()
    if http3.closed is not None:
        stream.end(f"closed {http3.closed}", "before it was asked")
        return
    http3.ask(stream)
    await stream.ended.wait()


while line := sys.stdin.readline():
    print(asyncio.run(run(json.loads(line))), flush=True)
