"""check: params.yaml -> a constant stamp. Refuses a wrong params.yaml before anything runs."""

from pathlib import Path

import typer

from handlens import checking
from handlens.errors import guarded


def main(params_file: Path, stamp: Path) -> None:
    """Validate `params_file`, then write the stamp."""
    checking.check(params_file)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text("params.yaml is valid\n", encoding="utf-8")


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
