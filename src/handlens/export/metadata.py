"""What an exported file says about itself, readable without this project's other files.

The file's `metadata_props` hold text under these keys: `handlens` (version of this layout), `model`, `arch`,
`kind`, `classes` (JSON list, in the order of the probabilities), `contract` (JSON, see `handlens.contract`),
`scores` (JSON, the trained model's), `weights` (sha256 of the trained weights file), `fine_tuned` (epochs for
which these were trained further in simulated 8 bits, 0 for none) and `commit` (of the training, empty when
unknown).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from handlens.contract import Contract
from handlens.errors import UserError

LAYOUT = "1"


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Class names and preprocessing, and where the file comes from."""

    contract: Contract
    model: str
    arch: str
    kind: str
    scores: Mapping[str, Any]
    weights: str
    commit: str
    fine_tuned: int = 0

    def to_props(self) -> dict[str, str]:
        """Give the texts that go into the file."""
        return {
            "handlens": LAYOUT,
            "model": self.model,
            "arch": self.arch,
            "kind": self.kind,
            "classes": json.dumps(self.contract.classes, ensure_ascii=False),
            "contract": self.contract.model_dump_json(),
            "scores": json.dumps(self.scores),
            "weights": self.weights,
            "fine_tuned": str(self.fine_tuned),
            "commit": self.commit,
        }

    @classmethod
    def from_props(cls, props: Mapping[str, str], source: str) -> "Metadata":
        """Read the texts of a file; `source` names it in messages.

        Raises `UserError` when they are not those of an exported file of handlens.
        """
        if "handlens" not in props or "contract" not in props:
            raise UserError(
                f"{source} is not an ONNX file of handlens: it carries no class names and no contract. "
                "Use a file that 'dvc repro export' made, models/<name>/export/*.onnx."
            )
        if props["handlens"] != LAYOUT:
            raise UserError(
                f"{source} has layout {props['handlens']!r}, this version of handlens reads {LAYOUT!r}. "
                "Export the model again, or install the handlens that made it."
            )
        try:
            contract = Contract.model_validate_json(props["contract"])
        except ValidationError as error:
            raise UserError(f"{source} holds a contract that is not one: {error}") from None
        if json.loads(props["classes"]) != list(contract.classes):
            raise UserError(
                f"{source} names its classes {props['classes']} but its contract says "
                f"{list(contract.classes)}. The file was changed after its export; export it again."
            )
        return cls(
            contract=contract,
            model=props["model"],
            arch=props["arch"],
            kind=props["kind"],
            scores=json.loads(props["scores"]),
            weights=props["weights"],
            fine_tuned=int(props["fine_tuned"]),
            commit=props["commit"],
        )
