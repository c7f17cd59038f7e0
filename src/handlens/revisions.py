"""Files as they were at a Git revision."""

import subprocess
from collections.abc import Callable
from pathlib import Path

Read = Callable[[Path], str]  # gives a file's text; OSError or ValueError when it has none


def reader(revision: str) -> Read:
    """Give a reader of text files at `revision`; paths are relative to the working folder."""

    def read(path: Path) -> str:
        command = ["git", "show", "--end-of-options", f"{revision}:./{path.as_posix()}"]
        try:
            done = subprocess.run(command, capture_output=True, check=True)
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode(errors="replace").strip().splitlines()
            raise OSError(reason[0] if reason else "git show failed") from None
        return done.stdout.decode("utf-8")

    return read


def present(path: Path) -> str:
    """Read a file as it is now."""
    return path.read_text(encoding="utf-8")
