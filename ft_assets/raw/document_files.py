"""Documents as people write them: Markdown, text, HTML, PDF and DOCX, one file one document.

A PDF gives one row per page, named as PDF viewers name it (handbook.pdf#page=3), so that a passage
leads back to file and page. What a file does not say itself (access, licence, kind) is said by a
file beside it, handbook.pdf.meta.yaml, or by its folder in platform.yaml. Layout is lost: columns
and tables become lines. Pictures are not read: a page without text has an empty text.
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import fsspec
import yaml

from ft_assets.raw.quarantine import Reason
from ft_assets.raw.sources import BOM, Line, SourceFile

MAX_PAGES = 20_000
OLE_MAGIC = b"\xd0\xcf\x11\xe0"  # what an encrypted DOCX is wrapped in
HEADING = re.compile(r"^\s{0,3}#\s+(.+?)\s*#*\s*$", re.MULTILINE)
FRONT_MATTER = re.compile(r"\A---\s*\n(.*?\n)---\s*(?:\n|\Z)", re.DOTALL)
CHARSET = re.compile(rb"""(?i)<meta[^>]{0,200}charset\s*=\s*["']?([A-Za-z0-9_-]{2,40})""")
# What parsers of broken files raise, besides their own errors.
BROKEN = (
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError, AssertionError),
    *(RecursionError, OSError, EOFError, NotImplementedError, zipfile.BadZipFile),
)

Told = dict[str, Any]


class _Refused(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def read_document(
    file: SourceFile, form: str, stream: io.BufferedIOBase, max_line_bytes: int
) -> Iterator[Line]:
    """The document as rows of the schema: one, or one per page. One that cannot be read is a line
    with the reason.
    """
    limit = file.feed.documents.max_mib * 2**20
    data = stream.read(limit + 1)
    try:
        if len(data) > limit:
            raise _Refused(Reason.FILE_TOO_LARGE)
        told = {**_of_folder(file), **_of_sidecar(file)}
        pages = _READERS[form](data, limit)
    except _Refused as refused:
        yield Line(1, b"", refused.reason)
        return
    version = int(hashlib.sha256(data).hexdigest()[:15], 16)  # fits 63 bits
    for number, title, text in pages:
        if isinstance(text, Reason):
            yield Line(number, b"", text)
            continue
        if len(text) > max_line_bytes:
            yield Line(number, b"", Reason.LINE_TOO_LONG)
            continue
        fields = {
            "doc_id": f"{file.name}#page={number}" if form == "pdf" else file.name,
            "kind": "document",
            "access": "restricted",  # nobody said that it may be learned from
            "version": version,
            **({"title": title} if title else {"title": PurePosixPath(file.name).stem}),
            **told,
            "text": text,
        }
        yield Line(number, b"", None, fields)


def _of_folder(file: SourceFile) -> Told:
    """What platform.yaml says of the file's folders, the nearest one last."""
    rules = file.feed.documents
    path = file.name.partition("/")[2]
    told = rules.told()
    for folder in sorted(rules.folders, key=len):
        if path.startswith(folder.strip("/") + "/"):
            told |= rules.folders[folder].told()
    return told


def _of_sidecar(file: SourceFile) -> Told:
    if not file.sidecar:
        return {}
    try:
        with fsspec.open(file.sidecar, "rb") as stored:
            told = yaml.safe_load(stored.read(2**20))  # type: ignore[union-attr]
    except (yaml.YAMLError, UnicodeDecodeError):
        raise _Refused(Reason.BAD_SIDECAR) from None
    if not isinstance(told, Mapping) or {"doc_id", "text"} & told.keys():
        raise _Refused(Reason.BAD_SIDECAR)
    dates = {k: v.isoformat() for k, v in told.items() if hasattr(v, "isoformat")}
    return {**told, **dates}


Pages = Iterator[tuple[int, str, str | Reason]]  # number, title ("": none), text


def _text(data: bytes, _limit: int) -> Pages:
    return iter([(1, "", _decoded(data))])


def _markdown(data: bytes, _limit: int) -> Pages:
    """As written, without the front matter that site generators read."""
    text, title = _decoded(data), ""
    if front := FRONT_MATTER.match(text):
        text = text[front.end() :]
        try:
            said = yaml.safe_load(front[1])
        except yaml.YAMLError:
            said = None
        title = str(said.get("title") or "") if isinstance(said, dict) else ""
    heading = HEADING.search(text)
    return iter([(1, title or (heading[1] if heading else ""), text)])


def _decoded(data: bytes) -> str:
    try:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return data.decode("utf-16")
        return data.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError:
        raise _Refused(Reason.NOT_UTF8) from None


def _html(data: bytes, _limit: int) -> Pages:
    from inscriptis.html_engine import Inscriptis
    from lxml import html
    from lxml.etree import LxmlError  # ty: ignore[import-not-found]

    try:
        text = _decoded(data)
    except _Refused:
        declared = CHARSET.search(data[:4096])
        try:
            text = data.decode(declared[1].decode("ascii") if declared else "utf-8")
        except (UnicodeDecodeError, LookupError):
            raise _Refused(Reason.NOT_UTF8) from None
    if not text.strip():
        return iter([(1, "", "")])
    try:
        parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
        tree = html.document_fromstring(text.encode("utf-8", "surrogatepass"), parser=parser)
        title = " ".join((tree.findtext(".//title") or "").split())
        return iter([(1, title, Inscriptis(tree).get_text().strip())])
    except (LxmlError, *BROKEN):
        raise _Refused(Reason.UNREADABLE_FILE) from None


def _docx(data: bytes, limit: int) -> Pages:
    from docx import Document
    from docx.opc.exceptions import OpcError
    from lxml.etree import LxmlError  # ty: ignore[import-not-found]

    if data.startswith(OLE_MAGIC):
        raise _Refused(Reason.ENCRYPTED_FILE)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > limit:
                raise _Refused(Reason.FILE_TOO_LARGE)
        document = Document(io.BytesIO(data))
        blocks = [_block(block) for block in document.iter_inner_content()]
        title = document.core_properties.title or _docx_heading(document)
    except (OpcError, LxmlError, *BROKEN):
        raise _Refused(Reason.UNREADABLE_FILE) from None
    return iter([(1, title, "\n\n".join(block for block in blocks if block.strip()))])


def _block(block: Any) -> str:
    """A paragraph, or a table as a line per row."""
    if hasattr(block, "rows"):
        return "\n".join(" | ".join(cell.text for cell in row.cells) for row in block.rows)
    return block.text


def _docx_heading(document: Any) -> str:
    for paragraph in document.paragraphs:
        if paragraph.style.name in ("Title", "Heading 1") and paragraph.text.strip():
            return paragraph.text.strip()
    return ""


def _pdf(data: bytes, _limit: int) -> Pages:
    from pypdf import PasswordType, PdfReader
    from pypdf.errors import PyPdfError

    errors = (PyPdfError, *BROKEN)
    try:
        reader = PdfReader(io.BytesIO(data))
        # Many files are encrypted with an empty password, to forbid printing alone.
        if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
            raise _Refused(Reason.ENCRYPTED_FILE)
        count = len(reader.pages)
        title = str((reader.metadata or {}).get("/Title") or "").strip()
    except errors:
        raise _Refused(Reason.UNREADABLE_FILE) from None
    if count > MAX_PAGES:
        raise _Refused(Reason.FILE_TOO_LARGE)

    def pages() -> Pages:
        for number in range(1, count + 1):
            try:
                text: str | Reason = reader.pages[number - 1].extract_text().strip()
            except errors:
                text = Reason.UNREADABLE_FILE
            yield number, title, text

    return pages()


_READERS = {"text": _text, "markdown": _markdown, "html": _html, "docx": _docx, "pdf": _pdf}
