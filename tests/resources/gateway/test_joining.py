"""Rows that join a running batch are answered as they are alone."""

import queue

import pytest
from transformers.cache_utils import DynamicSlidingWindowLayer

from ft_resources.gateway import cohort as module
from ft_resources.gateway.cohort import Cohort, Done, Generation
from ft_resources.gateway.engine import Engine
from ft_resources.gateway.loaded_base import open_base

SHORT, LONG = "Hi", "How often is the tablet taken, and with what? " * 2
# adapter (0: the base), prompt, tokens, tokens that those before had written when it came
ROWS = [(1, SHORT, 60, 0), (0, LONG, 6, 3), (2, SHORT, 20, 2), (3, LONG, 30, 7)]


@pytest.fixture(scope="module")
def loaded(base, digest, adapters):
    loaded = open_base(base, digest)
    for folder in [*adapters["legal"], *adapters["finance"]]:
        loaded.bank.add(folder.name, folder)
    loaded.ends = frozenset()  # every row is as long as it is asked to be
    return loaded


@pytest.fixture
def names(adapters):
    return [None, *(folder.name for folder in [*adapters["legal"], *adapters["finance"]])]


def generation(loaded, name, prompt, tokens, sink, temperature=0.0):
    ids = loaded.tokenizer.encode_text(prompt)
    return Generation(
        loaded.digest, name, ids, tokens, temperature, 1.0, 7, (), False, sink, top_logprobs=1
    )


def alone(loaded, job):
    done = []
    running = Cohort(loaded, [Generation(**{**vars(job), "sink": done.append})])
    while running.rows:
        running.step()
    return done[0]


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_a_row_that_joined_is_the_row_alone(loaded, names, monkeypatch, temperature):
    monkeypatch.setattr(module, "MIN_UNUSED", 1)  # columns leave as soon as they can
    answers, jobs, running, widths = {}, [], None, []
    for number, (adapter, prompt, tokens, after) in enumerate(ROWS):
        for _ in range(after):
            running.step()
        job = generation(
            loaded, names[adapter], prompt, tokens,
            lambda done, number=number: answers.update({number: done}), temperature,
        )  # fmt: skip
        jobs.append(job)
        late = Cohort(loaded, [job])
        late.step()
        if running is None:
            running = late
        else:
            assert running.can_join(late)
            running.join(late)
            assert not late.rows
    while running.rows:
        running.step()
        widths.append(running._mask.shape[1])
    for number, job in enumerate(jobs):
        expected = alone(loaded, job)
        assert isinstance(answers[number], Done)
        assert answers[number].text == expected.text
        got, wanted = answers[number].scores, expected.scores
        assert [s.token for s in got] == [s.token for s in wanted]
        assert [s.logprob for s in got] == pytest.approx([s.logprob for s in wanted], abs=1e-3)
    # The long prompts have ended before the last row does; its batch is as narrow as itself.
    assert widths[-1] < max(widths)


def test_caches_that_forget_do_not_join(loaded, names):
    early, late = (
        Cohort(loaded, [generation(loaded, names[1], SHORT, 9, lambda _: None)]) for _ in range(2)
    )
    assert not early.can_join(late)  # no first pass yet
    early.step()
    late.step()
    assert early.can_join(late)
    late._cache.layers[0] = DynamicSlidingWindowLayer(sliding_window=4)
    assert not early.can_join(late)


def test_the_engine_lets_rows_join(base, digest):
    engine, done = Engine(), queue.Queue()
    engine.start()
    engine.load_base(base, digest).result()
    engine.base(digest).ends = frozenset()
    ids = engine.base(digest).tokenizer.encode_text(SHORT)
    for _ in range(6):
        before = engine.passes
        engine.submit(Generation(digest, None, ids, 100, 0, 1, None, (), False, done.put))
        while engine.passes < before + 4:
            pass
    assert len(engine._cohorts) <= 2  # one, and one that has just begun
    assert {done.get(timeout=30).completion_tokens for _ in range(6)} == {100}
    assert engine.passes < 6 * 100 / 2
    engine.stop(10)
