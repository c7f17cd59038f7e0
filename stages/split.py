"""split: rows with sums, photos table, pixels, pins -> sides, frozen contract, proof of no leak."""

from pathlib import Path

import typer

from handlens import leakage, manifest, metrics, normalization, params, splitting
from handlens.contract import Contract, split_hash
from handlens.errors import guarded
from handlens.pixels import PixelStore


def main(
    params_file: Path,
    rows_file: Path,
    photos_file: Path,
    pixels: Path,
    pins_file: Path,
    sides_file: Path,
    contract_file: Path,
    summary: Path,
) -> None:
    """Split by groups, take mean and std from the train side, look for photos on two sides."""
    p = params.load(params_file)
    rows = manifest.read(rows_file)
    photos = manifest.read_photos(photos_file, ["path", "slot", "group", "sha256"])
    stored = photos[photos["slot"] >= 0].set_index("slot")
    sides = splitting.split(
        rows,
        stored["group"].loc[rows["slot"]],
        splitting.read_pins(pins_file, photos["path"]),
        val=p.split.val,
        test=p.split.test,
        folds=p.split.folds,
        fold=p.split.fold,
        seed=p.seed,
    )
    mean, std = normalization.mean_std(sides[sides["split"] == "train"])
    sides = sides.drop(columns=["pixels", *normalization.SUMS])
    contract = Contract(
        classes=tuple(sorted(sides["label"].unique())),
        store_size=p.scan.store_size,
        input_size=p.input_size,
        fit=p.scan.fit,
        transparency=p.scan.transparency,
        mean=mean,
        std=std,
        split_hash=split_hash(sides),
    )
    proof = leakage.measure(sides, stored["sha256"], PixelStore(pixels), p.seed)
    manifest.write(sides, sides_file)
    contract.save(contract_file)
    metrics.write({**splitting.summary(sides), **proof}, summary)


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
