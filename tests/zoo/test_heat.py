"""Grad-CAM looks into every network and leaves it as it was."""

import narrow
import numpy as np
import pytest
import textures
import torch

from handlens import gradcam, zoo
from handlens.preprocessing import Classifier


@pytest.mark.parametrize("name", narrow.variants().values(), ids=narrow.variants())
def test_every_network_has_heat_and_keeps_no_gradient(name):
    torch.manual_seed(0)
    size = max(64, zoo.min_size(name))
    contract = textures.contract_of(textures.split_table(), store_size=size, input_size=size)
    whole = Classifier(narrow.build(name, 3).eval(), contract)
    before = {key: value.clone() for key, value in whole.state_dict().items()}
    heat = gradcam.heat(whole, textures.squares(np.array([0, 1, 2]), size), np.array([2, 1, 0]))
    assert heat.ndim == 3
    assert len(heat) == 3
    assert heat.shape[1] * heat.shape[2] > 1
    assert np.isfinite(heat).all()
    assert heat.min() >= 0
    assert set(heat.max(axis=(1, 2)).round(5).tolist()) <= {0.0, 1.0}
    assert all(parameter.grad is None for parameter in whole.parameters())
    assert not any(module._forward_hooks for module in whole.modules())
    assert all((before[key] == value).all() for key, value in whole.state_dict().items())
