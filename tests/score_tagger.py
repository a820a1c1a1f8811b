"""How well names are found in forms of text that were not learned.

`python -m tests.score_tagger FOLD FILE ...`: of the annotated sets, a fifth of the families (texts
with the same types in the same order) is kept apart, FOLD 0 to 4 says which; a tagger learns from
the rest and the invented texts as `ft pii train` does, and is scored on that fifth at some
thresholds. Minutes of both cores.
"""

import sys
from pathlib import Path

from rich.console import Console

from ft_assets.corpus.detect import find_many
from ft_assets.corpus.tagger.annotated import read_annotated
from ft_assets.corpus.tagger.generated.texts import generate
from ft_assets.corpus.tagger.learn import Spec, family, find_all
from ft_assets.corpus.tagger.network import Network
from ft_assets.corpus.tagger.recipe import Recipe
from ft_assets.corpus.tagger.score import DIRECT, score
from ft_assets.corpus.tagger.tag import Tagger
from ft_assets.corpus.tagger.train import Training

FOLDS = 5
THRESHOLDS = (0.5, 0.7, 0.85, 0.9, 0.95)


def main(fold: int, files: list[Path]) -> None:
    spec, console = Spec(), Console(width=120)
    texts = read_annotated(files)
    apart = [text for text in texts if family(text) // 100 % FOLDS == fold]
    rest = [text for text in texts if family(text) // 100 % FOLDS != fold]
    training = Training(Recipe(epochs=spec.epochs), spec.threads, console.print)
    training.learn([*rest, *generate(spec.generated, spec.seed)], spec.epochs)
    tagger = Tagger(Network(training.weights()), threshold=0.5)
    found = list(find_many([text.text for text in apart]))
    for threshold in THRESHOLDS:
        tagger.threshold = threshold
        for source, one in score(apart, find_all(tagger, apart, found)).items():
            direct = one.of(DIRECT)
            console.print(
                f"{threshold} {source:15} {one.documents:5} texts: direct identifiers "
                f"{direct.annotated:5}, recall {direct.recall or 0:.3f}, "
                f"precision {direct.precision or 0:.3f}, clean {one.clean_share:.3f}"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
