"""Files as people write them become documents, and a passage leads back to file and page."""

import io
import json
import os
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from docx import Document
from fpdf import FPDF
from pypdf import PdfReader, PdfWriter

from ft_assets.corpus.anonymize import anonymize_documents
from ft_assets.corpus.detector import Detector
from ft_assets.raw import schema
from ft_assets.raw.changes import look
from ft_assets.raw.delivery import list_sources
from ft_assets.raw.intake import take_up
from ft_assets.raw.taken import Intake
from ft_assets.settings import PlatformError, load_platform

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def pdf(*pages: str, title: str = "") -> bytes:
    document = FPDF()
    document.set_font("helvetica", size=12)
    if title:
        document.set_title(title)
    for page in pages:
        document.add_page()
        document.multi_cell(0, 8, page)
    return bytes(document.output())


def locked(content: bytes, password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(content)))
    writer.encrypt(password, owner_password="owner-8", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def docx(title: str = "") -> bytes:
    document = Document()
    document.core_properties.title = title
    document.add_heading("Leave policy", 0)
    document.add_paragraph("Thirty days a year.")
    table = document.add_table(rows=2, cols=2)
    for row, cells in zip(table.rows, [("Grade", "Days"), ("A", "30")], strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    document.add_paragraph("Ask your manager.")
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


DOCX_TEXT = "Leave policy\n\nThirty days a year.\n\nGrade | Days\nA | 30\n\nAsk your manager."
HTML = b"""<!doctype html><html><head><title>Opening
 hours</title><style>p {color: red}</style><script>var x = "<p>no</p>";</script></head>
<body><h1>Hours</h1><!-- not this --><p>Monday &amp; Tuesday</p><ul><li>9 to 5</li></ul>
<p>Caf\xc3\xa9</p></body></html>"""


class Folder:
    def __init__(self, folder: Path, **feed: Any) -> None:
        self.folder = folder / "landing" / "legal" / "documents"
        self.folder.mkdir(parents=True)
        sources = {"documents": {"files": "{landing}/{domain}/documents", **feed}} if feed else {}
        self.file = folder / "platform.yaml"
        self.file.write_text(
            json.dumps({"landing": "landing", "domains": {"legal": {"sources": sources}}})
        )

    def put(self, name: str, content: bytes) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)

    def sources(self) -> list:
        return list_sources(load_platform(self.file).sources("legal", "documents"))

    def take(self, **options: Any) -> Intake:
        intake = take_up(self.sources(), schema.Document, domain="legal", now=NOW, **options)
        kept = len(intake.rows) + len(intake.quarantined) + sum(intake.dropped.values())
        assert intake.rows_in == kept
        return intake

    def only(self) -> dict[str, Any]:
        [row] = self.take().rows
        return row

    def reasons(self) -> list[tuple[str, int, str]]:
        return [(r.source_file, r.source_line, r.reason.value) for r in self.take().quarantined]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "title", "text"),
    [
        ("note.txt", b"\xef\xbb\xbfRing twice.\n", "note", "Ring twice.\n"),
        ("note.txt", "Größe".encode("utf-16"), "note", "Größe"),
        (
            "a.md",
            b"intro\n\n# Returns #\n\nThirty days.",
            "Returns",
            "intro\n\n# Returns #\n\nThirty days.",
        ),
        ("a.md", b"---\ntitle: Front\nx: 1\n---\n# H\ntext", "Front", "# H\ntext"),
        ("a.md", b"---\n: [\n---\ntext", "a", "text"),
        ("h.html", HTML, "Opening hours", "Hours\n\nMonday & Tuesday\n\n  * 9 to 5\n\nCaf\u00e9"),
        ("h.htm", "<meta charset='iso-8859-1'><p>Café</p>".encode("latin-1"), "h", "Café"),
        (
            "d.docx",
            docx("Leave"),
            "Leave",
            DOCX_TEXT,
        ),
        (
            "d.docx",
            docx(),
            "Leave policy",
            DOCX_TEXT,
        ),
    ],
)
def test_one_file_is_one_document(
    folder: Folder, name: str, content: bytes, title: str, text: str
) -> None:
    folder.put(name, content)
    row = folder.only()
    assert (row["doc_id"], row["title"]) == (f"documents/{name}", title)
    assert row["text"] == text
    assert (row["source_file"], row["source_line"]) == (f"documents/{name}", 1)
    assert (row["domain"], row["kind"], row["access"]) == ("legal", "document", "restricted")


def test_a_passage_of_a_pdf_leads_back_to_file_and_page(folder: Folder) -> None:
    folder.put(
        "hr/handbook.pdf", pdf("Thirty days of leave.", "", "Ask jane@example.org.", title="HR")
    )
    rows = folder.take().rows
    assert [(row["doc_id"], row["source_line"]) for row in rows] == [
        ("documents/hr/handbook.pdf#page=1", 1),
        ("documents/hr/handbook.pdf#page=2", 2),
        ("documents/hr/handbook.pdf#page=3", 3),
    ]
    assert [row["text"] for row in rows] == ["Thirty days of leave.", "", "Ask jane@example.org."]
    assert {row["title"] for row in rows} == {"HR"}
    done = anonymize_documents(rows, Detector())
    places = [(row["source_file"], row["source_line"]) for row in done.rows]
    assert places == [("documents/hr/handbook.pdf", 1), ("documents/hr/handbook.pdf", 3)]


def test_the_version_is_the_content(folder: Folder) -> None:
    folder.put("a.md", b"one")
    first = folder.only()["version"]
    assert folder.only()["version"] == first
    folder.put("a.md", b"two")
    assert folder.only()["version"] != first


def test_broken_and_locked_files_go_to_quarantine(folder: Folder) -> None:
    whole = pdf("text " * 50)
    folder.put("a-locked.pdf", locked(whole, "secret-5"))
    folder.put("b-printable.pdf", locked(whole, ""))
    folder.put("c-cut.pdf", whole[: len(whole) // 3])
    folder.put("d.docx", b"PK\x03\x04 no zip")
    folder.put("e.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 locked")
    folder.put("f.txt", b"caf\xe9")
    folder.put("g.pdf", b"%PDF-1.7\n%%EOF")
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    folder.put("h.docx", empty.getvalue())
    assert folder.reasons() == [
        ("documents/a-locked.pdf", 1, "encrypted_file"),
        ("documents/c-cut.pdf", 1, "unreadable_file"),
        ("documents/d.docx", 1, "unreadable_file"),
        ("documents/e.docx", 1, "encrypted_file"),
        ("documents/f.txt", 1, "not_utf8"),
        ("documents/g.pdf", 1, "unreadable_file"),
        ("documents/h.docx", 1, "unreadable_file"),
    ]
    assert [row["source_file"] for row in folder.take().rows] == ["documents/b-printable.pdf"]


def test_sizes_are_bounded(tmp_path: Path) -> None:
    folder = Folder(tmp_path, documents={"max_mib": 1})
    folder.put("a.txt", b"x" * (2**20 + 1))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("word/document.xml", b" " * 2**21)
    assert len(bomb.getvalue()) < 10_000
    folder.put("b.docx", bomb.getvalue())
    folder.put("c.txt", b"x" * 5000)
    intake = folder.take(max_line_bytes=4000)
    assert [r.reason.value for r in intake.quarantined] == [
        "file_too_large",
        "file_too_large",
        "line_too_long",
    ]


def test_a_sidecar_and_folders_say_what_the_file_does_not(tmp_path: Path) -> None:
    about = {
        "access": "internal",
        "license": "proprietary",
        "folders": {
            "hr": {"access": "restricted", "kind": "policy"},
            "hr/public": {"access": "public"},
        },
    }
    folder = Folder(tmp_path, files="{landing}/{domain}/documents/**/*.txt", documents=about)
    for name in ("a.txt", "hr/b.txt", "hr/public/c.txt", "hrx/d.txt"):
        folder.put(name, b"text")
    folder.put(
        "hr/b.txt.meta.yaml", b"access: public\ntitle: Bee\nupdated_at: 2026-09-01T10:00:00Z\n"
    )
    found = {row["doc_id"]: row for row in folder.take().rows}
    assert {
        name.removeprefix("documents/"): (row["access"], row["kind"], row["license"], row["title"])
        for name, row in found.items()
    } == {
        "a.txt": ("internal", "document", "proprietary", "a"),
        "hrx/d.txt": ("internal", "document", "proprietary", "d"),
        "hr/b.txt": ("public", "policy", "proprietary", "Bee"),
        "hr/public/c.txt": ("public", "policy", "proprietary", "c"),
    }
    assert found["documents/hr/b.txt"]["updated_at"] == "2026-09-01T10:00:00Z"


@pytest.mark.parametrize(
    ("sidecar", "reason"),
    [
        (b"- a list", "bad_sidecar"),
        (b"a: [", "bad_sidecar"),
        (b"text: other", "bad_sidecar"),
        (b"access: secret", "out_of_range"),
        (b"colour: red", "unknown_field"),
    ],
)
def test_a_wrong_sidecar_is_told(folder: Folder, sidecar: bytes, reason: str) -> None:
    folder.put("a.txt", b"text")
    folder.put("a.txt.meta.json", sidecar)
    assert folder.reasons() == [("documents/a.txt", 1, reason)]


def test_a_sidecar_that_changes_is_a_change_of_its_document(folder: Folder) -> None:
    folder.put("a.txt", b"text")
    [source] = folder.sources()
    known, _ = look(source, None)
    folder.put("a.txt.meta.yaml", b"access: public")
    os.utime(folder.folder / "a.txt.meta.yaml", (1, 1))
    [source] = folder.sources()
    known, other = look(source, known)
    assert other
    folder.put("a.txt.meta.yaml", b"access: secret")
    os.utime(folder.folder / "a.txt.meta.yaml", (2, 2))
    assert look(folder.sources()[0], known)[1]


def test_rows_and_files_lie_side_by_side(folder: Folder) -> None:
    row = {"doc_id": "r1", "domain": "legal", "kind": "faq", "title": "t", "text": "x"}
    folder.put("rows.jsonl", json.dumps({**row, "access": "internal"}).encode() + b"\n")
    folder.put("deep/er/a.md", b"text")
    folder.put("picture.png", b"\x89PNG")
    assert [row["doc_id"] for row in folder.take().rows] == ["documents/deep/er/a.md", "r1"]


def test_files_of_other_sources_are_never_documents(tmp_path: Path) -> None:
    from ft_assets.raw.formats import Format, format_of
    from ft_assets.raw.sources import list_files

    (tmp_path / "logs.txt").write_bytes(b"{}\n")
    [file] = list_files([str(tmp_path / "logs.txt")])
    assert format_of(file) is Format.JSONL


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "sources.md").read_text("utf-8")
    [example] = re.findall(r"```yaml\n(documents:.*?)```", text, re.DOTALL)
    folder = Folder(tmp_path, **yaml.safe_load(example)["documents"])
    for name in ("a.md", "hr/b.md", "hr/public/c.md"):
        folder.put(name, b"text")
    found = [(row["access"], row["kind"]) for row in folder.take().rows]
    assert found == [("internal", "document"), ("restricted", "policy"), ("public", "policy")]


def test_a_wrong_rule_is_told(tmp_path: Path) -> None:
    folder = Folder(tmp_path, documents={"folders": {"hr": {"acces": "public"}}})
    with pytest.raises(PlatformError, match=r"acces.*unknown key"):
        folder.sources()
