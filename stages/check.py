"""check: params.yaml -> a constant stamp. Refuses what cannot work before anything runs.

It also looks whether the raw folder is there and DVC can hold its names. That is no dependency: what lies in
the folder is the matter of `scan`, and the stamp does not depend on it.
"""

from pathlib import Path

import typer

from handlens import checking
from handlens.errors import guarded


def main(params_file: Path, raw: Path, stamp: Path) -> None:
    """Validate `params_file` and the names in `raw`, then write the stamp."""
    checking.check(params_file)
    checking.check_raw(raw)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text("params.yaml is valid\n", encoding="utf-8")


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
