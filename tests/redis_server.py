"""A real Redis for one test, and a few words with it."""

import shutil
import socket
import subprocess
from pathlib import Path

from processes import wait_until


class Redis:
    """One redis-server on a port of its own, which keeps nothing on disk."""

    def __init__(self, folder: Path, *options: str):
        program = shutil.which("redis-server")
        assert program, "there is no redis-server: install it (`./test` does)"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"redis://127.0.0.1:{self.port}"
        self.command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        wait_until("redis answers", self.answers)

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(5)

    def ask(self, *words: str | bytes) -> object:
        """One command in the words of RESP, and what is answered."""
        parts = [word.encode() if isinstance(word, str) else word for word in words]
        said = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        with socket.create_connection(("127.0.0.1", self.port)) as connection, connection.makefile("rb") as answers:
            connection.sendall(said)
            return read(answers)

    def keys(self, pattern: str = "*") -> list[str]:
        return [key.decode() for key in self.ask("KEYS", pattern)]

    def values(self) -> list[bytes]:
        """All texts that it holds."""
        return [self.ask("GET", key) for key in self.keys() if self.ask("TYPE", key) == "string"]


def read(answers) -> object:
    line = answers.readline()[:-2]
    kind, rest = line[:1], line[1:]
    if kind == b"$":
        return None if rest == b"-1" else answers.read(int(rest) + 2)[:-2]
    if kind == b"*":
        return [read(answers) for _ in range(int(rest))]
    assert kind != b"-", rest
    return int(rest) if kind == b":" else rest.decode()
