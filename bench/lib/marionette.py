"""Firefox, driven through its own remote protocol (Marionette), chrome scripts included."""

import json
import os
import socket
import subprocess
import time

from .peers import free_port


class Firefox:
    """A headless Firefox with a profile of its own, until `close`."""

    def __init__(self, home):
        port = free_port()
        profile = os.path.join(home, "profile")
        os.makedirs(profile, exist_ok=True)
        with open(os.path.join(profile, "user.js"), "w") as prefs:
            prefs.write(f'user_pref("marionette.port", {port});\n')
        self.process = subprocess.Popen(
            ["firefox-esr", "--headless", "--marionette", "--remote-allow-system-access",
             "--no-remote", "--profile", profile],
            env={**os.environ, "HOME": home}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), 60)
                break
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.close()
                    raise RuntimeError("firefox-esr does not open its port") from None
                time.sleep(0.2)
        self.data, self.number = b"", 0
        self._read()
        self.call("WebDriver:NewSession", {"capabilities": {}})
        self.call("Marionette:SetContext", {"value": "chrome"})
        self.call("WebDriver:SetTimeouts", {"script": 120_000})

    def _read(self):
        while True:
            length, colon, rest = self.data.partition(b":")
            if colon and len(rest) >= int(length):
                self.data = rest[int(length):]
                return json.loads(rest[:int(length)])
            more = self.socket.recv(65536)
            if not more:
                raise RuntimeError("firefox-esr closed its port")
            self.data += more

    def call(self, command, parameters):
        self.number += 1
        text = json.dumps([0, self.number, command, parameters]).encode()
        self.socket.sendall(str(len(text)).encode() + b":" + text)
        _, _, error, value = self._read()
        if error:
            raise RuntimeError(f"{command}: {error.get('message')}")
        return value

    def run(self, script, *arguments):
        """An asynchronous function body in the browser's own context."""
        wrapped = (
            "const done = arguments[arguments.length - 1];"
            "(async (...args) => {" + script + "})(...arguments).then(done, e => done('error: ' + e));")
        return self.call(
            "WebDriver:ExecuteAsyncScript", {"script": wrapped, "args": list(arguments)})["value"]

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
