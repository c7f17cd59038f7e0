"""Wiring that counts cannot see, each checked against the paper's formula."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from handlens import zoo
from handlens.zoo.alexnet import response_norm
from handlens.zoo.attention import Attention, Unit
from handlens.zoo.bam import BAM
from handlens.zoo.cbam import cbam
from handlens.zoo.danet import ChannelAttention, PositionAttention
from handlens.zoo.dcn import cut
from handlens.zoo.shufflenet import channel_shuffle


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(20)


def zero_(module: nn.Module) -> None:
    """Set all weights and biases of convolutions and linear layers to zero."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.zeros_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def silence_branches_(module: nn.Module) -> None:
    """Set the last convolution of every residual branch to zero, so that f(x) = 0."""
    for unit in module.modules():
        if isinstance(unit, Unit):
            nn.init.zeros_(unit.branch[-1].weight)


def test_residual_unit_without_a_branch_is_x_and_not_2x() -> None:
    unit = Unit(8, 8).eval()
    silence_branches_(unit)
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(unit(x), x)


def pool(x: torch.Tensor) -> torch.Tensor:
    return F.max_pool2d(x, 3, 2, ceil_mode=True)


def up(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=True)


def test_attention_adds_each_skip_once_and_nothing_before_the_gate() -> None:
    """With f = 0 the mask is the bilinear sum of the levels, written out; the trunk is x."""
    module = Attention(8, levels=3).eval()
    silence_branches_(module)
    x = torch.randn(2, 8, 20, 20)
    one, two, three = pool(x), pool(pool(x)), pool(pool(pool(x)))
    mask = module.gate(up(up(up(three, two) + two, one) + one, x))
    torch.testing.assert_close(module.mask(x), mask)
    torch.testing.assert_close(module(x), (1 + mask) * x)
    assert 0 < mask.min() < mask.max() < 1


def test_attention_levels_halve_like_caffe() -> None:
    """Caffe's pooling rounds up: 56, 28, 14, 7 (and no padding)."""
    sizes = []
    module = Attention(8, levels=3).eval()
    for unit in module.down:
        unit.register_forward_hook(lambda _, __, out: sizes.append(out.shape[-1]))
    module(torch.randn(1, 8, 56, 56))
    assert sizes == [28, 14, 7]


@pytest.mark.parametrize("name", ["stn", "stn_mnist"])
@pytest.mark.parametrize("size", [32, 45, 96])
def test_transformer_starts_as_the_identity(name: str, size: int) -> None:
    transformer = zoo.build(name, 3).eval().transformer
    images = torch.randn(2, 3 if name == "stn" else 1, size, size)
    torch.testing.assert_close(transformer(images), images, atol=1e-4, rtol=0)


def test_transformer_turns_a_photo_by_a_quarter(at) -> None:
    transformer = zoo.build("stn", 3).eval().transformer
    quarter = torch.tensor([0.0, -1, 0, 1, 0, 0])  # theta of a turn by 90 degrees
    transformer.theta.bias.data = (quarter - transformer.identity) / transformer.damping
    images = at(64)
    torch.testing.assert_close(transformer(images), images.rot90(1, (2, 3)), atol=1e-4, rtol=0)


def test_stn_leaves_the_loss_to_its_backbone() -> None:
    """A GoogLeNet behind a transformer still trains with its auxiliary heads."""
    network = zoo.build("stn", 2, backbone="googlenet").train()
    zoo.training_loss(network, torch.randn(2, 3, 32, 32), torch.sum)[1].backward()
    assert network.backbone.aux1.fc2.weight.grad.any()


def test_se_gate_without_weights_halves() -> None:
    gate = zoo.build("seresnet18", 2).layer1[0].se_module
    zero_(gate)
    x = torch.randn(2, 64, 4, 4)
    torch.testing.assert_close(gate(x), x * torch.sigmoid(torch.tensor(0.0)))


def test_cbam_without_weights_quarters_and_gates_in_the_order_channel_then_space() -> None:
    module = cbam(32).eval()
    zero_(module)
    x = torch.randn(2, 32, 6, 6)
    torch.testing.assert_close(module(x), x * 0.25)
    module.channel.mlp[2].bias.data.fill_(10)  # opens the channel gate: twice the bias, for mean and maximum
    torch.testing.assert_close(module(x), x * 0.5)
    module.spatial.norm.bias.data.fill_(20)
    torch.testing.assert_close(module(x), x)


def test_cbam_reads_means_and_maxima() -> None:
    """Equations 2 and 3, with a channel network that is the identity on two channels."""
    module = cbam(32).eval()
    spatial = module.spatial
    nn.init.ones_(spatial.norm.weight)
    nn.init.zeros_(spatial.conv.weight)
    spatial.conv.weight.data[0, :, 3, 3] = torch.tensor([1.0, 10.0])  # maximum, mean
    x = torch.rand(1, 32, 4, 4)
    gate = torch.sigmoid(
        (x.amax(1, keepdim=True) + 10 * x.mean(1, keepdim=True)) / (1 + spatial.norm.eps) ** 0.5
    )
    torch.testing.assert_close(spatial(x), x * gate)


def test_bam_without_weights_adds_a_half() -> None:
    module = BAM(32).eval()
    zero_(module)
    x = torch.randn(2, 32, 6, 6)
    torch.testing.assert_close(module(x), x * 1.5)


def test_bam_multiplies_its_two_maps() -> None:
    module = BAM(32).eval()
    zero_(module)
    module.channel[-1].bias.data.fill_(2.0)
    module.spatial[-1].bias.data.fill_(3.0)
    x = torch.randn(2, 32, 6, 6)
    torch.testing.assert_close(module(x), x * (1 + torch.sigmoid(torch.tensor(6.0))))


@pytest.mark.parametrize("name", ["bam_resnet18", "bam_resnet50"])
def test_bam_stands_after_three_stages(name: str) -> None:
    network = zoo.build(name, 2)
    where = [key for key, module in network.named_modules() if isinstance(module, BAM)]
    blocks = {"bam_resnet18": (2, 2, 2), "bam_resnet50": (3, 4, 6)}[name]
    assert where == [f"layer{stage + 1}.{count}" for stage, count in enumerate(blocks)]


@pytest.mark.parametrize(("groups", "channels"), [(2, 4), (3, 12), (8, 24)])
def test_channel_shuffle_is_the_transposing_permutation(groups: int, channels: int) -> None:
    x = torch.arange(channels).float().view(1, channels, 1, 1).expand(1, channels, 2, 2)
    order = channel_shuffle(x, groups)[0, :, 0, 0].int().tolist()
    assert sorted(order) == list(range(channels))
    size = channels // groups
    assert order == [group * size + place for place in range(size) for group in range(groups)]


def test_attention_with_gamma_0_is_the_identity() -> None:
    x = torch.randn(2, 16, 5, 5)
    assert torch.equal(PositionAttention(16)(x), x)
    assert torch.equal(ChannelAttention()(x), x)


def test_danet_with_gamma_0_is_its_backbone_with_plain_convolutions() -> None:
    network = zoo.build("danet_resnet18", 5).eval()
    images = torch.randn(2, 3, 64, 64)
    features = network.backbone(images)
    plain = sum(branch[2](branch[0](features)) for branch in (network.position, network.channel))
    torch.testing.assert_close(network(images), network.fc(plain.mean((2, 3))))
    network.position[1].gamma.data.fill_(1.0)
    assert not torch.allclose(network(images), network.fc(plain.mean((2, 3))))


def test_position_attention_gathers_by_likeness() -> None:
    """Section 3.2 written with loops over positions."""
    module = PositionAttention(16)
    module.gamma.data.fill_(0.7)
    x = torch.randn(1, 16, 3, 3)
    query, key, value = (part(x).flatten(2)[0] for part in (module.query, module.key, module.value))
    expected = x.flatten(2)[0].clone()
    for j in range(9):
        weights = torch.softmax(torch.stack([query[:, j] @ key[:, i] for i in range(9)]), 0)
        expected[:, j] += 0.7 * sum(weights[i] * value[:, i] for i in range(9))
    torch.testing.assert_close(module(x).flatten(2)[0], expected)


def test_channel_attention_gathers_by_unlikeness() -> None:
    module = ChannelAttention()
    module.gamma.data.fill_(0.7)
    x = torch.randn(1, 4, 3, 3)
    flat = x.flatten(2)[0]
    expected = flat.clone()
    for j in range(4):
        energy = torch.stack([flat[j] @ flat[i] for i in range(4)])
        weights = torch.softmax(energy.max() - energy, 0)
        expected[j] += 0.7 * sum(weights[i] * flat[i] for i in range(4))
    torch.testing.assert_close(module(x).flatten(2)[0], expected)


@pytest.mark.parametrize(("name", "size"), [("dcn_mnist", 100), ("dcn", 64), ("dcn", 97)])
def test_saliency_is_the_gradient_of_the_entropy(name: str, size: int) -> None:
    """Equation 3 by autograd against the written-out backward pass."""
    network = zoo.build(name, 10).eval()
    images = network.gray(torch.randn(2, 3, size, size))
    features = network.coarse(images).detach().requires_grad_()
    p = torch.softmax(network.top(features), 1)
    entropy = -(p * p.log()).sum()
    (gradient,) = torch.autograd.grad(entropy, features)
    torch.testing.assert_close(network.top.saliency(features), gradient.norm(dim=1), atol=1e-6, rtol=1e-4)


def test_dcn_replaces_the_most_salient_positions_by_fine_features() -> None:
    network = zoo.build("dcn_mnist", 10).eval()
    images = torch.randn(2, 3, 100, 100)
    gray = images.mean(1, keepdim=True)
    coarse = network.coarse(gray)
    assert coarse.shape == (2, 24, 23, 23)
    merged, before, after = network.refine(images)
    changed = (merged != coarse).any(1)
    saliency = network.top.saliency(coarse)
    for photo in range(2):
        best = saliency[photo].flatten().topk(8).indices
        assert set(changed[photo].flatten().nonzero().flatten().tolist()) <= set(best.tolist())
        for number, place in enumerate(best):
            row, column = divmod(int(place), 23)
            patch = F.pad(gray, [2] * 4)[photo : photo + 1, :, 4 * row : 4 * row + 14, 4 * column :][..., :14]
            fine = network.fine(patch).flatten()
            torch.testing.assert_close(merged[photo, :, row, column], fine, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(after[photo, :, number], fine, atol=1e-5, rtol=1e-4)
            assert torch.equal(before[photo, :, number], coarse[photo, :, row, column])


def test_a_patch_covers_the_receptive_field_of_its_position() -> None:
    """Patches reach 2 px above and left of, and 1 px beyond, the 11 px that the coarse layers see."""
    images = torch.arange(40.0 * 40).view(1, 1, 40, 40)
    patch = cut(images, torch.tensor([[4]]), torch.tensor([[8]]))
    assert torch.equal(patch[0, 0], images[0, 0, 2:16, 6:20])


def test_the_hint_moves_the_coarse_layers_only() -> None:
    network = zoo.build("dcn_mnist", 10, hint=1.0).train()
    zoo.training_loss(network, torch.randn(2, 3, 100, 100), lambda logits: logits.sum() * 0)[1].backward()
    assert network.coarse[0][0].weight.grad.any()
    assert not network.fine[0][0].weight.grad.any()
    assert not network.top.fc.weight.grad.any()


def test_googlenet_weighs_its_auxiliary_heads_by_0_3() -> None:
    """A criterion that is 1 whatever the logits: 1 + 2 * 0.3."""
    for name in ("googlenet", "googlenet_bn"):
        network = zoo.build(name, 4).train()
        logits, loss = zoo.training_loss(
            network, torch.randn(2, 3, 64, 64), lambda logits: (logits * 0).sum() + 1
        )
        assert logits.shape == (2, 4)
        assert loss.item() == pytest.approx(1.6)


def test_response_norm_is_the_papers() -> None:
    """Section 3.3: b = a / (2 + 1e-4 * sum of five squares) ** 0.75."""
    a = torch.rand(1, 9, 1, 1) * 100
    squares = F.pad(a.flatten().square(), (2, 2))
    expected = torch.stack([a[0, i, 0, 0] / (2 + 1e-4 * squares[i : i + 5].sum()) ** 0.75 for i in range(9)])
    torch.testing.assert_close(response_norm()(a).flatten(), expected)


@pytest.mark.parametrize(
    ("name", "shapes"), [("alexnet", [55, 27, 27, 13, 13, 13, 13, 6]), ("vgg16", [224, 112, 56, 28, 14, 7])]
)
def test_feature_maps_have_the_papers_sizes(name: str, shapes: list[int]) -> None:
    with torch.device("meta"):
        network = zoo.build(name, 10).eval()
    seen = []
    for module in network.features:
        if isinstance(module, nn.MaxPool2d | nn.Conv2d):
            module.register_forward_hook(lambda _, __, out: seen.append(out.shape[-1]))
    size = zoo.describe(name).paper_size
    network(torch.empty(1, 3, size, size, device="meta"))
    assert list(dict.fromkeys(seen) if name == "vgg16" else seen) == shapes


def test_paper_stride_stands_on_the_first_convolution() -> None:
    network = zoo.build("resnet50", 2, paper_stride=True)
    strided = [key for key, module in network.named_modules() if getattr(module, "stride", None) == (2, 2)]
    assert strided == [
        "conv1",
        *[f"layer{stage}.0.{part}" for stage in (2, 3, 4) for part in ("conv1", "downsample.0")],
    ]


@pytest.mark.parametrize("name", ["vgg11", "vgg16_bn", "resnet50", "shufflenet_v2_x1_5", "googlenet_bn"])
def test_state_dicts_are_torchvisions(name: str) -> None:
    """Names and shapes, so that its weights load."""
    theirs = {"shufflenet_v2_x1_5": "shufflenet_v2_x1_5", "googlenet_bn": "googlenet"}.get(name, name)
    options = {"aux_logits": True, "init_weights": False} if theirs == "googlenet" else {}
    with torch.device("meta"):
        ours = zoo.build(name, 1000).state_dict()
        reference = torchvision.models.get_model(theirs, weights=None, **options).state_dict()
    assert {key: value.shape for key, value in ours.items()} == {
        key: value.shape for key, value in reference.items()
    }
