"""Did an answer pass its case: by its text, or by a judge model behind an OpenAI-compatible API.

Multiple choice is not here: it needs likelihoods of the choices and no answer (score.py).
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from ft_assets.evaluation.cases import (
    Case,
    ChoiceCase,
    ContainsCase,
    ExactCase,
    ModelCase,
    NumericCase,
    RegexCase,
    compiled_pattern,
)
from ft_assets.evaluation.metrics import normalise

NUMBER = re.compile(r"[-+\u2212]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|[-+\u2212]?\.\d+")
MAX_REPLY = 4_000  # characters of a judge's reply that are read

JUDGE_PROMPT = """You grade one answer of an assistant.

Question:
{prompt}

What a good answer says:
{expected}

Answer to grade:
{answer}

Does the answer satisfy what a good answer says? Reply with one word: yes or no."""


class JudgeError(RuntimeError):
    """The judge model gave no verdict; the message says where and why, without texts of a case."""


@dataclass(frozen=True)
class JudgeModel:
    url: str  # of the API, e.g. http://127.0.0.1:8000/v1
    model: str
    timeout_seconds: float
    api_key: str | None = None

    def __call__(self, case: ModelCase, answer: str) -> bool:
        """Raises JudgeError when there is no verdict."""
        import requests

        prompt = JUDGE_PROMPT.format(prompt=case.prompt, expected=case.expected, answer=answer)
        where = f"judge model {self.model} at {self.url}, case {case.name!r}"
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "max_tokens": 8,
        }
        try:
            reply = requests.post(
                f"{self.url.rstrip('/')}/chat/completions",
                json=body,
                headers=headers,
                timeout=self.timeout_seconds,
            )
        except requests.Timeout:
            raise JudgeError(
                f"{where}: no reply within {self.timeout_seconds:g} s; see "
                "evaluation.judge_model.timeout_seconds"
            ) from None
        except requests.RequestException as error:
            raise JudgeError(f"{where}: {type(error).__name__}; is it running?") from None
        if reply.status_code != 200:
            raise JudgeError(f"{where}: HTTP {reply.status_code}")
        try:
            text = json.loads(reply.content)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError):
            raise JudgeError(f"{where}: the reply is no chat completion") from None
        return _verdict(str(text)[:MAX_REPLY], where)


def _verdict(text: str, where: str) -> bool:
    words = re.findall(r"[a-z]+", text.lower())
    found = {word for word in words if word in {"yes", "no"}}
    if len(found) != 1:
        raise JudgeError(f"{where}: the reply says neither yes nor no")
    return found == {"yes"}


def passes(
    case: Case, answer: str, judge_model: Callable[[ModelCase, str], bool] | None = None
) -> bool:
    """Raises JudgeError as the judge model does, or when there is none; ValueError for a choice."""
    if isinstance(case, ExactCase):
        return normalise(answer) == normalise(case.expected)
    if isinstance(case, ContainsCase):
        wanted = [case.expected] if isinstance(case.expected, str) else case.expected
        return all(part.casefold() in answer.casefold() for part in wanted)
    if isinstance(case, RegexCase):
        return compiled_pattern(case.expected).search(answer) is not None
    if isinstance(case, NumericCase):
        number = first_number(answer)
        # The last digit of what was typed must not decide: 0.1 + 0.2.
        slack = 1e-9 * max(1.0, abs(case.expected))
        return number is not None and abs(number - case.expected) <= case.tolerance + slack
    if isinstance(case, ChoiceCase):
        raise ValueError(f"case {case.name!r}: choices are judged by likelihood, not by an answer")
    if judge_model is None:
        raise JudgeError(
            f"case {case.name!r} asks a judge model and there is none; set evaluation.judge_model"
        )
    return judge_model(case, answer)


def first_number(text: str) -> float | None:
    """The first number of a text: "$1,234.50" is 1234.5; a comma divides thousands alone."""
    found = NUMBER.search(text)
    return float(found[0].replace(",", "").replace("\u2212", "-")) if found else None
