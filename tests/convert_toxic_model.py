"""Write the weights of alt-profanity-check as safetensors; run once for each of its versions.

    pip install alt-profanity-check==1.9.1 scikit-learn==1.9.1
    python -m tests.convert_toxic_model

Reads the two pickles of that wheel, so run it where a pickle may do no harm. Prints the largest
difference between its scores and those of the file, over the words of its own vocabulary.
"""

import importlib.util
from pathlib import Path

import joblib
import numpy as np
from safetensors.numpy import save_file

from ft_assets.corpus.screen.toxic_model import FILE, toxic_model


def main() -> None:
    found = importlib.util.find_spec("profanity_check")
    if found is None or found.origin is None:
        raise SystemExit("pip install alt-profanity-check==1.9.1 scikit-learn==1.9.1")
    folder = Path(found.origin).parent / "data"
    vectorizer, model = (joblib.load(folder / f"{n}.joblib") for n in ("vectorizer", "model"))
    words = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
    parts = model.calibrated_classifiers_
    sigmoids = [part.calibrators[0] for part in parts]
    arrays = {
        "idf": vectorizer.idf_,
        "weights": np.concatenate([part.estimator.coef_ for part in parts]),
        "intercepts": np.concatenate([part.estimator.intercept_ for part in parts]),
        "slopes": np.array([sigmoid.a_ for sigmoid in sigmoids]),
        "offsets": np.array([sigmoid.b_ for sigmoid in sigmoids]),
    }
    stored = {name: np.ascontiguousarray(a, dtype=np.float32) for name, a in arrays.items()}
    stored["words"] = np.frombuffer("\n".join(words).encode(), np.uint8)
    save_file(stored, FILE)

    texts = [" ".join(words[start : start + 9]) for start in range(0, len(words), 7)]
    theirs = model.predict_proba(vectorizer.transform(texts))[:, 1]
    largest = np.abs(np.array(toxic_model().scores(texts)) - theirs).max()
    print(f"{FILE}: {FILE.stat().st_size} bytes, scores differ by {largest:.1e} at most")


if __name__ == "__main__":
    main()
