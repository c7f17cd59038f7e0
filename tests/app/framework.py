"""Do the calls of a dex file exist in Android? Looked up in stubs of API 36 (PyPI chaquopy-stubs-android)."""

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import files
from pathlib import Path

CALL = re.compile(r"invoke-\S+ \{[^}]*\}, (L[^;]+;)\.([^:]+):\(([^)]*)\)")
PARAMETER = re.compile(r"(\[*)(?:L([^;]+);|([ZBSCIJFD]))")
ARRAY = {
    "Z": "JavaArrayJBoolean",
    "B": "JavaArrayJByte",
    "S": "JavaArrayJShort",
    "C": "JavaArrayJChar",
    "I": "JavaArrayJInt",
    "J": "JavaArrayJLong",
    "F": "JavaArrayJFloat",
    "D": "JavaArrayJDouble",
}
PRIMITIVE = {
    "Z": "bool",
    "B": "int",
    "S": "int",
    "C": "str",
    "I": "int",
    "J": "int",
    "F": "float",
    "D": "float",
}


@dataclass
class Class:
    """A class of the app: its superclass and methods (name, parameters as dex writes them)."""

    parent: str = ""
    methods: list[tuple[str, str]] = field(default_factory=list)
    calls: list[tuple[str, str, str]] = field(default_factory=list)


def read_dex(path: Path) -> dict[str, Class]:
    """Read the classes of a dex file through dexdump."""
    output = subprocess.run(["dexdump", "-d", path], capture_output=True, text=True, check=True).stdout
    classes: dict[str, Class] = {}
    name = ""
    for line in output.splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "Class descriptor":
            current = classes.setdefault(value.strip("'"), Class())
        elif key == "Superclass":
            current.parent = value.strip("'")
        elif key == "name":
            name = value.strip("'")
        elif key == "type" and "(" in value:
            current.methods.append((name, value.strip("'")[1:].split(")")[0]))
        elif found := CALL.search(line):
            current.calls.append(found.groups())
    return classes


def framework_calls(classes: dict[str, Class]) -> Iterator[tuple[str, str, str]]:
    """List (class, method, parameters) of every call and every overridden method outside the app."""
    for own in classes.values():
        for owner, method, parameters in own.calls:
            while owner in classes and (method, parameters) not in classes[owner].methods:
                owner = classes[owner].parent
            if owner.startswith("Landroid/"):
                yield owner, method, parameters


@cache
def module(package: str) -> dict[str, ast.ClassDef]:
    """Read the classes of a package's stub; nested ones as Outer$Inner."""
    path = f"{package.split('.')[0]}-stubs/{'/'.join(package.split('.')[1:])}/__init__.pyi".replace("//", "/")
    (found,) = [each for each in files("chaquopy-stubs-android") or [] if each.as_posix() == path]
    return dict(nested(ast.parse(found.read_text(encoding="utf-8")), ""))


def nested(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield prefix + child.name, child
            yield from nested(child, f"{prefix}{child.name}$")


def exists(owner: str, method: str, parameters: str) -> bool:
    """Tell whether a framework class or one above it has the method with parameters of these types."""
    package, _, name = owner[1:-1].replace("/", ".").rpartition(".")
    definition = module(package).get(name)
    if definition is None:
        return False
    wanted = "__init__" if method == "<init>" else method
    own = [each for each in definition.body if isinstance(each, ast.FunctionDef) and each.name == wanted]
    if any(matches(each, parameters) for each in own):
        return True
    parents = [parent for base in definition.bases if (parent := descriptor(ast.unparse(base), package))]
    return method == "toString" or any(exists(parent, method, parameters) for parent in parents)


def descriptor(base: str, package: str) -> str:
    """Write a base class as dex does; empty for one outside the framework, such as typing.Generic."""
    name = base.split("[")[0]
    if "." not in name:
        name = f"{package}.{name}"
    parts = name.split(".")
    if parts[0] != "android":
        return ""
    first = next(i for i, part in enumerate(parts) if part[0].isupper())
    return f"L{'/'.join(parts[:first])}/{'$'.join(parts[first:])};"


def matches(definition: ast.FunctionDef, parameters: str) -> bool:
    """Compare the parameters of a stub with those of a call, by the simple names of their types."""
    given = [simple_name(*found) for found in PARAMETER.findall(parameters)]
    declared = [
        ast.unparse(each.annotation)
        for each in definition.args.posonlyargs + definition.args.args
        if each.annotation
    ]
    return len(given) == len(declared) and all(
        re.search(rf"\b{name}\b", text) or (name == "Object" and "." not in text)  # a type variable
        for name, text in zip(given, declared, strict=True)
    )


def simple_name(array: str, long: str, short: str) -> str:
    """Name a type as the stubs do: an array of primitives has a class of its own there."""
    if array and short:
        return ARRAY[short]
    return PRIMITIVE[short] if short else re.split(r"[/$]", long)[-1]
