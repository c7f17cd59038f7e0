"""Refuse what cannot work before anything runs: the parameters, and file names that DVC cannot hold."""

import os
from pathlib import Path

from handlens import params, zoo
from handlens.errors import UserError
from handlens.export import formats


def check(path: Path) -> params.Params:
    """Validate `params.yaml`, that every listed model's architecture exists and takes `input_size`,
    and that the extras that its exports need are installed."""
    checked = params.load(path)
    for name in checked.trained:
        recipe = checked.recipes[name]
        try:
            zoo.check_options(recipe.arch, recipe.options)
            zoo.require_size(recipe.arch, checked.input_size)
        except UserError as error:
            raise UserError(f"{path}: recipes.{name}: {error}") from None
    for kind in checked.export.files if checked.export.models else ():
        formats.require(formats.format_of(kind), f"{path}: export.files.{kind}")
    return checked


def check_raw(folder: Path) -> None:
    """Refuse a missing raw folder, and file names below it that break DVC before `scan` could report them.

    DVC reads the whole folder to see what changed; names that are not UTF-8 and dangling links stop it with a
    traceback.
    """
    if not folder.is_dir():
        raise UserError(
            f"there are no photos: the folder {folder} does not exist. 'handlens import FOLDER' brings "
            "yours, 'handlens sample' real photos to try; a queued experiment finds them after 'dvc add "
            f"{folder}' and a commit."
        )
    for parent, folders, names in os.walk(folder):
        for path in (Path(parent, name) for name in [*folders, *names]):
            if not is_utf8(path):
                raise UserError(
                    f"{os.fsencode(path)!r} has a name that is not UTF-8, which DVC cannot track. "
                    "Rename it, then run again."
                )
            if path.is_symlink() and not path.exists():
                raise UserError(
                    f"{path} is a link to {path.readlink()}, which does not exist; DVC cannot track it. "
                    "Restore its target or remove the link, then run again."
                )


def is_utf8(path: Path) -> bool:
    """Tell whether a path can be written as UTF-8."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
