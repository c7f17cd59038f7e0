"""Dynamic Capacity Networks, Almahairi et al. 2015, arXiv:1511.07838, section 3 and 4.1.

A coarse network sees the whole image. Where a small change of its features would most change the entropy
of the prediction, a fine network looks again, at a few patches, and its features replace the coarse ones.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handlens.zoo.extras import Criterion
from handlens.zoo.gray import Gray
from handlens.zoo.init import he_

PATCH = 14  # px, what the fine network maps to one position
STEP = 4  # px between neighbouring positions of the coarse map
PAD = 2  # px around the image: patches are 11 px wide coarse receptive fields and 3 px of context


class Top(nn.Module):
    """Convolutions with ReLU, global max pooling, one linear layer; shared by both passes."""

    def __init__(self, convs: list[nn.Conv2d], num_classes: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(convs)
        self.fc = nn.Linear(convs[-1].out_channels, num_classes)

    def activations(self, features: Tensor) -> list[Tensor]:
        """Return the input and every convolution's output after ReLU."""
        maps = [features]
        for conv in self.convs:
            maps.append(F.relu(conv(maps[-1])))
        return maps

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to logits (N, classes)."""
        logits: Tensor = self.fc(self.activations(features)[-1].amax((2, 3)))
        return logits

    def saliency(self, features: Tensor) -> Tensor:
        """Return the norm over channels of d entropy / d features, (N, H, W), equation 3.

        Written out layer by layer instead of autograd, so that it runs in inference mode and exports.
        """
        maps = self.activations(features)
        top = maps[-1].flatten(2)
        log_p = F.log_softmax(self.fc(top.amax(2)), 1)
        p = log_p.exp()
        entropy = -(p * log_p).sum(1, keepdim=True)
        gradient = (-p * (log_p + entropy)) @ self.fc.weight
        positions = torch.arange(top.shape[2], device=top.device)
        taken = top.argmax(2, keepdim=True) == positions  # max pooling passes it on to one position
        gradient = (gradient[:, :, None] * taken).view_as(maps[-1])
        for conv, below, above in reversed(list(zip(self.convs, maps[:-1], maps[1:], strict=True))):
            gradient = transposed(gradient * (above > 0), conv, below)
        return gradient.square().sum(1).sqrt()


def transposed(gradient: Tensor, conv: nn.Module, below: Tensor) -> Tensor:
    """Return the gradient of a convolution's input from that of its output."""
    assert isinstance(conv, nn.Conv2d)
    full = [
        (gradient.shape[2 + axis] - 1) * conv.stride[axis]
        - 2 * int(conv.padding[axis])
        + conv.kernel_size[axis]
        for axis in (0, 1)
    ]
    rest = [below.shape[2 + axis] - full[axis] for axis in (0, 1)]
    return F.conv_transpose2d(
        gradient,
        conv.weight,
        stride=conv.stride,
        padding=[int(side) for side in conv.padding],
        output_padding=rest,
    )


class DCN(nn.Module):
    """Coarse features everywhere, fine features at the `patches` most salient positions."""

    def __init__(
        self, gray: nn.Module, coarse: nn.Module, fine: nn.Module, top: Top, patches: int, hint: float
    ) -> None:
        super().__init__()
        self.gray, self.coarse, self.fine, self.top = gray, coarse, fine, top
        self.patches, self.hint = patches, hint

    def refine(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the merged map (N, C, H, W), and both features (N, C, k) at the chosen positions."""
        images = self.gray(images)
        coarse = self.coarse(images)
        batch, channels, height, width = coarse.shape
        k = min(self.patches, height * width)
        with torch.no_grad():
            chosen = self.top.saliency(coarse).flatten(1).topk(k).indices
        patches = cut(images, STEP * (chosen // width), STEP * (chosen % width))
        fine = self.fine(patches).view(batch, k, channels).transpose(1, 2)
        where = chosen[:, None, :].expand(-1, channels, -1)
        flat = coarse.flatten(2)
        merged = flat.scatter(2, where, fine).view_as(coarse)
        return merged, flat.gather(2, where), fine

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) to logits (N, classes)."""
        logits: Tensor = self.top(self.refine(images)[0])
        return logits

    def training_loss(self, images: Tensor, criterion: Criterion) -> tuple[Tensor, Tensor]:
        """Add the hint: coarse features shall come near the fine ones they were replaced by (equation 7).

        The squared distance is summed over positions and channels, averaged over photos, and moves the
        coarse layers only.
        """
        merged, coarse, fine = self.refine(images)
        logits: Tensor = self.top(merged)
        distance = (coarse - fine.detach()).square().sum((1, 2)).mean()
        return logits, criterion(logits) + self.hint * distance


def cut(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Cut patches (N * k, C, 14, 14) whose top left corners in the padded image are (N, k)."""
    padded = F.pad(images, [PAD] * 4).permute(0, 2, 3, 1)
    offset = torch.arange(PATCH, device=images.device)
    batch = torch.arange(images.shape[0], device=images.device)[:, None, None, None]
    y = (rows[:, :, None] + offset)[:, :, :, None]
    x = (columns[:, :, None] + offset)[:, :, None, :]
    return padded[batch, y, x].flatten(0, 1).permute(0, 3, 1, 2)


def convolve(before: int, after: int, kernel: int, stride: int, pad: int, norm: bool) -> nn.Sequential:
    """Convolve, normalise if asked, then ReLU."""
    layer = nn.Conv2d(before, after, kernel, stride, pad, bias=not norm)
    rest = [nn.BatchNorm2d(after)] if norm else []
    return nn.Sequential(layer, *rest, nn.ReLU(inplace=True))


def coarse_layers(channels: int, widths: tuple[int, int], norm: bool) -> nn.Sequential:
    """7x7/2 and 3x3/2: a receptive field of 11 px every 4 px."""
    return nn.Sequential(
        convolve(channels, widths[0], 7, 2, 0, norm), convolve(widths[0], widths[1], 3, 2, 0, norm)
    )


def fine_layers(channels: int, widths: tuple[int, ...], norm: bool) -> nn.Sequential:
    """Five 3x3 convolutions, pooled after the second and fourth: 14x14 px become one position."""
    layers: list[nn.Module] = []
    for number, width in enumerate(widths):
        pad = 0 if number in (0, len(widths) - 1) else 1
        layers.append(convolve(channels, width, 3, 1, pad, norm))
        if number in (1, 3):
            layers.append(nn.MaxPool2d(2))
        channels = width
    return nn.Sequential(*layers)


def assemble(
    gray: nn.Module, coarse: nn.Module, fine: nn.Module, top: Top, part: str, patches: int, hint: float
) -> nn.Module:
    """Build the whole network, or one that uses only the coarse or the fine layers, for comparison."""
    if part == "dcn":
        return he_(DCN(gray, coarse, fine, top, patches, hint))
    layers = {"coarse": coarse, "fine": fine}[part]
    return he_(nn.Sequential(OrderedDict(gray=gray, features=layers, top=top)))


def dcn_mnist(num_classes: int, *, patches: int = 8, hint: float = 0.01, part: str = "dcn") -> nn.Module:
    """Build the paper's cluttered-MNIST net: 24 features, a top of one 4x4/2 convolution of 96."""
    coarse = coarse_layers(1, (12, 24), norm=False)
    fine = fine_layers(1, (24,) * 5, norm=False)
    top = Top([nn.Conv2d(24, 96, 4, stride=2)], num_classes)
    return assemble(Gray(), coarse, fine, top, part, patches, hint)


def dcn(
    num_classes: int,
    *,
    patches: int = 16,
    hint: float = 0.01,
    part: str = "dcn",
    widths: tuple[int, int] = (32, 64),
) -> nn.Module:
    """Build our colour form: the same geometry with batch norm, 64 features and a deeper top."""
    low, high = widths
    coarse = coarse_layers(3, (low, high), norm=True)
    fine = fine_layers(3, (low, low, high, high, high), norm=True)
    top = Top(
        [
            nn.Conv2d(high, high * 3 // 2, 4, stride=2),
            nn.Conv2d(high * 3 // 2, 2 * high, 3, stride=2, padding=1),
            nn.Conv2d(2 * high, 2 * high, 3, stride=2, padding=1),
        ],
        num_classes,
    )
    return assemble(nn.Identity(), coarse, fine, top, part, patches, hint)
