"""Does the spatial transformer earn its place? The paper's MNIST net with and without it, on turned digits.

    python benchmarks/stn.py [SEEDS]

4,000 training and 1,000 test digits of MNIST, turned by up to +-90 degrees (training digits anew in every
epoch, every test digit four times). Both nets have 32 filters and the same 40 epochs. Prints the test error
per seed and the mean.
"""

import sys

import torch
import torch.nn.functional as F
from digits import load, rotate
from torch import Tensor, nn

from handlens import zoo

EPOCHS, BATCH, LR, FILTERS, LIMIT = 40, 50, 3e-3, 32, 90.0


def normalised(images: Tensor) -> Tensor:
    """Centre the pixels with MNIST's usual mean and standard deviation."""
    return (images - 0.13) / 0.31


def train(network: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> None:
    """Adam with a cosine schedule."""
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    network.train()
    for _ in range(EPOCHS):
        turned = normalised(rotate(images, LIMIT, generator))
        for batch in torch.randperm(len(images), generator=generator).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(network(turned[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()


def error(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of wrong answers in percent."""
    network.eval()
    with torch.inference_mode():
        answers = torch.cat([network(part).argmax(1) for part in images.split(500)])
    return (answers != labels).float().mean().item() * 100


def main(seeds: int) -> None:
    """Compare the two nets for every seed."""
    torch.set_num_threads(1)
    train_images, train_labels, test_images, test_labels = load()
    turned = rotate(test_images.repeat(4, 1, 1), LIMIT, torch.Generator().manual_seed(0))
    test, answers = normalised(turned), test_labels.repeat(4)
    errors: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(seeds):
        for transformer in (False, True):
            torch.manual_seed(seed)
            network = zoo.build("stn_mnist", 10, filters=FILTERS, transformer=transformer)
            train(network, train_images, train_labels, torch.Generator().manual_seed(seed))
            errors[transformer].append(error(network, test, answers))
            name = "with" if transformer else "without"
            print(f"seed {seed}, {name:>7} transformer: {errors[transformer][-1]:.2f} % error", flush=True)
    plain, with_transformer = (sum(errors[key]) / seeds for key in (False, True))
    ratio = with_transformer / plain
    print(f"mean: {plain:.2f} % without, {with_transformer:.2f} % with, ratio {ratio:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
