import subprocess
import sys

import pytest

from ft_assets.corpus.screen.toxic_model import toxic_model

# What alt-profanity-check 1.9.1 gives with scikit-learn 1.9.1.
PUBLISHED = {
    "You are a worthless idiot": 0.99995238,
    "the invoice was paid on friday": 0.06852633,
    "this product is garbage": 0.69456976,
    "": 0.03637575,
    "shut up you moron moron MORON": 0.99989365,
}


def test_scores_are_those_of_the_published_model():
    scores = toxic_model().scores(list(PUBLISHED))
    assert scores == pytest.approx(list(PUBLISHED.values()), abs=1e-6)


def test_no_pickle_is_read():
    code = (
        "import sys, pickle\n"
        "def refused(*a, **k): raise SystemExit('a pickle was read')\n"
        "pickle.load = pickle.loads = pickle.Unpickler = refused\n"
        "from ft_assets.corpus.screen.toxicity import toxicity\n"
        "toxicity(['you are a worthless idiot'])\n"
        "sys.exit(any(m in sys.modules for m in ('joblib', 'sklearn', 'profanity_check')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
