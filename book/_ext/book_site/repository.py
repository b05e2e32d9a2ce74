"""Every address that depends on where the book is kept, from `_config.yml` alone.

In pages: ``{repo}`text <path>` `` for a file, ``{colab}`text <path>` `` and
``{kaggle}`text <path>` `` for a notebook, and ``{site}`text <path>` `` for what is published beside
the pages.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sphinx.application import Sphinx

SOURCE, RELEASE = "book/exercises/source/", "book/exercises/release/"


def add_link_roles(app: Sphinx, config) -> None:
    """Define the roles `repo`, `colab`, `kaggle` and `site`."""
    options = config.html_theme_options
    url, branch = options["repository_url"].rstrip("/"), options["repository_branch"]
    colab = options["launch_buttons"]["colab_url"].rstrip("/")
    slug = url.removeprefix("https://github.com/")
    config.extlinks = {
        "repo": (f"{url}/blob/{branch}/%s", "%s"),
        "colab": (f"{colab}/github/{slug}/blob/{branch}/%s", "%s"),
        "kaggle": (f"https://www.kaggle.com/kernels/welcome?src={url}/blob/{branch}/%s", "%s"),
        "site": (f"{config.html_baseurl}%s", "%s"),
    }


def colab_button(app: Sphinx, pagename: str, templatename, context: dict, doctree) -> None:
    """Turn the theme's menu of launch buttons into one button for Colab.

    On an exercise page it opens the version without solutions.
    """
    buttons = context["header_buttons"]
    for i, group in enumerate(buttons):
        if group.get("label") == "launch-buttons":
            (colab,) = group["buttons"]
            buttons[i] = {
                "type": "link",
                "url": colab["url"].replace(SOURCE, RELEASE),
                "text": "Colab",
                "tooltip": "Run this page in Colab",
                "icon": "fas fa-play",
                "label": "colab-button",
            }


def offer_release(app: Sphinx, error: Exception | None) -> None:
    """Let the download button of an exercise page give the version without solutions."""
    for copied in Path(app.outdir, "_sources", SOURCE).glob("*/*.ipynb"):
        release = Path(app.srcdir, RELEASE, copied.parent.name, copied.name)
        if error is None and release.exists():
            shutil.copyfile(release, copied)


def setup(app: Sphinx) -> None:
    """Run before extlinks makes roles, and after the theme has made its buttons."""
    app.connect("config-inited", add_link_roles)
    app.connect("html-page-context", colab_button, priority=600)
    app.connect("build-finished", offer_release)
