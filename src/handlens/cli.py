"""The console command `handlens`. Heavy modules are imported inside the commands that need them."""

from pathlib import Path
from typing import Annotated

import typer

from handlens.errors import guarded

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="From a folder of raw photos to a verified classifier on a phone.",
)

RAW = Path("data/raw")


@app.command()
def check(params: Path = Path("params.yaml")) -> None:
    """Validate params.yaml and the names of the raw photos in a second."""
    from handlens import checking

    checking.check(params)
    checking.check_raw(RAW)
    typer.echo(f"{params} is valid.")


@app.command()
def sample(
    name: Annotated[str, typer.Argument(help="solar (grey, 4 classes) or food (colour, 5)")] = "solar",
    to: Annotated[Path, typer.Option(help="an empty or new folder")] = RAW,
    if_empty: Annotated[bool, typer.Option("--if-empty", help="do nothing if the folder has files")] = False,
) -> None:
    """Put real sample photos into data/raw, the same bytes every time."""
    from handlens import samples

    if if_empty and to.exists() and any(to.iterdir()):
        return
    typer.echo(f"Fetching the sample {name!r} …", err=True)
    report(samples.sample(name, to), to)


@app.command(name="import")
def import_(
    source: Annotated[Path, typer.Argument(help="folder, zip or tar of class folders, or CSV: path,label")],
    to: Annotated[Path, typer.Option(help="the raw folder")] = RAW,
    link: Annotated[bool, typer.Option("--link", help="symbolic links instead of copies")] = False,
) -> None:
    """Bring your photos into data/raw; nothing is ever overwritten."""
    from handlens import importing

    report(importing.import_photos(source, to, link=link), to)


@app.command()
def weights(params: Path = Path("params.yaml")) -> None:
    """Fetch the ImageNet weights that the models of params.yaml start from, before anything trains."""
    from handlens import pretrained

    for name, state in pretrained.fetch_all(params, Path(".dvc/tmp/handlens/weights.json")):
        typer.echo(f"{name}: {state}", err=True)


@app.command()
def zoo(
    name: Annotated[str | None, typer.Argument(help="tell about this one only")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="a list of objects, for programs")] = False,
) -> None:
    """List the architectures: counted and published figures, smallest input, pretrained weights."""
    import json

    from handlens.zoo import describe, listing

    if as_json:
        found = [listing.row(describe(name))] if name else listing.rows()
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(listing.details(name) if name else listing.table())


@app.command()
def pin(split: Path = Path("data/split.csv"), pins: Path = Path("pins.csv")) -> None:
    """Freeze today's split in pins.csv: photos added later cannot move an old photo to another side."""
    from handlens import manifest, splitting

    sides = manifest.read(split)
    table = splitting.pins_of(sides, splitting.read_pins(pins))
    table.to_csv(pins, index=False, lineterminator="\n")
    typer.echo(f"{len(table)} photos are pinned in {pins}. Commit that file, then add photos.")


def report(counts: dict[str, int], folder: Path) -> None:
    """Say what came per class, and what to do next."""
    width = max(len(name) for name in counts)
    for name, count in counts.items():
        typer.echo(f"  {name:<{width}}  {count:>7}")
    typer.echo(f"{sum(counts.values())} files in {len(counts)} classes, in {folder}.")
    typer.echo("Next: 'make repro' (or 'dvc repro') runs the pipeline.")
    typer.echo(
        f"To version the photos: 'dvc add {folder}' and 'git add {folder}.dvc' "
        "(needed for 'dvc exp run --queue')."
    )


def main() -> None:
    """Run the command line."""
    guarded(app)
