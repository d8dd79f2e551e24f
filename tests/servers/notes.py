"""A server that keeps notes in a folder, and writes down each reading: whoever keeps its answers can be caught.

    notes.py FOLDER [PACE]     seconds that a reading takes
"""

import sys
import time
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

FOLDER = Path(sys.argv[1])
PACE = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
READS = ToolAnnotations(readOnlyHint=True)

server = MCPServer("notes")


def note_down(what: str) -> None:
    with (FOLDER / "readings").open("a") as readings:
        readings.write(what + "\n")


@server.tool(annotations=READS)
def list_notes() -> str:
    """All notes."""
    note_down("list_notes")
    time.sleep(PACE)
    return (FOLDER / "notes").read_text() if (FOLDER / "notes").exists() else ""


@server.tool(annotations=READS)
def count_words(text: str) -> int:
    """Words of a text."""
    note_down("count_words")
    time.sleep(PACE)
    return len(text.split())


@server.tool()
def add_note(text: str) -> str:
    """One more note."""
    with (FOLDER / "notes").open("a") as notes:
        notes.write(text + "\n")
    return "added"


server.run("stdio")
