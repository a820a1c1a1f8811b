"""Near-duplicates against datasketch and datatrove, on generated texts with planted copies.

    python -m tests.bench.dedup

A third of the texts are copies in which 0 to 10 % of the words were changed. A copy counts for
recall when word 5-grams of it and its original have a Jaccard similarity of 0.8 or more; a pair
that a tool names counts for precision in the same way. All use 128 permutations on one core;
datasketch as its documentation shows it, with its batch update. Ours also makes what
decontamination needs. Seconds of processor time, medians of interleaved rounds.
"""

import contextlib
import importlib.util
import io
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ft_assets.corpus.dedup import find_clusters
from ft_assets.corpus.fingerprints import fingerprint_texts
from tests.bench.timing import missing

THRESHOLD, PERMUTATIONS, GRAM = 0.8, 128, 5
TEXTS, ROUNDS = 4000, 3
GOAL = 5  # times as fast as datasketch, at equal or better recall

Pairs = set[tuple[int, int]]


def texts_with_copies(count: int, seed: int = 0) -> tuple[list[str], Pairs]:
    """Texts of 90 to 400 words, and (original, copy) of the copies that are alike enough."""
    pick = random.Random(seed)
    vocabulary = [
        "".join(pick.choices("etaoinshrdlu", k=pick.randrange(2, 11))) for _ in range(20_000)
    ]
    weights = [1 / (rank + 10) for rank in range(len(vocabulary))]
    texts: list[list[str]] = []
    planted: Pairs = set()
    for number in range(count):
        if number % 3 == 2:
            original = pick.randrange(number)
            words = list(texts[original])
            for place in pick.sample(range(len(words)), int(len(words) * pick.random() * 0.1)):
                words[place] = pick.choice(vocabulary)
            if similarity(words, texts[original]) >= THRESHOLD:
                planted.add((original, number))
        else:
            words = pick.choices(vocabulary, weights, k=pick.randrange(90, 400))
        texts.append(words)
    return [" ".join(words) for words in texts], planted


def grams(words: list[str]) -> set[str]:
    return set(map(" ".join, zip(*(words[i:] for i in range(GRAM)), strict=False)))


def similarity(one: list[str], other: list[str]) -> float:
    left, right = grams(one), grams(other)
    return len(left & right) / len(left | right)


def ours(texts: list[str]) -> Pairs:
    keys = [f"{number:06d}" for number in range(len(texts))]
    found = find_clusters([fingerprint_texts(keys, keys, texts)], threshold=THRESHOLD)
    return groups(dict(zip(map(int, found.keys), map(int, found.names()), strict=True)))


def datasketch(texts: list[str]) -> Pairs:
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    found: Pairs = set()
    for number, text in enumerate(texts):
        minhash = MinHash(num_perm=PERMUTATIONS)
        minhash.update_batch([gram.encode() for gram in grams(text.split())])
        found |= {(other, number) for other in index.query(minhash)}
        index.insert(number, minhash)
    return found


def datatrove(texts: list[str]) -> Pairs:
    """Signatures, buckets and clusters by its three blocks; it names no pairs, but what stays."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import minhash as blocks
    from datatrove.utils.hashing import HashConfig

    config = blocks.MinhashConfig(
        n_grams=GRAM,
        num_buckets=16,
        hashes_per_bucket=8,
        hash_config=HashConfig(precision=64, hash_fc="sha1"),
    )
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stderr(io.StringIO()):
        folder = Path(name)
        documents = (Document(text=text, id=str(n)) for n, text in enumerate(texts))
        blocks.MinhashDedupSignature(f"{name}/signatures", config=config).run(documents, 0, 1)
        buckets = blocks.MinhashDedupBuckets(f"{name}/signatures", f"{name}/buckets", config=config)
        for rank in range(config.num_buckets):
            buckets.run(None, rank, config.num_buckets)
        blocks.MinhashDedupCluster(
            f"{name}/buckets", f"{name}/remove", config=config, save_cluster_id=True
        ).run(None, 0, 1)
        raw = b"".join(f.read_bytes() for f in sorted((folder / "remove").glob("*.clusters")))
    numbers = [int.from_bytes(raw[i : i + 4], "little") for i in range(0, len(raw), 4)]
    return groups(dict(zip(numbers[::2], numbers[1::2], strict=True)))


def groups(cluster: dict[int, int]) -> Pairs:
    """All pairs of members of a cluster."""
    members: dict[int, list[int]] = {}
    for number in sorted(cluster):
        members.setdefault(cluster[number], []).append(number)
    return {
        (one, other)
        for group in members.values()
        for place, one in enumerate(group)
        for other in group[place + 1 :]
    }


def quality(found: Pairs, planted: Pairs, texts: list[str]) -> tuple[float, float]:
    """Recall of the planted pairs; precision: the share of named rows that have a true partner."""
    recall = len(planted & found) / len(planted)
    named: dict[int, list[int]] = {}
    for one, other in found:
        named.setdefault(other, []).append(one)
    right = sum(
        any(similarity(texts[one].split(), texts[other].split()) >= THRESHOLD for one in ones)
        for other, ones in named.items()
    )
    return recall, right / max(len(named), 1)


def cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def compared(name: str, peer: Callable[[list[str]], Pairs], count: int, goal: float | None) -> dict:
    texts, planted = texts_with_copies(count)
    mine, its = quality(ours(texts), planted, texts), quality(peer(texts), planted, texts)
    times = [
        (cpu_seconds(lambda: ours(texts)), cpu_seconds(lambda: peer(texts))) for _ in range(ROUNDS)
    ]
    first, second = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = second / first
    line: dict[str, Any] = {
        "measure": f"near_duplicates_vs_{name}",
        "ours": first,
        "peer": second,
        "unit": "CPU s",
        "ratio": ratio,
        "goal": f"peer / ours >= {goal}, recall no lower" if goal else "",
        "holds": bool(ratio >= goal and mine[0] >= its[0]) if goal else None,
        "note": (
            f"{sum(map(len, texts)) / 1e6:.1f} MB; recall {mine[0]:.4f} against {its[0]:.4f}, "
            f"precision {mine[1]:.4f} against {its[1]:.4f}"
        ),
    }
    return line


def measures() -> Iterator[dict[str, Any]]:
    for name, peer, count, goal in (
        ("datasketch", datasketch, TEXTS, GOAL),
        ("datatrove", datatrove, TEXTS // 4, None),
    ):
        if importlib.util.find_spec(name):
            yield compared(name, peer, count, goal)
        else:
            why = f"{name} is missing: pip install '.[bench]'"
            yield dict(missing(f"near_duplicates_vs_{name}", "CPU s", "", why))


if __name__ == "__main__":
    for measure in measures():
        print(measure, flush=True)
