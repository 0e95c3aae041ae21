"""Reads event streams with httpx-sse, as each line of the input asks (base.Talker).

Argument: the folder of the packages. The answer's `message` is JSON: the events in order; its `error` is
what httpx raised. A URL whose path is /rows is read line by line instead.
"""

import json
import sys
import warnings
from urllib.parse import urlsplit

sys.path.insert(0, sys.argv[1])

import httpx  # noqa: E402
import httpx_sse  # noqa: E402

warnings.simplefilter("ignore")


def events(client, url):
    with httpx_sse.connect_sse(client, "GET", url) as source:
        for event in source.iter_sse():
            yield {"type": event.event, "data": event.data, "id": event.id, "retry": event.retry}


def lines(client, url):
    with client.stream("GET", url) as response:
        yield from response.iter_lines()


def read(asked):
    h2 = asked["protocol"] == "h2"
    got, error = [], None
    try:
        with httpx.Client(http1=not h2, http2=h2, verify=False, timeout=25, trust_env=False) as client:
            look = lines if urlsplit(asked["url"]).path == "/rows" else events
            for one in look(client, asked["url"]):
                got.append(one)
    except httpx.HTTPError as caught:
        error = type(caught).__name__
    return {"status": None, "error": error, "message": json.dumps(got), "saved": False}


for line in sys.stdin:
    print(json.dumps(read(json.loads(line))), flush=True)
