"""The one error that users see, and the edge where it becomes a sentence and an exit code."""

import errno
import sys
from collections.abc import Callable
from typing import NoReturn


class UserError(ValueError):
    """Something the user can mend. The message names the file or key, the value, what was expected
    and the way out; it is shown as it stands, without a traceback."""


def fail(message: str, code: int = 1) -> NoReturn:
    """Print `message` to standard error and leave with `code`."""
    sys.stderr.write(f"handlens: {message}\n")
    raise SystemExit(code)


def guarded(main: Callable[[], object]) -> None:
    """Run `main`; what users can mend ends as one sentence and exit code 1.

    Besides `UserError` these are the failures of the machine that no check can foresee: a full disk and
    a path that may not be read or written. Anything else is a defect of ours and keeps its traceback.
    """
    try:
        main()
    except UserError as error:
        fail(str(error))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            fail(
                f"the disk is full ({error.filename or 'while writing'}). Free some space and run the "
                "same command again: finished steps are kept."
            )
        if isinstance(error, PermissionError):
            fail(f"no permission for {error.filename}. Change its permissions and run again.")
        raise
