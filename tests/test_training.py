import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from textures import ONE, contract_of, recipe_of, split_table, trainer_of, write_store

from handlens import assembly
from handlens.errors import UserError
from handlens.training import Epoch, Step, Trainer

STILL = {"crop_scale": None, "hflip": False, "vflip": False}
OPTIONS: list[dict[str, Any]] = [
    {"optimizer": "sgd", "lr": 0.05, "clip_norm": 1.0},
    {"optimizer": "adam", "schedule": "one_cycle", "warmup_epochs": 0},
    {"ema": 0.9, "accumulate": 2, "class_weighting": "sampler"},
    {"mixup": 0.2, "cutmix": 1.0, "class_weighting": "loss", "augment": {"erasing": 0.5}},
    {"precision": "bfloat16", "schedule": "step", "augment": {"policy": "trivial_augment"}},
]


def epochs_of(trainer: Trainer) -> list[Epoch]:
    return [event for event in trainer.run() if isinstance(event, Epoch)]


def weights_of(trainer: Trainer) -> dict[str, bytes]:
    state = trainer.best_network().state_dict()
    return {name: value.contiguous().numpy().tobytes() for name, value in state.items()}


def test_it_learns_and_two_runs_end_in_the_same_bits(tmp_path: Path) -> None:
    first, second = (trainer_of(tmp_path, epochs=4) for _ in range(2))
    history = epochs_of(first)
    assert history[-1].val_accuracy > 0.6 > 0.4 > 1 / 3
    assert [(e.train_loss, e.val_loss) for e in history] == [
        (e.train_loss, e.val_loss) for e in epochs_of(second)
    ]
    assert weights_of(first) == weights_of(second)
    assert weights_of(first) != weights_of(trainer_after(tmp_path, seed=4, epochs=4))


def trainer_after(folder: Path, **changes: Any) -> Trainer:
    trainer = trainer_of(folder, **changes)
    epochs_of(trainer)
    return trainer


def test_validation_scores_are_exact_means_of_the_kept_network(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, batch_size=7)  # 24 validation photos: the last batch is smaller
    best = max(epochs_of(trainer), key=lambda epoch: epoch.val_accuracy)
    network, rows = trainer.best_network(), trainer.val
    with torch.inference_mode():
        logits = network(trainer.preprocess(torch.from_numpy(trainer.batches.store.take(rows.slots))))
    labels = torch.from_numpy(rows.labels)
    guesses = logits.argmax(1)
    assert best.val_loss == pytest.approx(float(F.cross_entropy(logits, labels)), abs=1e-6)
    assert best.val_accuracy == float((guesses == labels).double().mean())
    assert best.val_macro_f1 == pytest.approx(f1_score(labels, guesses, average="macro", zero_division=0))


def test_training_scores_are_exact_means_over_photos(tmp_path: Path) -> None:
    """With a learning rate of almost nothing the mean of the epoch is that of the first weights."""
    trainer = trainer_of(tmp_path, epochs=1, batch_size=60, lr=1e-12, warmup_epochs=0, augment=STILL)
    rows, store = trainer.batches.rows, trainer.batches.store
    pixels = torch.from_numpy(store.take(rows.slots))
    pixels[rows.ops == "hflip"] = pixels[rows.ops == "hflip"].flip(2)
    trainer.network.train()
    logits = trainer.network(trainer.preprocess(pixels)).detach()
    (epoch,) = epochs_of(
        trainer_of(tmp_path, epochs=1, batch_size=60, lr=1e-12, warmup_epochs=0, augment=STILL)
    )
    labels = torch.from_numpy(rows.labels)
    assert epoch.train_loss == pytest.approx(float(F.cross_entropy(logits, labels)), abs=1e-5)
    assert epoch.train_accuracy == float((logits.argmax(1) == labels).double().mean())


def test_steps_are_counted_over_all_epochs(tmp_path: Path) -> None:
    events = list(trainer_of(tmp_path, epochs=2, batch_size=16).run())
    steps = [event for event in events if isinstance(event, Step)]
    assert [(step.epoch, step.step, step.steps) for step in steps] == [
        (e, s, 4) for e in (1, 2) for s in (1, 2, 3, 4)
    ]
    assert sum(step.photos for step in steps) == 2 * 60
    assert [type(event) for event in events].count(Epoch) == 2


@pytest.mark.parametrize("changes", OPTIONS, ids=lambda changes: "-".join(changes))
def test_every_option_of_a_recipe_trains(tmp_path: Path, changes: dict[str, Any]) -> None:
    plain, changed = (
        trainer_of(tmp_path, epochs=1, warmup_epochs=0),
        trainer_of(tmp_path, epochs=1, **{"warmup_epochs": 0, **changes}),
    )
    assert math.isfinite(epochs_of(changed)[-1].val_loss)
    epochs_of(plain)
    assert weights_of(changed) != weights_of(plain)


def test_gradients_of_parts_add_up_to_that_of_the_step(tmp_path: Path) -> None:
    """Without batch norm a step computed in parts is the same step."""

    def gradients(accumulate: int) -> list[torch.Tensor]:
        trainer = trainer_of(tmp_path, batch_size=20, accumulate=accumulate, class_weighting="loss")
        trainer.network.eval()  # fixed statistics: no photo sees the others
        trainer.train_step(trainer.with_loss, trainer.batches.epoch(0))
        return [parameter.grad for parameter in trainer.network.parameters() if parameter.grad is not None]

    for whole, parts in zip(gradients(1), gradients(3), strict=True):
        torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-4)


def test_best_epoch_is_chosen_by_the_monitor_and_the_first_of_equals(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, epochs=5, monitor="val_loss")
    history = epochs_of(trainer)
    assert trainer.best_epoch.val_loss == min(epoch.val_loss for epoch in history)
    losses = [epoch.val_loss for epoch in history]
    assert [epoch.best for epoch in history] == [
        loss < min([math.inf, *losses[:i]]) for i, loss in enumerate(losses)
    ]


def test_patience_stops_after_epochs_without_improvement_and_equal_is_none(tmp_path: Path) -> None:
    """Without batch norm, and at no learning rate to speak of, all epochs are equal."""
    trainer = trainer_of(
        tmp_path, arch="squeezenet1_1", epochs=6, lr=1e-12, patience=2, monitor="val_accuracy"
    )
    history = epochs_of(trainer)
    assert [epoch.best for epoch in history] == [True, False, False]
    assert trainer.best_epoch.epoch == 1


def test_test_photos_are_never_read(tmp_path: Path) -> None:
    """Their slots do not exist in the store, so that reading one is an IndexError."""
    table = split_table()
    store = write_store(tmp_path, table)
    assert table.loc[table["split"] == "test", "slot"].min() >= len(store)
    trainer = trainer_of(tmp_path)
    assert len(epochs_of(trainer)) == 2
    without = table[table["split"] != "test"]
    other = assembly.trainer(recipe_of(), without, contract_of(table), store, seed=3, processes=ONE)
    epochs_of(other)
    assert weights_of(trainer) == weights_of(other)


def test_a_loss_that_is_not_finite_names_step_rate_and_advice(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, optimizer="sgd", lr=1e30, warmup_epochs=0, schedule="constant")
    with pytest.raises(
        UserError, match=r"loss is (nan|inf) at step \d+ of epoch 1 .*rate 1e\+30.*Lower.*clip_norm"
    ):
        epochs_of(trainer)


def test_weights_that_blow_up_in_the_last_step_are_found_on_validation(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, epochs=1, batch_size=60, optimizer="sgd", lr=1e38, warmup_epochs=0)
    with pytest.raises(UserError, match=r"validation loss is (nan|inf) after epoch 1"):
        epochs_of(trainer)


def test_a_frozen_body_keeps_its_weights_and_statistics(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, epochs=2)
    trainer.freeze_epochs = 1
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    changed: list[set[str]] = []
    for event in trainer.run():
        if isinstance(event, Epoch):
            now = trainer.network.state_dict()
            changed.append({name for name, value in now.items() if not torch.equal(value, before[name])})
    assert changed[0] == {"fc.weight", "fc.bias"}
    assert changed[1] == set(before)


def test_the_moving_average_is_what_is_validated_and_kept(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, epochs=1, ema=0.99)
    epochs_of(trainer)
    assert trainer.average is not None
    average = {name: value.clone() for name, value in trainer.average.tensors.items()}
    kept = trainer.best_network().state_dict()
    assert all(torch.equal(kept[name], value) for name, value in average.items())


def test_class_weights_mean_one_over_photos() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    weights = assembly.class_weights(labels, 3).numpy()
    assert weights[labels].mean() == pytest.approx(1)
    assert weights[0] * 60 == pytest.approx(weights[2] * 10)


def test_deterministic_mode_ends_with_the_training(tmp_path: Path) -> None:
    seen = [torch.are_deterministic_algorithms_enabled() for _ in trainer_of(tmp_path, epochs=1).run()]
    assert all(seen)
    assert not torch.are_deterministic_algorithms_enabled()


def test_networks_are_told_which_photos_are_too_small(tmp_path: Path) -> None:
    table = split_table()
    with pytest.raises(UserError, match="alexnet needs photos of at least"):
        assembly.trainer(
            recipe_of(arch="alexnet"),
            table,
            contract_of(table),
            write_store(tmp_path, table),
            seed=1,
            processes=ONE,
        )


def test_a_compiled_network_takes_the_same_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler itself takes minutes; without it what remains is that its wrapper is used rightly."""
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")  # no worker processes that outlive the test
    plain, compiled = (trainer_of(tmp_path, compiled=compiled) for compiled in (False, True))
    assert compiled.wrapped() is not compiled.with_loss
    epochs_of(plain)
    with torch.compiler.set_stance("force_eager"):
        epochs_of(compiled)
    assert weights_of(compiled) == weights_of(plain)
