"""Write the versions that Colab has today into `tools/colab-requirements.txt` (needs a connection).

Google keeps lists of what a Colab runtime contains; only what the notebooks use is taken over.

    python -m tools.colab_versions
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.request import urlopen

SOURCE = "https://raw.githubusercontent.com/googlecolab/backend-info/main/"
REQUIREMENTS = Path(__file__).with_name("colab-requirements.txt")
PACKAGES = (
    "tensorflow", "keras", "numpy", "matplotlib", "pillow", "scipy", "scikit-image",
    "scikit-learn", "ipykernel", "ipython",
)  # fmt: skip


def requirements(freeze: str, system: str) -> str:
    """Return the requirements from Colab's list of packages and its lines on the system.

    Raises
    ------
    ValueError
        If the version of Python or of a package is not in the lists.
    """
    python = re.search(r"^Python (\d+\.\d+)", system, flags=re.M)
    if not python:
        raise ValueError(f"the system's lines must name the version of Python, got {system!r}")
    pins = {}
    for line in freeze.splitlines():
        name, _, pin = line.strip().partition("==")
        pins[name.lower().replace("_", "-")] = pin
    if missing := [name for name in PACKAGES if not pins.get(name)]:
        raise ValueError(f"Colab's list must have a version of {', '.join(missing)}, got none")
    lines = [f"{name}=={pins[name]}" for name in PACKAGES]
    header = f"# Colab's packages, with its Python {python[1]}; written by tools/colab_versions.py."
    return "\n".join([header, *lines]) + "\n"


def main(source: str = SOURCE) -> None:
    """Fetch both lists and write the requirements."""
    texts = []
    for name in ("pip-freeze.txt", "os-info.txt"):
        with urlopen(source + name, timeout=60) as answer:
            texts.append(answer.read().decode())
    REQUIREMENTS.write_text(requirements(*texts), encoding="utf-8")
    print(REQUIREMENTS.read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    main()
