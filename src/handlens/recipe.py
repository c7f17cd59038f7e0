"""How a model is trained: the sections `train:`, `recipes:` and `distill:` of `params.yaml`.

What each key means stands beside it in `params.yaml`.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from handlens.sections import Score, Section, Share

Positive = Annotated[float, Field(gt=0)]
Change = Annotated[float, Field(ge=0, lt=1)]


class BatchAugment(Section):
    """Random changes of training batches."""

    crop_scale: tuple[Share, Annotated[float, Field(gt=0, le=1)]] | None
    crop_ratio: tuple[Positive, Positive]
    hflip: bool
    vflip: bool
    color_jitter: tuple[Change, Change, Change, Annotated[float, Field(ge=0, le=0.5)]] | None
    policy: Literal["rand_augment", "trivial_augment"] | None
    erasing: Score | None

    @model_validator(mode="before")
    @classmethod
    def sequence_to_tuple(cls, data: Any) -> Any:
        """YAML has lists only."""
        if not isinstance(data, dict):
            return data
        return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}

    @model_validator(mode="after")
    def agree(self) -> "BatchAugment":
        """Refuse ranges that are upside down and two ways to change colours at once."""
        for key in ("crop_scale", "crop_ratio"):
            limits = getattr(self, key)
            if limits is not None and limits[0] > limits[1]:
                raise ValueError(f"{key} is {list(limits)}, expected the smaller number first")
        if self.color_jitter is not None and self.policy is not None:
            raise ValueError(f"color_jitter and policy {self.policy} both change colours; set one to null")
        return self


class Train(Section):
    """What a recipe does not say."""

    weights: str | None
    options: dict[str, Any]
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=2)]
    accumulate: Annotated[int, Field(ge=1)]
    precision: Literal["auto", "float32", "bfloat16"]
    optimizer: Literal["sgd", "adam", "adamw"]
    lr: Positive
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0)]
    head_lr_mult: Positive
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None
    freeze_epochs: Annotated[int, Field(ge=0)]
    schedule: Literal["constant", "cosine", "step", "one_cycle"]
    warmup_epochs: Annotated[float, Field(ge=0)]
    clip_norm: Positive | None
    ema: Share | None
    sync_bn: bool
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    mixup: Positive | None
    cutmix: Positive | None
    class_weighting: Literal["none", "loss", "sampler"]
    monitor: Literal["val_accuracy", "val_macro_f1", "val_loss"]
    patience: Annotated[int, Field(ge=1)] | None
    augment: BatchAugment


class Student(Section):
    """From which model a model learns, and how."""

    teacher: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    temperature: Annotated[float, Field(ge=1)]
    weight: Annotated[float, Field(gt=0, le=1)]


class Recipe(Train):
    """A model: `train:` with the recipe's own values put over it."""

    arch: str

    @model_validator(mode="after")
    def agree(self) -> "Recipe":
        """Refuse values that contradict each other."""
        if self.schedule == "one_cycle" and self.warmup_epochs > 0:
            raise ValueError(
                f"schedule one_cycle has a warm-up of its own; set warmup_epochs {self.warmup_epochs} to 0"
            )
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs {self.warmup_epochs} is more than epochs {self.epochs}")
        if self.freeze_epochs > self.epochs:
            raise ValueError(f"freeze_epochs {self.freeze_epochs} is more than epochs {self.epochs}")
        for key in ("freeze_epochs", "layer_decay"):
            if self.weights is None and getattr(self, key):
                raise ValueError(
                    f"{key} {getattr(self, key)} keeps pretrained weights, but weights is null; "
                    f"set weights, or {key} to {'0' if key == 'freeze_epochs' else 'null'}"
                )
        if self.batch_size < 2 * self.accumulate:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be computed in accumulate {self.accumulate} parts "
                "of at least 2 photos; lower accumulate"
            )
        return self
