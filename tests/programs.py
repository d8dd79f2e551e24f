"""Clients as programs: each runs once in its own process and is asked line by line."""

import json
import os
import queue
import subprocess
import threading
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PYTHON = TESTS / ".venv/bin/python"
NODE = TESTS / "node_modules/.bin/node"
# Not every client agrees with the versions that the others need.
INSTRUCTOR = TESTS / "instructor/.venv/bin/python"

# The first answer waits for a client's imports, on a machine that may be busy.
ANSWER_SECONDS = 150


class Program:
    """One running client; what it writes to stderr is shown with a failure."""

    def __init__(self, *command: str | Path):
        # Its own environment: no key and no proxy of the machine may help or hinder a client.
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/tmp"), "LANGSMITH_TRACING": "false"}
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True, cwd=TESTS,
        )
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            self._answers.put(line)

    def ask(self, **what) -> dict:
        """What came of it; a client that is broken, and one that says nothing, fail the test."""
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        try:
            told = json.loads(self._answers.get(timeout=ANSWER_SECONDS))
        except queue.Empty:
            # An answer that is late must not be taken for that of the next ask.
            self.close()
            raise AssertionError(f"no answer within {ANSWER_SECONDS} s to {what}") from None
        assert "broken" not in told, told["broken"]
        return told

    def close(self) -> None:
        """A client keeps nothing that would be worth a farewell."""
        self.process.kill()
        self.process.wait(10)
