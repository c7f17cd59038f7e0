"""Files as they were at a Git revision, or in an experiment."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from handlens.errors import UserError

WORKSPACE = "workspace"  # DVC's name for the files as they are now
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


def tracked(revision: str) -> Read:
    """Give a reader of text files that Git or DVC tracks: at a commit, in an experiment, or in `WORKSPACE`.

    What it cannot read is a `UserError`.
    """
    if revision == WORKSPACE:
        return present

    def read(path: Path) -> str:
        import dvc.api  # takes a second
        from dvc.exceptions import DvcException

        try:
            text: str = dvc.api.read(path.as_posix(), rev=revision, encoding="utf-8")
        except (DvcException, OSError) as error:
            raise UserError(
                f"cannot read {path} at {revision!r}: {error}. Give a commit or an experiment of "
                "'dvc exp show' with results; 'dvc pull' brings those of others."
            ) from None
        return text

    return read
