"""Is looking twice enough? DCN with 8 patches against its fine and its coarse model, on cluttered digits.

    python benchmarks/dcn.py [EPOCHS]

4,000 training and 1,000 test digits of MNIST, each at a random place of a 100x100 canvas among 8 pieces of
other digits (training canvases anew in every epoch, every test digit twice). The networks end in global max
pooling, so all three learn on cheaper 60x60 canvases with as much clutter per area first, and the last fifth
of the epochs on 100x100. Prints test accuracy and MACs.
"""

import sys
import time

import torch
import torch.nn.functional as F
from digits import clutter, load
from torch import Tensor, nn

from handlens import zoo
from handlens.zoo.counting import count_macs

BATCH, LR, SIDE, SMALL, DISTRACTORS = 50, 1e-3, 100, 60, 8


def train(network: nn.Module, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Adam with a cosine schedule; small canvases first."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * (len(images) // BATCH))
    network.train()
    for epoch in range(epochs):
        side = SIDE if epoch >= epochs * 4 // 5 else SMALL
        canvases = clutter(images, side, round(DISTRACTORS * side**2 / SIDE**2), generator)
        for batch in torch.randperm(len(images), generator=generator).split(BATCH):
            answers = labels[batch]
            optimizer.zero_grad()
            zoo.training_loss(network, canvases[batch], lambda logits, y=answers: F.cross_entropy(logits, y))[
                1
            ].backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()


def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of right answers in percent."""
    network.eval()
    with torch.inference_mode():
        answers = torch.cat([network(part).argmax(1) for part in images.split(100)])
    return (answers == labels).float().mean().item() * 100


def main(epochs: int) -> None:
    """Train and judge the three networks."""
    torch.set_num_threads(1)
    train_images, train_labels, test_images, test_labels = load()
    test = clutter(test_images.repeat(2, 1, 1), SIDE, DISTRACTORS, torch.Generator().manual_seed(1))
    found: dict[str, tuple[float, int]] = {}
    for part in ("coarse", "dcn", "fine"):
        torch.manual_seed(0)
        started = time.monotonic()
        network = zoo.build("dcn_mnist", 10, part=part)
        train(network, train_images, train_labels, epochs)
        found[part] = accuracy(network, test, test_labels.repeat(2)), count_macs(network, SIDE)
        print(
            f"{part:>6}: {found[part][0]:.2f} % right, {found[part][1] / 1e6:.1f}M MACs "
            f"({time.monotonic() - started:.0f} s)",
            flush=True,
        )
    points, share = found["fine"][0] - found["dcn"][0], found["dcn"][1] / found["fine"][1]
    print(f"DCN is {points:.2f} points below the fine model at {share:.2f} of its MACs")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 25)
