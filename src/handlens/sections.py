"""What every section of `params.yaml` is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0, lt=1)]
Score = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of `params.yaml`; unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
