"""Make a tagger: read what is annotated, learn, choose the threshold on texts kept apart.

Kept apart are whole families of texts, those with the same types in the same order (a template of
logs, say), because new text comes in forms that were not learned. The threshold is the highest at
which the precision of no source is below a floor beyond doubt (the 95 % interval of Wilson 1927):
every personal datum that is missed is a leak. Sources that annotate few of the types say little
about precision and are left out of that. Then one more pass learns from those families too. The
scores in the file are from before that pass.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from zlib import crc32

from ft_assets.corpus.detect import Span, find_many
from ft_assets.corpus.tagger import model_file
from ft_assets.corpus.tagger.annotated import Annotated, read_annotated
from ft_assets.corpus.tagger.generated import plain
from ft_assets.corpus.tagger.generated.texts import generate
from ft_assets.corpus.tagger.labels import NUMBER
from ft_assets.corpus.tagger.network import Network
from ft_assets.corpus.tagger.recipe import Recipe
from ft_assets.corpus.tagger.score import DIRECT, Scores, facts, score
from ft_assets.corpus.tagger.tag import Tagger

# What makes another tagger of the same texts when it is changed: this folder, and the patterns.
_PATTERNS = ("rules", "detect.py", "buffer.py", "columns.py", "linear.py", "shadow.py")
SOURCES = (
    Path(__file__).parent,
    *(Path(__file__).parents[1] / name for name in _PATTERNS),
)
_DEVELOPMENT = 10  # percent of the families
_THRESHOLDS = (0.98, 0.97, 0.95, 0.92, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.4, 0.3)
_TELLING = 4  # direct types that a source must annotate for its precision to tell
_DEVELOPMENT_SEED = 1_000_003  # of generated text, apart from that of learning

Report = Callable[[str], None]


@dataclass(frozen=True)
class Spec:
    """All that a tagger depends on."""

    annotated: tuple[Path, ...] = ()  # JSON lines (annotated.py)
    generated: int = 14_000  # texts
    epochs: int = 4
    precision_floor: float = 0.94
    seed: int = 0
    threads: int = 2

    def digest(self) -> str:
        """Changes when another tagger would come out."""
        state = hashlib.sha256(repr((model_file.SHAPE, Recipe(), plain.digest())).encode())
        for file in source_files():
            state.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
        chosen = {name: value for name, value in asdict(self).items() if name != "annotated"}
        state.update(repr(sorted(chosen.items())).encode())
        for file in sorted(self.annotated, key=lambda file: file.name):
            state.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
        return state.hexdigest()


def source_files() -> list[Path]:
    return [
        file
        for source in SOURCES
        for file in ([source] if source.is_file() else sorted(source.rglob("*.*")))
        if file.suffix in {".py", ".txt"}
    ]


def learn(spec: Spec, report: Report) -> bytes:
    """The tagger as the bytes of its file: the same for the same spec. Minutes of both cores.

    Raises AnnotationError for an annotated set that cannot be read.
    """
    from ft_assets.corpus.tagger.train import Training

    own = read_annotated(sorted(spec.annotated, key=lambda file: file.name))
    kept_apart = [text for text in own if family(text) % 100 < _DEVELOPMENT]
    learned = [text for text in own if family(text) % 100 >= _DEVELOPMENT]
    report(f"{len(own)} annotated texts of {len(spec.annotated)} files, {spec.generated} generated")
    invented = generate(spec.generated, spec.seed)
    development = kept_apart + generate(max(spec.generated // 8, 50), _DEVELOPMENT_SEED + spec.seed)
    recipe = Recipe(epochs=spec.epochs, seed=spec.seed)
    training = Training(recipe, spec.threads, report)
    training.learn(learned + invented, spec.epochs)
    tagger = Tagger(Network(training.weights()), threshold=0.5)
    threshold, scores = choose_threshold(tagger, development, spec.precision_floor)
    report(f"threshold {threshold}: " + _said(scores))
    if kept_apart:
        # Few of the rest, so that what was learned from it is not lost.
        training.learn(kept_apart + learned[::10] + invented[::10], 1, pace=0.1)
    sources = sorted({text.source for text in (*own, *invented)})
    counts = {name: sum(t.source == name for t in (*own, *invented)) for name in sources}
    known = model_file.Facts(threshold, counts, facts(scores), asdict(recipe))
    return model_file.to_bytes(training.weights(), known)


def choose_threshold(
    tagger: Tagger, texts: Sequence[Annotated], precision_floor: float
) -> tuple[float, dict[str, Scores]]:
    """The highest threshold at which no source that tells is below the floor beyond doubt; the
    lowest if there is none. With the scores there.
    """
    found = list(find_many([text.text for text in texts]))
    telling = {text.source for text in texts if _annotates(text) >= _TELLING}
    scores: dict[str, Scores] = {}
    for threshold in _THRESHOLDS:
        tagger.threshold = threshold
        scores = score(texts, find_all(tagger, texts, found))
        each = [one.of(DIRECT) for name, one in scores.items() if name in telling]
        judged = [wilson_high(one.right, one.given) for one in each if one.given]
        if judged and min(judged) >= precision_floor:
            break
    return tagger.threshold, scores


def wilson_high(right: int, given: int) -> float:
    """Upper end of the 95 % interval of a share (Wilson 1927)."""
    share, z = right / given, 1.96
    middle = share + z * z / (2 * given)
    half = z * math.sqrt(share * (1 - share) / given + z * z / (4 * given * given))
    return (middle + half) / (1 + z * z / given)


def find_all(
    tagger: Tagger, texts: Sequence[Annotated], found: Sequence[Sequence[Span]]
) -> list[list[Span]]:
    """What patterns (`found`) and tagger find together, each text a document of its own."""
    added = tagger.find_in([[text.text] for text in texts], [[spans] for spans in found])
    return [sorted([*spans, *more[0]]) for spans, more in zip(found, added, strict=True)]


def _annotates(text: Annotated) -> int:
    """How many of the direct types its source annotates."""
    return sum(not text.silent >> NUMBER[kind] & 1 for kind in DIRECT)


def family(text: Annotated) -> int:
    """A number that texts of one form share: 0 to 2**32."""
    types = [span.type for span in text.spans]
    form = " ".join(types) if len(types) > 1 else text.text
    return crc32(f"{text.source} {form}".encode("utf-8", "surrogatepass"))


def _said(scores: dict[str, Scores]) -> str:
    parts = []
    for source, one in sorted(scores.items()):
        direct = one.of(DIRECT)
        parts.append(
            f"{source} recall {_number(direct.recall)} precision {_number(direct.precision)}"
        )
    return "; ".join(parts)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
