"""LiteRT (`.tflite`) files, for Android; the extra `litert` makes and runs them.

The graph takes one uint8 square (1, store, store, 3) and gives probabilities (1, classes), like the ONNX one.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handlens.errors import UserError
from handlens.export import formats, trailer
from handlens.export.exported import Exported
from handlens.pixels import Pixels
from handlens.preprocessing import Classifier


def convert(classifier: Classifier, store_size: int) -> bytes:
    """Convert a classifier in eval mode, in float32."""
    formats.require("litert", "a .tflite file")
    import litert_torch
    import torch

    square = torch.zeros((1, store_size, store_size, 3), dtype=torch.uint8)
    return bytes(litert_torch.convert(classifier.eval(), (square,)).model_content())


def fp16(content: bytes, calibration: Pixels) -> bytes:
    """Store the weights of a float32 file in 16 bits; arithmetic stays float32, `calibration` is not used."""
    return with_small_weights(content, 16, "float_casting")


def int8_weights(content: bytes, calibration: Pixels) -> bytes:
    """Store the weights in 8 bits with a scale per output channel, otherwise as `fp16` does."""
    return with_small_weights(content, 8, "min_max_uniform_quantize")


def with_small_weights(content: bytes, bits: int, algorithm: str) -> bytes:
    """Store the weights of a float32 file in fewer bits."""
    from ai_edge_quantizer import qtyping, quantizer

    made = quantizer.Quantizer(bytearray(content))
    made.add_weight_only_config(".*", qtyping.TFLOperationName.ALL_SUPPORTED, bits, algorithm_key=algorithm)
    return bytes(made.quantize().quantized_model)


def load(content: bytes, source: str, *, threads: int) -> Exported:
    """Load the bytes of a `.tflite` file; 0 threads means one per core.

    Raises `UserError`, naming `source`, when they are not those of a file of handlens.
    """
    formats.require("litert", source)
    from ai_edge_litert.interpreter import Interpreter

    metadata = trailer.read(content, source)
    try:
        interpreter = Interpreter(model_content=content, num_threads=threads or None)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{source} is damaged ({error}). Export the model again.") from None
    return Exported(predictor(interpreter), metadata)


def predictor(interpreter: Any) -> Callable[[Pixels], NDArray[np.float32]]:
    """Predict squares one by one, as the graph takes them."""
    (entry,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()

    def one(square: Pixels) -> NDArray[np.float32]:
        interpreter.set_tensor(entry["index"], square[None])
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(output["index"])[0], np.float32)

    return lambda pixels: np.stack([one(square) for square in pixels])
