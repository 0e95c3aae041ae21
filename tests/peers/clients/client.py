"""Downloads with http.client what each line of the input asks for (base.Talker)."""

import http.client
import json
import ssl
import sys
from urllib.parse import urlsplit


def connect(url, protocol, tls):
    if tls:
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=25, context=context)
    else:
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=25)
    if protocol == "h10":
        connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"
    return connection


def in_parts(response, body):
    """As shutil.copyfileobj and most download loops do."""
    while part := response.read(8192):
        body += part


def fetch(asked):
    url = urlsplit(asked["url"])
    status, error, message, body, whole = None, None, "", bytearray(), True
    connection = connect(url, asked["protocol"], asked["tls"])
    try:
        connection.request("GET", f"{url.path}?{url.query}")
        response = connection.getresponse()
        status = response.status
        if asked["client"] == "python-read-n":
            in_parts(response, body)
        else:
            body += response.read()
    except http.client.IncompleteRead as caught:
        error, message = type(caught).__name__, str(caught)
        body += caught.partial
    except (OSError, http.client.HTTPException) as caught:
        error, message = type(caught).__name__, str(caught)
        # read() that raises this gives none of the octets that it had read.
        whole = asked["client"] == "python-read-n"
    finally:
        connection.close()
    if whole:
        with open(asked["save"], "wb") as file:
            file.write(body)
    return {"status": status, "error": error, "message": message, "saved": whole}


for line in sys.stdin:
    print(json.dumps(fetch(json.loads(line))), flush=True)
