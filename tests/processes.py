"""What runs below a process, read from /proc."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path


def parent_of(pid: int) -> int | None:
    """The parent of a process that runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, parent = stat[stat.rindex(")") + 2 :].split()[:2]
    return None if state in "ZX" else int(parent)


def is_alive(pid: int) -> bool:
    return parent_of(pid) is not None


def descendants(pid: int) -> list[int]:
    """Every running process below `pid`, itself left out."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (parent := parent_of(int(name))) is not None:
            children.setdefault(parent, []).append(int(name))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port: int) -> bool:
    """Whether somebody does."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(what: str, holds: Callable[[], object], seconds: float = 10, every: float = 0.05):
    """Waits until `holds` returns something true, and returns it; fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        if value := holds():
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(every)


def resident_bytes(pid: int) -> int:
    """What a process keeps in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
