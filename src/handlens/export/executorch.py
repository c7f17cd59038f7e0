"""ExecuTorch (`.pte`) files, PyTorch's own phone format; the extra `executorch` makes and runs them.

The graph takes one uint8 square (1, store, store, 3) and gives probabilities (1, classes), like the ONNX one.
XNNPACK computes it, in float32 or in 8 bits. Threads are chosen by the runtime.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from handlens.errors import UserError
from handlens.export import formats, trailer
from handlens.export.exported import Exported
from handlens.pixels import Pixels
from handlens.preprocessing import Classifier


class Planes(nn.Module):
    """A classifier that first lays the channels out in planes: XNNPACK then takes the graph as a whole."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, pixels: Tensor) -> Tensor:
        """Give probabilities (1, classes) of a square (1, store, store, 3)."""
        planes = pixels.permute(0, 3, 1, 2).contiguous()
        probabilities: Tensor = self.classifier(planes.permute(0, 2, 3, 1))
        return probabilities


def convert(classifier: Classifier, store_size: int) -> Planes:
    """Prepare a classifier in eval mode for either kind, which begins with quantisation or none."""
    formats.require("executorch", "a .pte file")
    return Planes(classifier).eval()


def fp32(network: Planes, calibration: Pixels) -> bytes:
    """Compute in float32; of `calibration` (N, store, store, 3) the first square is traced."""
    return lowered(network, torch.from_numpy(calibration[:1]))


def int8(network: Planes, calibration: Pixels) -> bytes:
    """Compute with weights per output channel and activations in 8 bits, by their range on `calibration`."""
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer
    from torchao.quantization.pt2e import quantize_pt2e

    squares = torch.from_numpy(calibration)
    traced = torch.export.export(network, (squares[:1],)).module()
    quantizer = xnnpack_quantizer.XNNPACKQuantizer()
    quantizer.set_global(xnnpack_quantizer.get_symmetric_quantization_config(is_per_channel=True))
    prepared = quantize_pt2e.prepare_pt2e(traced, quantizer)
    with torch.no_grad():
        for number in range(len(squares)):
            prepared(squares[number : number + 1])
    return lowered(quantize_pt2e.convert_pt2e(prepared), squares[:1])


def lowered(module: nn.Module, square: Tensor) -> bytes:
    """Hand a module's graph to XNNPACK and serialise it."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    program = torch.export.export(module, (square,))
    edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    return bytes(edge.to_executorch().buffer)


def load(content: bytes, source: str) -> Exported:
    """Load the bytes of a `.pte` file.

    Raises `UserError`, naming `source`, when they are not those of a file of handlens.
    """
    formats.require("executorch", source)
    from executorch.runtime import Runtime

    metadata = trailer.read(content, source)
    try:
        program = Runtime.get().load_program(content)
        method = program.load_method("forward")
    except RuntimeError as error:
        raise UserError(f"{source} is damaged ({error}). Export the model again.") from None

    # The runtime reads weights where they lie in `content` and does not keep it alive: once the bytes are
    # freed it computes with whatever is there then.
    def one(square: Pixels, kept: object = (content, program)) -> NDArray[np.float32]:
        (probabilities,) = method.execute([torch.from_numpy(square[None])])
        return np.asarray(probabilities.numpy()[0], np.float32)

    return Exported(lambda pixels: np.stack([one(square) for square in pixels]), metadata)
