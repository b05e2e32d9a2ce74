"""The questions at the end of a chapter: each choice opens and says whether and why it is right.

They come from `book/quizzes.toml` and stand on the page only. The notebooks stay as they are: in
Colab a question would be inert text, and a learning platform reads the same file.

A choice is a `details` element, so keyboards and screen readers work it without any script.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tools import questions, quizzes
from tools.common import read, title

HEADING = "Check yourself"
BEFORE = re.compile(r"^## Summary$", re.M)
SECTION = f"""\
## {HEADING}

Answer before you open a choice. Each one says why it is right or wrong, so look at the others
afterwards.

```{{quiz}}
```

"""


class question(nodes.General, nodes.Element):  # noqa: N801 (docutils names nodes so)
    """A question with its choices."""


class choice(nodes.General, nodes.Element):  # noqa: N801
    """A choice that opens."""


class choice_text(nodes.General, nodes.TextElement):  # noqa: N801
    """What is to be seen of a choice before it is opened."""


def with_quiz(notebook: dict) -> dict:
    """Return a notebook with the questions before its summary, or at its end without one."""
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and BEFORE.search(text):
            cell["source"] = BEFORE.sub(lambda heading: SECTION + heading[0], text)
            return notebook
    cell = {"cell_type": "markdown", "id": "quiz", "metadata": {}, "source": SECTION}
    return notebook | {"cells": [*notebook["cells"], cell]}


def insert_quiz(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the questions into the source of a chapter, after it has been read from its file."""
    if page.startswith("chapters/") and of_chapter(page):
        app.env.note_dependency(str(questions.SOURCE))
        source[0] = json.dumps(with_quiz(json.loads(source[0])))


def of_chapter(page: str) -> list[questions.Question]:
    """Return the questions that a chapter asks."""
    return [q for q in questions.load() if q.chapter == page.removeprefix("chapters/")]


class Quiz(SphinxDirective):
    """All questions of the chapter in which it stands."""

    def run(self) -> list[nodes.Node]:
        """Return one node for each question, and the key for the printed page."""
        asked = of_chapter(self.env.docname)
        made = [self.question(i, entry) for i, entry in enumerate(asked, start=1)]
        letters = [
            f"{i} {'abcd'[[c.right for c in entry.choices].index(True)]}"
            for i, entry in enumerate(asked, start=1)
        ]
        key = nodes.paragraph("", "Answers: " + ", ".join(letters) + ".", classes=["quiz-key"])
        return [*made, key]

    def question(self, index: int, entry: questions.Question) -> nodes.Element:
        """Return the node of one question."""
        label = f"question-{entry.id}"
        ask = self.parse_text_to_nodes(entry.ask)
        ask[0].insert(0, nodes.strong("", f"{index}. "))
        ask[0]["ids"].append(label)
        choices = nodes.enumerated_list(enumtype="loweralpha", prefix="", suffix=".")
        for option in entry.choices:
            verdict = "**Right.** " if option.right else "**Not right.** "
            text = choice_text("", "", *self.parse_inline(option.text)[0])
            why = self.parse_text_to_nodes(verdict + option.why)
            opened = choice("", text, *why, classes=["right" if option.right else "wrong"])
            choices += nodes.list_item("", opened)
        return question("", *self.origin(entry), *ask, choices, label=label)

    def origin(self, entry: questions.Question) -> list[nodes.Node]:
        """Return the line that names the earlier chapter which a question is about."""
        if entry.about == entry.chapter:
            return []
        path = Path(self.env.srcdir, "chapters", f"{entry.about}.ipynb")
        name = title(read(path))
        known = f"chapters/{entry.about}" in self.env.found_docs
        link = f"[{name}]({entry.about}.ipynb)" if known else name
        text = f"From chapter {int(entry.about[:2])}, {link}"
        return [nodes.paragraph("", "", *self.parse_inline(text)[0], classes=["quiz-origin"])]


def open_question(translator, node) -> None:
    """Begin a group that is named by its question."""
    attributes = {"role": "group", "aria-labelledby": node["label"]}
    translator.body.append(translator.starttag(node, "div", CLASS="question", **attributes))


def add_style(app: Sphinx, page: str, template, context, doctree) -> None:
    """Load the style of questions where there are some."""
    if doctree is not None and next(doctree.findall(question), None):
        app.add_css_file("quiz.css")


def write_exports(app: Sphinx, error: Exception | None) -> None:
    """Put the questions for learning platforms beside the pages."""
    if error is None and app.builder.format == "html":
        quizzes.write_exports(Path(app.outdir, "quizzes"))


def around(tag: str) -> tuple:
    """Return visitor and departure that write one element."""
    return (
        lambda translator, node: translator.body.append(translator.starttag(node, tag)),
        lambda translator, node: translator.body.append(f"</{tag}>\n"),
    )


def setup(app: Sphinx) -> None:
    """Add the directive `quiz`, its nodes and its files."""
    plain = (lambda translator, node: None, lambda translator, node: None)
    others = dict.fromkeys(("latex", "text", "man", "texinfo"), plain)
    app.add_node(question, html=(open_question, around("div")[1]), **others)
    app.add_node(choice, html=around("details"), **others)
    app.add_node(choice_text, html=around("summary"), **others)
    app.add_directive("quiz", Quiz)
    app.connect("source-read", insert_quiz)
    app.connect("html-page-context", add_style)
    app.connect("build-finished", write_exports)
