from itertools import pairwise

import pytest
import torch
from torch import nn

from handlens import optim


def small() -> nn.Module:
    return nn.ModuleDict(
        {
            "features": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)),
            "fc": nn.Linear(4, 2),
        }
    )


def groups_of(network: nn.Module, **changes: float | None) -> dict[str, tuple[float, float]]:
    values = {"lr": 0.1, "weight_decay": 0.05, "head_lr_mult": 1.0, "layer_decay": None, **changes}
    groups = optim.parameter_groups(network, frozenset({"fc.weight", "fc.bias"}), **values)  # type: ignore[arg-type]
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {names[id(p)]: (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}


def test_every_parameter_is_in_one_group_and_norms_and_biases_do_not_decay() -> None:
    network = small()
    groups = groups_of(network)
    assert set(groups) == {name for name, _ in network.named_parameters()}
    decayed = {name for name, (_, decay) in groups.items() if decay > 0}
    assert decayed == {"features.0.weight", "features.2.weight", "fc.weight"}


def test_the_head_learns_faster() -> None:
    groups = groups_of(small(), head_lr_mult=10.0)
    assert groups["fc.bias"][0] == pytest.approx(1.0)
    assert groups["features.0.weight"][0] == pytest.approx(0.1)


def test_layer_decay_slows_blocks_by_their_distance_from_the_head() -> None:
    groups = groups_of(small(), layer_decay=0.5, head_lr_mult=10.0)
    assert groups["fc.weight"][0] == pytest.approx(1.0)
    assert groups["features.2.weight"][0] == pytest.approx(0.05)
    assert groups["features.0.weight"][0] == pytest.approx(0.0125)


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("features.3.conv.weight", "features.3"),
        ("layer1.0.bn1.bias", "layer1.0"),
        ("conv1.weight", "conv1"),
        ("fc.weight", "fc"),
    ],
)
def test_blocks_are_stages_and_their_numbers(name: str, block: str) -> None:
    assert optim.block_of(name) == block


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_optimizers_take_momentum_and_a_step(kind: optim.Optimizer) -> None:
    network = small()
    optimizer = optim.build(
        network, [], optimizer=kind, lr=0.1, momentum=0.8, weight_decay=0.0, head_lr_mult=1, layer_decay=None
    )
    group = optimizer.param_groups[0]
    assert (group["momentum"] if kind == "sgd" else group["betas"][0]) == 0.8
    before = {name: value.clone() for name, value in network.state_dict().items()}
    sum(p.square().sum() for p in network.parameters()).backward()  # type: ignore[union-attr]
    optimizer.step()
    assert any(not torch.equal(before[name], value) for name, value in network.state_dict().items())


def factors(schedule: optim.Schedule, warmup: int, steps: int = 100) -> list[float]:
    return [optim.lr_factor(i, steps, schedule=schedule, warmup_steps=warmup) for i in range(steps)]


def test_warm_up_rises_in_equal_steps_to_the_highest_rate() -> None:
    got = factors("constant", 4)
    assert got[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert set(got[5:]) == {1.0}


def test_cosine_falls_from_one_to_almost_nothing() -> None:
    got = factors("cosine", 10)
    assert got[10] == 1.0
    assert got[55] == pytest.approx(0.5)
    assert 0 < got[99] < 0.001
    assert all(before >= after for before, after in pairwise(got[10:]))


def test_step_divides_by_ten_at_half_and_three_quarters() -> None:
    got = factors("step", 0)
    assert [got[49], got[50], got[74], got[75]] == pytest.approx([1, 0.1, 0.1, 0.01])


def test_one_cycle_rises_to_one_and_ends_far_below_its_start() -> None:
    got = factors("one_cycle", 0)
    assert got[0] == pytest.approx(1 / 25)
    assert got[30] == pytest.approx(1)
    assert got[99] == pytest.approx(1e-4)
    assert max(got) == pytest.approx(1)


def test_one_step_trainings_have_a_rate() -> None:
    for schedule in ("constant", "cosine", "step", "one_cycle"):
        assert 0 < optim.lr_factor(0, 1, schedule=schedule, warmup_steps=0) <= 1  # type: ignore[arg-type]


def test_set_lr_keeps_the_ratio_of_groups() -> None:
    optimizer = torch.optim.SGD(
        optim.parameter_groups(
            small(), frozenset({"fc.weight"}), lr=0.1, weight_decay=0, head_lr_mult=10, layer_decay=None
        )
    )
    optim.set_lr(optimizer, 0.5)
    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx([0.05, 0.5])


def test_moving_average_follows_weights_and_copies_counts() -> None:
    network = nn.Sequential(nn.Linear(2, 1, bias=False), nn.BatchNorm1d(1))
    with torch.no_grad():
        network[0].weight.fill_(0.0)
    average = optim.MovingAverage(network, decay=0.9)
    with torch.no_grad():
        network[0].weight.fill_(1.0)
    network[1].num_batches_tracked.fill_(7)  # type: ignore[union-attr, operator]
    average.update(network, step=0)  # decay 0.1
    assert average.tensors["0.weight"].flatten().tolist() == pytest.approx([0.9, 0.9])
    average.update(network, step=1000)  # decay 0.9
    assert average.tensors["0.weight"].flatten().tolist() == pytest.approx([0.91, 0.91])
    assert average.tensors["1.num_batches_tracked"] == 7
    assert network.state_dict()["0.weight"].tolist() == [[1.0, 1.0]]
