"""`ft pii`: train the tagger of a platform, and score what finds personal data."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ft_assets.corpus.detector import Detector
    from ft_assets.settings import Platform

app = typer.Typer(help="The tagger of personal data.", no_args_is_help=True)

PlatformFile = Annotated[
    Path, typer.Option("--platform", envvar="FT_PLATFORM", help="The platform file.")
]


@app.command()
def train(platform: PlatformFile = Path("platform.yaml")) -> None:
    """Train the tagger that the platform file describes, unless it is there; minutes of both cores.

    The same file, annotated sets and version give the same tagger, byte by byte.
    """
    from ft_assets.corpus.tagger.annotated import AnnotationError
    from ft_assets.corpus.tagger.choice import kept_at, spec_of, trained
    from ft_assets.settings import PlatformError

    try:
        settings = settings_of(platform)
        if settings.anonymization.tagger.kind != "trained":
            raise _fail(f"{platform}: anonymization.tagger.kind is not 'trained'; nothing to train")
        trained(settings, _say)
        typer.echo(kept_at(settings, spec_of(settings)))
    except (AnnotationError, PlatformError) as error:
        raise _fail(str(error)) from None


@app.command()
def score(
    annotated: Annotated[list[Path], typer.Argument(help="JSON lines with `text` and `spans`.")],
    platform: PlatformFile = Path("platform.yaml"),
    patterns_only: Annotated[bool, typer.Option("--patterns-only")] = False,
) -> None:
    """Find personal data in annotated text and print recall and precision by source and type.

    Recall counts a span when every letter and digit of it is found; precision, when a find touches
    an annotated span. Text that the tagger has learned from says little.
    """
    from rich.console import Console

    from ft_assets.corpus.detector import Detector
    from ft_assets.corpus.tagger.annotated import AnnotationError, read_annotated
    from ft_assets.corpus.tagger.model_file import ModelFileError
    from ft_assets.corpus.tagger.score import score as scored
    from ft_assets.corpus.tagger.score import table
    from ft_assets.settings import PlatformError

    try:
        texts = read_annotated(annotated)
        detector = Detector() if patterns_only else detector_here(platform)
    except (AnnotationError, ModelFileError, PlatformError, OSError) as error:
        raise _fail(str(error)) from None
    found = [spans for (spans,) in detector.find_in([[text.text] for text in texts])]
    Console(width=None if sys.stdout.isatty() else 120).print(table(scored(texts, found)))


def settings_of(platform: Path) -> "Platform":
    """Of the platform file; the defaults where there is none."""
    from ft_assets.settings import Platform, load_platform

    if platform.is_file():
        return load_platform(platform)
    return Platform.model_validate({"domains": {"any": {}}, "root": Path.cwd()})


def detector_here(platform: Path) -> "Detector":
    """Patterns and the tagger of a platform, which is trained now if it is not there.

    Raises PlatformError, AnnotationError or ModelFileError.
    """
    from ft_assets.corpus.tagger.choice import detector_from, ensure

    return detector_from(ensure(settings_of(platform), _say))


def _say(message: str) -> None:
    typer.echo(f"ft: {message}", err=True)


def _fail(message: str) -> typer.Exit:
    typer.echo(f"ft: {message}", err=True)
    return typer.Exit(1)
