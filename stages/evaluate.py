"""evaluate: a trained model, split, contract, pixels -> predictions, suspected labels, scores, pictures."""

from pathlib import Path

import typer

from handlens import (
    checkpoint,
    evaluation,
    figures,
    inspection,
    labels,
    manifest,
    metrics,
    params,
    robustness,
)
from handlens.contract import Contract
from handlens.errors import guarded
from handlens.pixels import PixelStore
from handlens.preprocessing import Classifier


def main(
    params_file: Path,
    model: Path,
    split: Path,
    contract_file: Path,
    pixels: Path,
    predictions_file: Path,
    suspects_file: Path,
    inspected: Path,
    summary: Path,
    tables: Path,
    pictures: Path,
) -> None:
    """Judge the model in folder `model` on the test photos."""
    p = params.load(params_file)
    contract = Contract.load(contract_file)
    network, card = checkpoint.load(model, contract)
    rows, store = manifest.read(split), PixelStore(pixels)
    classifier = Classifier(network, contract)
    predictions = evaluation.predict(classifier, store, rows, contract.classes)
    manifest.write(predictions, predictions_file)
    judgement = evaluation.judge(
        predictions, contract.classes, model.name, resamples=p.evaluate.bootstrap, seed=p.seed
    )
    cost = evaluation.cost(network, contract, model / checkpoint.WEIGHTS)
    metrics.write({**judgement.metrics, **cost, "best_epoch": card.best_epoch}, summary)
    for name, table in judgement.tables.items():
        metrics.write_points(table, tables / f"{name}.csv")
    spoiled = robustness.measure(
        classifier, store, judgement.test, rows,
        photos=p.evaluate.robustness, resamples=p.evaluate.bootstrap, seed=p.seed,
    )  # fmt: skip
    spoiled.insert(0, "model", model.name)
    metrics.write_points(spoiled, tables / "robustness.csv")
    figures.robustness(
        spoiled, pictures / "robustness.png", title=f"{model.name}: accuracy on spoiled photos"
    )
    evaluation.draw(judgement, contract.classes, pictures)
    suspects = labels.suspects(predictions, contract.classes)
    manifest.write(suspects, suspects_file)
    inspection.draw_suspects(suspects, rows, store, model.name, p.evaluate.worst, pictures)
    looked_at = inspection.choose(judgement.test, rows, contract.classes, p.evaluate.worst)
    heats = inspection.heat(classifier, store, looked_at, contract.classes)
    inspection.save(inspected, looked_at, heats)
    inspection.draw(looked_at, heats, store, judgement.test, model.name, pictures)


if __name__ == "__main__":
    guarded(lambda: typer.run(main))
