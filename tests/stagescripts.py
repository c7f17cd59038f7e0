"""The stage scripts as modules, so that tests call them without starting Python anew."""

import importlib.util
from pathlib import Path
from types import ModuleType

STAGES = Path(__file__).parent.parent / "stages"


def stage(name: str) -> ModuleType:
    """Load `stages/name.py`; its `main` is the stage."""
    spec = importlib.util.spec_from_file_location(f"stage_{name}", STAGES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
