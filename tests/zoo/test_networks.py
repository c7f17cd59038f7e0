"""Every network of the registry: sizes, gradients, learning, state, export. Heavy ones in a narrow variant.

The full networks are built and run too, on the meta device, which computes shapes and no numbers.
"""

from dataclasses import dataclass

import narrow
import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handlens import zoo
from handlens.zoo.catalog import nested

VARIANTS = narrow.variants()
BATCHED = ("stn:", "dcn:", "danet:")  # builders of networks whose code handles the batch axis itself


@dataclass
class Lesson:
    """A network that was trained on the photos until it knew them."""

    name: str
    network: nn.Module
    images: Tensor
    loss: float
    right: float
    without_gradient: list[str]


@pytest.fixture(scope="module", params=VARIANTS.values(), ids=VARIANTS.keys())
def lesson(request, at, labels) -> Lesson:
    torch.manual_seed(20)
    images = at(max(64, zoo.min_size(request.param)))
    network = narrow.build(request.param).train()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # memorising is what is asked here
    return teach(request.param, network, images, labels)


def teach(name: str, network: nn.Module, images: Tensor, labels: Tensor) -> Lesson:
    """Train for at most 60 steps."""
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-4, fused=True)
    for _ in range(60):
        optimizer.zero_grad()
        logits, total = zoo.training_loss(network, images, lambda logits: F.cross_entropy(logits, labels))
        total.backward()
        optimizer.step()
        loss = F.cross_entropy(logits, labels).item()
        right = (logits.argmax(1) == labels).float().mean().item()
        if right == 1 and loss < 0.15:
            break
    without = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    return Lesson(name, network.eval(), images, loss, right, without)


def test_learns_16_photos(lesson: Lesson) -> None:
    assert lesson.right == 1, f"loss {lesson.loss}"
    assert lesson.loss < 0.15


def test_gradients_reach_every_parameter(lesson: Lesson) -> None:
    assert lesson.without_gradient == []


def test_eval_repeats_itself_and_the_state_is_whole(lesson: Lesson) -> None:
    other = narrow.build(lesson.name).eval()
    other.load_state_dict(lesson.network.state_dict())
    with torch.inference_mode():
        logits = lesson.network(lesson.images)
        assert logits.shape == (16, 2)
        assert logits.isfinite().all()
        assert torch.equal(lesson.network(lesson.images), logits)
        assert torch.equal(other(lesson.images), logits)


def test_runs_at_its_smallest_size_and_common_ones(lesson: Lesson, at) -> None:
    for size in (zoo.min_size(lesson.name), 96, 224):
        with torch.inference_mode():
            logits = lesson.network(at(size)[:1])
        assert logits.shape == (1, 2), size
        assert logits.isfinite().all(), size


def test_onnxruntime_agrees(lesson: Lesson) -> None:
    batched = zoo.describe(lesson.name).builder.startswith(BATCHED)
    shapes = ({0: torch.export.Dim("batch")},) if batched else None
    program = torch.onnx.export(
        lesson.network, (lesson.images[:2],), dynamo=True, dynamic_shapes=shapes, verbose=False
    )
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    images = lesson.images[: 5 if batched else 2]
    (logits,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(logits, lesson.network(images).numpy(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", zoo.names())
def test_the_full_network_accepts_its_smallest_size_and_common_ones(name: str) -> None:
    with torch.device("meta"):
        network = zoo.build(name, 7).eval()
    for size in (zoo.min_size(name), 96, 224):
        assert network(torch.empty(2, 3, size, size, device="meta")).shape == (2, 7), size


@pytest.mark.parametrize("name", [name for name in zoo.names() if not nested(name, {})])
def test_below_its_smallest_size_it_is_refused(name: str) -> None:
    smallest = zoo.min_size(name)
    zoo.require_size(name, smallest)
    with pytest.raises(ValueError, match=f"{name} needs photos of at least {smallest} px"):
        zoo.require_size(name, smallest - 1)
