"""A feed cut in two: what was there from the start, and the newest weeks, which arrive later."""

import gzip
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ft_assets.raw.convert import as_json, convert
from ft_assets.raw.delivery import open_delivery
from ft_assets.raw.schema import Interaction
from ft_assets.raw.sources import MAX_LINE_BYTES, SourceFile, list_files
from ft_assets.raw.weeks import line_time, week_of
from ft_assets.sections import Sources
from ft_assets.settings import DOMAIN_NAME

WHOLE = ("documents", "annotations", "corrections", "users", "eval")
LATER_WEEKS = 3  # of twelve; at most a quarter of the weeks there are
MIN_WEEK_SHARE = 0.01  # of the lines; fewer are late or mis-dated lines, not a week of the feed


@dataclass(frozen=True)
class Cut:
    domain: str
    lines: int
    weeks: tuple[str, ...]
    later: tuple[str, ...]  # the newest of them


def domains_of(data: Path) -> list[str]:
    """Folders of `data` that hold logs. Raises ValueError when there is none."""
    found = [
        folder.name
        for folder in sorted(data.iterdir())
        if folder.is_dir()
        and DOMAIN_NAME.fullmatch(folder.name)
        and _files(data, folder.name, "logs")
    ]
    if not found:
        patterns = ", ".join(Sources().logs[0].files or []).replace("{landing}", str(data))
        raise ValueError(f"no feed in {data}: no domain folder matches {patterns}")
    return found


def general_text(data: Path) -> list[Path]:
    """Text files to learn general language from, if the feed brings any."""
    return [
        file
        for file in sorted((data / "general_text").glob("*"))
        if file.is_file() and file.name.endswith((".txt", ".txt.gz"))
    ]


def deliver(data: Path, domain: str, landing: Path, held_back: Path) -> Cut:
    """Copy the sources of a domain below `landing`, logs of the newest weeks to `held_back`.

    Both get one file per log file, of the same name stem, so that lines keep their order.
    """
    target = landing / domain
    target.mkdir(parents=True, exist_ok=True)
    held_back.mkdir(parents=True, exist_ok=True)
    for kind in WHOLE:
        for file in _files(data, domain, kind):
            shutil.copyfile(_path(file), target / _path(file).name)
    logs = _files(data, domain, "logs")
    counts = Counter(week for file in logs for week, _ in _dated_lines(file))
    total = counts.total()
    this_week = week_of(datetime.now(UTC))
    weeks = sorted(
        w for w, n in counts.items() if n >= MIN_WEEK_SHARE * total and "" < w <= this_week
    )
    later = weeks[-min(LATER_WEEKS, len(weeks) // 4) :] if len(weeks) > 3 else []
    for file in logs:
        stem = _path(file).name.split(".")[0]
        with (
            gzip.open(target / f"{stem}-1.jsonl.gz", "wb") as early,
            gzip.open(held_back / f"{stem}-2.jsonl.gz", "wb") as late,
        ):
            for week, line in _dated_lines(file):
                (late if week in later else early).write(line)
    return Cut(domain, total, tuple(weeks), tuple(later))


def _dated_lines(file: SourceFile) -> Iterator[tuple[str, bytes]]:
    """Records as JSON lines, with the week they name, else that of the record before."""
    week = ""
    delivery = open_delivery(file)
    for line in delivery.lines(MAX_LINE_BYTES):
        data = line.data
        if line.fields is not None:
            data = as_json(convert(line.fields, Interaction)).encode()
        time = line_time(data)
        week = week_of(time) if time else week
        yield week, data + b"\n"


def _files(data: Path, domain: str, kind: str) -> list[SourceFile]:
    landing = str(data.resolve())
    return list_files(
        [
            pattern.replace("{landing}", landing).replace("{domain}", domain)
            for feed in getattr(Sources(), kind)
            for pattern in feed.files or []
        ]
    )


def _path(file: SourceFile) -> Path:
    return Path(file.url.removeprefix("file://"))
