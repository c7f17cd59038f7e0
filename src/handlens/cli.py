"""The console command `handlens`. Heavy modules are imported inside the commands that need them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from handlens.errors import UserError, fail, guarded

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="From a folder of raw photos to a verified classifier on a phone.",
)

phone = typer.Typer(no_args_is_help=True, help="The phone app that 'dvc repro app' makes.")
app.add_typer(phone, name="app")

RAW = Path("data/raw")


@app.command()
def check(
    params: Path = Path("params.yaml"),
    raw: Annotated[bool, typer.Option(help="look at the names in data/raw, too")] = True,
) -> None:
    """Validate params.yaml and the names of the raw photos in a second."""
    from handlens import checking

    checking.check(params)
    if raw:
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
    say_counts(samples.sample(name, to), to)


@app.command(name="import")
def import_(
    source: Annotated[Path, typer.Argument(help="folder, zip or tar of class folders, or CSV: path,label")],
    to: Annotated[Path, typer.Option(help="the raw folder")] = RAW,
    link: Annotated[bool, typer.Option("--link", help="symbolic links instead of copies")] = False,
) -> None:
    """Bring your photos into data/raw; nothing is ever overwritten."""
    from handlens import importing

    say_counts(importing.import_photos(source, to, link=link), to)


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


@app.command()
def compare(
    table: Path = Path("plots/compare.csv"),
    at: Annotated[
        list[str] | None,
        typer.Option(help="a Git revision, an experiment's name or 'workspace'; several are shown together"),
    ] = None,
    markdown: Annotated[bool, typer.Option("--md", help="as Markdown, for a pull request")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="a list of objects, for programs")] = False,
) -> None:
    """Show the leaderboard: a row per model, the winner first."""
    from handlens import boards, metrics, revisions

    tables = {
        revision: metrics.read_points(table, "dvc repro", read=revisions.tracked(revision))
        for revision in at or [revisions.WORKSPACE]
    }
    rows = boards.side_by_side(tables)
    if markdown:
        typer.echo(boards.leaderboard_markdown(rows), nl=False)
    elif as_json:
        typer.echo(boards.leaderboard_json(rows), nl=False)
    else:
        show(boards.leaderboard(rows))


@app.command()
def gate(
    params_file: Annotated[Path, typer.Option("--params")] = Path("params.yaml"),
    metrics: Annotated[Path, typer.Option(help="folder of the metrics")] = Path("metrics"),
    plots: Annotated[Path, typer.Option(help="folder of the plot tables")] = Path("plots"),
    lock: Annotated[Path, typer.Option(help="what the metrics must belong to")] = Path("dvc.lock"),
    against: Annotated[str | None, typer.Option(help="a Git revision: judge gate.max_drop too")] = None,
    markdown: Annotated[bool, typer.Option("--md", help="as Markdown, for a pull request")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON, for programs")] = False,
) -> None:
    """Judge the winner by the rules of gate: in params.yaml. Exit code 0: pass, 1: fail, 2: cannot judge."""
    from handlens import boards, gating, verdicts

    try:
        rules, winner = verdicts.judge(params_file, metrics, plots, lock, against)
    except UserError as error:
        fail(str(error), code=gating.EXIT_CODES["cannot judge"])
    if markdown:
        typer.echo(boards.verdict_markdown(rules, winner), nl=False)
    elif as_json:
        typer.echo(gating.to_json(rules, winner), nl=False)
    else:
        show(boards.verdict(rules))
        for rule in rules:
            if rule.verdict != "pass":
                typer.echo(f"- {gating.sentence(rule)}")
        typer.echo(f"{gating.verdict_of(rules)}: {winner}")
    raise typer.Exit(gating.EXIT_CODES[gating.verdict_of(rules)])


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="the file to write")] = Path("report.html"),
) -> None:
    """Write the whole run as one HTML page that needs no network."""
    from handlens import report

    report.write(out)
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB. Open it in any browser.")


def show(table: "Table") -> None:
    """Print a table; into a file or pipe it is as wide as it needs to be."""
    from rich.console import Console

    console = Console()
    console.print(table) if console.is_terminal else Console(width=200).print(table)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="an exported file, or a folder models/<name>")],
    photo: Annotated[list[Path], typer.Argument(help="photos, or folders of them")],
    top: Annotated[int, typer.Option(min=1, help="classes to show per photo")] = 3,
    csv: Annotated[Path | None, typer.Option(help="also write a table with every probability")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="a list of objects, for programs")] = False,
) -> None:
    """Name the class of photos of any format, size and orientation. Needs only the file."""
    from handlens import manifest, prediction

    loaded = prediction.load(model)
    classes = loaded.contract.classes
    found = []
    for one in prediction.predict(loaded, prediction.find(photo)):
        found.append(one)
        if one.problem:
            typer.echo(f"handlens: {prediction.printable(one.path)}: {one.problem}", err=True)
        elif not as_json:
            typer.echo(prediction.line(one, classes, top))
    if as_json:
        typer.echo(prediction.as_json(found, classes, top))
    if csv:
        manifest.write(prediction.table(found, classes), csv)
    if any(one.problem for one in found):
        raise typer.Exit(1)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="an exported file")],
    folder: Annotated[Path | None, typer.Argument(help="labelled photos: a folder per class")] = None,
    against: Annotated[Path | None, typer.Option(help="a file or models/<name> to agree with")] = None,
    min_agreement: Annotated[float, typer.Option(min=0, max=1, help="share of photos")] = 1.0,
) -> None:
    """Replay a file's golden vectors, or measure it on a folder of labelled photos."""
    from handlens.export import verification

    passed, lines = (
        verification.golden_lines(file)
        if folder is None
        else verification.folder_lines(file, folder, against, min_agreement)
    )
    for line in lines:
        typer.echo(line)
    if not passed:
        raise typer.Exit(1)


@app.command()
def bench(
    files: Annotated[list[Path], typer.Argument(help="exported files")],
    against: Annotated[Path | None, typer.Option(help="models/<name>, timed in PyTorch beside them")] = None,
    rounds: Annotated[int, typer.Option(min=3, help="timed predictions per file")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="a list of objects, for programs")] = False,
) -> None:
    """Time files on this machine; size, memory and operators beside it."""
    from handlens.export import bench as benchmark

    measured = benchmark.measure(files, rounds=rounds, against=against)
    typer.echo(benchmark.as_json(measured) if as_json else benchmark.table(measured))


@phone.command(name="serve")
def app_serve(
    folder: Annotated[Path, typer.Argument(help="what the stage app made")] = Path("app"),
    port: Annotated[int, typer.Option(help="0: any free one", min=0, max=65535)] = 8000,
) -> None:
    """Serve the phone app on this machine (a phone: adb reverse tcp:8000 tcp:8000)."""
    from handlens.app import serving

    with serving.server(folder, port) as server:
        typer.echo(f"http://localhost:{server.server_port}/ - stop with Ctrl-C")
        serving.run(server)


@phone.command(name="check")
def app_check(folder: Annotated[Path, typer.Argument(help="what the stage app made")] = Path("app")) -> None:
    """Check a finished app: hashes, contract, golden vectors, no address of another host."""
    from handlens.app import checking

    for line in checking.check(folder):
        typer.echo(line)


def say_counts(counts: dict[str, int], folder: Path) -> None:
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
