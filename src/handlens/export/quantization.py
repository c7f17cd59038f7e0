"""Static int8: convolutions computed in 8 bit, their ranges measured on training photos."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from handlens.export.packing import pack, seven_bits
from handlens.pixels import Pixels

BATCH = 16
PREPROCESSED = {"onnx.quant.pre_process": "onnxruntime.quant"}  # the exporter has folded batch norms


class Photos(CalibrationDataReader):  # type: ignore[misc]
    """Feeds photos (N, store, store, 3) to the calibration, a few at a time."""

    def __init__(self, pixels: Pixels, name: str) -> None:
        self.batches: Iterator[dict[str, Pixels]] = iter(
            {name: pixels[start : start + BATCH]} for start in range(0, len(pixels), BATCH)
        )

    def get_next(self) -> dict[str, Pixels] | None:
        """Give the next batch, None after the last."""
        return next(self.batches, None)


def int8(model: onnx.ModelProto, calibration: Pixels) -> onnx.ModelProto:
    """Quantise weights per output channel and activations by their range on `calibration` photos.

    Weights keep to 7 bits (`reduce_range`): x86 without VNNI adds pairs of products in 16 bits, which
    overflow with 8. Biases are corrected for it, see `pack`. Normalisation before the first convolution and
    softmax stay float32.
    """
    (entry,) = [item.name for item in model.graph.input]
    prepared = pack(model, calibration, lambda tensor: seven_bits)
    onnx.helper.set_model_props(prepared, PREPROCESSED)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            prepared,
            path,
            Photos(calibration, entry),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=outside(model),
        )
        return onnx.load(path)


def outside(model: onnx.ModelProto) -> list[str]:
    """Name the nodes before the first convolution and the softmax."""
    nodes = list(model.graph.node)
    first = next(number for number, node in enumerate(nodes) if node.op_type == "Conv")
    softmax = [node.name for node in nodes if node.op_type == "Softmax"]
    return [node.name for node in nodes[:first]] + softmax
