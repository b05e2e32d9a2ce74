"""Export the questions of `book/quizzes.toml` for learning platforms.

python -m tools.quizzes [FOLDER]   # moodle.xml (Moodle), qti.zip (QTI 1.2: Canvas and others)
"""

from __future__ import annotations

import argparse
import zipfile
from functools import cache
from html import escape
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from tools.common import ROOT, chapters, config, read, title
from tools.questions import Choice, Question, load

QTI = "http://www.imsglobal.org/xsd/ims_qtiasiv1p2"
PACKAGE = "http://www.imsglobal.org/xsd/imsccv1p1/imscp_v1p1"


@cache
def _markdown() -> MarkdownIt:
    plugin = MarkdownIt("commonmark").use(dollarmath_plugin)
    plugin.add_render_rule("math_inline", lambda _, t, i, *__: rf"\({escape(t[i].content)}\)")
    plugin.add_render_rule("math_block", lambda _, t, i, *__: rf"\[{escape(t[i].content)}\]")
    return plugin


def to_html(markdown: str) -> str:
    r"""Return Markdown as HTML with formulas as platforms expect them.

    Examples
    --------
    >>> to_html("At stride $S$")
    '<p>At stride \\(S\\)</p>'
    """
    return _markdown().render(markdown).strip()


def feedback(choice: Choice) -> str:
    """Return what to say of a choice, as HTML."""
    return to_html(f"**{'Right' if choice.right else 'Not right'}.** {choice.why}")


def chapter_titles() -> dict[str, str]:
    """Return the title of each chapter, as "2 Convolution", by the name of its notebook."""
    return {path.stem: f"{int(path.stem[:2])} {title(read(path))}" for path in chapters()}


def add(parent: ElementTree.Element, path: str, text: str | None = None, **attributes):
    """Append nested elements, named with slashes, and return the innermost."""
    *outer, last = path.split("/")
    for tag in outer:
        parent = ElementTree.SubElement(parent, tag)
    element = ElementTree.SubElement(parent, last, attributes)
    element.text = text
    return element


def moodle(questions: list[Question], titles: dict[str, str], book: str) -> str:
    """Return the questions in Moodle's XML, one category a chapter."""
    quiz, category = ElementTree.Element("quiz"), None
    for question in questions:
        if question.chapter != category:
            category = question.chapter
            head = add(quiz, "question", type="category")
            add(head, "category/text", f"$course$/top/{book}/{titles[category]}")
        item = add(quiz, "question", type="multichoice")
        add(item, "name/text", question.id)
        add(add(item, "questiontext", format="html"), "text", to_html(question.ask))
        add(item, "defaultgrade", "1")
        add(item, "penalty", "0.3333333")
        add(item, "hidden", "0")
        add(item, "idnumber", question.id)
        add(item, "single", "true")
        add(item, "shuffleanswers", "false")
        add(item, "answernumbering", "abc")
        for choice in question.choices:
            answer = add(item, "answer", fraction="100" if choice.right else "0", format="html")
            add(answer, "text", to_html(choice.text))
            add(add(answer, "feedback", format="html"), "text", feedback(choice))
        add(item, "tags/tag/text", question.about)
    return _as_text(quiz)


def qti(questions: list[Question], titles: dict[str, str], book: str) -> bytes:
    """Return the questions as a package of QTI 1.2, one quiz a chapter."""
    files = {}
    for name in dict.fromkeys(question.chapter for question in questions):
        own = [question for question in questions if question.chapter == name]
        files[f"quiz-{name}"] = _assessment(f"quiz-{name}", titles[name], own)
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as package:
        for path, text in [
            ("imsmanifest.xml", _manifest(list(files), book)),
            *((f"{name}/{name}.xml", text) for name, text in files.items()),
        ]:  # a fixed date: the same questions give the same bytes
            package.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), text)
    return packed.getvalue()


def _manifest(names: list[str], book: str) -> str:
    manifest = ElementTree.Element("manifest", identifier="quizzes", xmlns=PACKAGE)
    add(manifest, "metadata/schema", "IMS Content")
    add(manifest.find("metadata"), "schemaversion", "1.1.3")
    add(manifest, "organizations")
    resources = add(manifest, "resources")
    for name in names:
        resource = add(resources, "resource", identifier=name, type="imsqti_xmlv1p2")
        add(resource, "file", href=f"{name}/{name}.xml")
    manifest.insert(0, ElementTree.Comment(f" Questions of the book {book} "))
    return _as_text(manifest)


def _assessment(name: str, heading: str, questions: list[Question]) -> str:
    root = ElementTree.Element("questestinterop", xmlns=QTI)
    assessment = add(root, "assessment", ident=name, title=heading)
    section = add(assessment, "section", ident="root_section")
    for question in questions:
        _item(section, question)
    return _as_text(root)


def _item(section: ElementTree.Element, question: Question) -> None:
    item = add(section, "item", ident=question.id, title=question.id)
    fields = add(item, "itemmetadata/qtimetadata")
    for label, entry in [("question_type", "multiple_choice_question"), ("points_possible", "1")]:
        field = add(fields, "qtimetadatafield")
        add(field, "fieldlabel", label)
        add(field, "fieldentry", entry)
    presentation = add(item, "presentation")
    add(presentation, "material/mattext", to_html(question.ask), texttype="text/html")
    response = add(presentation, "response_lid", ident="response1", rcardinality="Single")
    shown, processing = add(response, "render_choice"), add(item, "resprocessing")
    outcome = {"maxvalue": "100", "minvalue": "0", "varname": "SCORE", "vartype": "Decimal"}
    add(processing, "outcomes/decvar", **outcome)
    letters = dict(zip("abcd", question.choices, strict=False))
    for letter, choice in letters.items():
        label = add(shown, "response_label", ident=letter)
        add(label, "material/mattext", to_html(choice.text), texttype="text/html")
        said = add(processing, "respcondition", **{"continue": "Yes"})
        add(said, "conditionvar/varequal", letter, respident="response1")
        add(said, "displayfeedback", feedbacktype="Response", linkrefid=f"{letter}_fb")
    (right,) = (letter for letter, choice in letters.items() if choice.right)
    scored = add(processing, "respcondition", **{"continue": "No"})
    add(scored, "conditionvar/varequal", right, respident="response1")
    add(scored, "setvar", "100", action="Set", varname="SCORE")
    for letter, choice in letters.items():
        told = add(item, "itemfeedback", ident=f"{letter}_fb")
        add(told, "flow_mat/material/mattext", feedback(choice), texttype="text/html")


def _as_text(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def write_exports(folder: Path, questions: list[Question] | None = None) -> list[Path]:
    """Write both exports into a folder and return their paths."""
    questions, titles = questions or load(), chapter_titles()
    book = config()["title"]
    folder.mkdir(parents=True, exist_ok=True)
    xml, package = folder / "moodle.xml", folder / "qti.zip"
    xml.write_text(moodle(questions, titles, book), encoding="utf-8")
    package.write_bytes(qti(questions, titles, book))
    return [xml, package]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "quizzes")
    for path in write_exports(parser.parse_args().folder):
        print("wrote", path)


if __name__ == "__main__":
    main()
