"""The console command `handlens`. Heavy modules are imported inside the commands that need them."""

from pathlib import Path

import typer

from handlens.errors import guarded

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="From a folder of raw photos to a verified classifier on a phone.",
)


@app.command()
def check(params: Path = Path("params.yaml")) -> None:
    """Validate params.yaml."""
    from handlens import checking

    checking.check(params)
    typer.echo(f"{params} is valid.")


def main() -> None:
    """Run the command line."""
    guarded(app)
