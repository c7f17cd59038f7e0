"""Make .dvc/plots/page.html: the page of `dvc plots show`, with Vega inside, so that it works offline.

Run in the project's folder, with npm: python scripts/make_plots_page.py
The versions are those that DVC 3.67 would load from the internet. Vega, Vega-Lite and Vega-Embed are
copyright University of Washington Interactive Data Lab and others, BSD 3-clause licence.
"""

import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

PACKAGES = {"vega": "5.20.2", "vega-lite": "5.2.0", "vega-embed": "6.18.2"}
PAGE = Path(".dvc/plots/page.html")

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh_tag}
<title>handlens: plots</title>
<style>
body { font-family: system-ui, "Noto Sans CJK SC", sans-serif; margin: 1.5rem; color: #222; }
body > div { display: inline-block; vertical-align: top; margin: 0 1.5rem 1.5rem 0; max-width: 100%; }
img { max-width: 100%; height: auto; }
</style>
SCRIPTS
</head>
<body>
{plot_divs}
</body>
</html>
"""


def script_of(package: str, version: str) -> str:
    """Fetch a package with npm and take the built script out of it, with its licence as a comment."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"{package}@{version}"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        archive = next(Path(folder).glob("*.tgz")).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        code = read(files, f"package/build/{package}.min.js")
        licence = read(files, "package/LICENSE")
    return f"<script>\n/* {package} {version}\n{licence}*/\n{code}</script>"


def read(files: tarfile.TarFile, name: str) -> str:
    """Read a text file of an archive."""
    member = files.extractfile(name)
    assert member is not None, f"{name} is not a file"
    return member.read().decode("utf-8")


def main() -> None:
    """Write the page."""
    scripts = "\n".join(script_of(package, version) for package, version in PACKAGES.items())
    PAGE.write_text(TEMPLATE.replace("SCRIPTS", scripts), encoding="utf-8")


if __name__ == "__main__":
    main()
