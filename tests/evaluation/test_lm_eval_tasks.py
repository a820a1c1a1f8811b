import json
from importlib.util import find_spec

import pytest

from ft_assets.evaluation.lm_eval_tasks import run_tasks

TASK = """
task: clauses
dataset_path: json
dataset_kwargs: {data_files: {test: "FILE"}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""


@pytest.mark.skipif(find_spec("lm_eval") is not None, reason="the extra lm-eval is installed")
def test_without_the_extra_the_error_says_what_to_install(tmp_path):
    with pytest.raises(ValueError, match=r"pip install 'continuous-fine-tuning\[lm-eval\]'"):
        run_tasks(None, None, ["clauses"], str(tmp_path), None)


@pytest.mark.filterwarnings("ignore")
def test_a_task_from_local_files(tmp_path):
    pytest.importorskip("lm_eval")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from ft_assets.adapters.base_model import BaseSpec, ensure_base
    from ft_assets.settings import platform

    cache = platform().path(platform().base_model.cache)
    folder, _ = ensure_base(cache, BaseSpec("embedded", steps=40, threads=1), lambda facts: None)
    rows = [{"question": f"Q{i}?", "choices": ["yes", "no"], "answer": i % 2} for i in range(6)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "clauses.yaml").write_text(TASK.replace("FILE", str(tmp_path / "rows.jsonl")))
    model, tokenizer = (
        kind.from_pretrained(folder) for kind in (AutoModelForCausalLM, AutoTokenizer)
    )
    found = run_tasks(model, tokenizer, ["clauses"], str(tmp_path), 4)
    assert 0 <= found["clauses"]["acc"] <= 1
    assert "acc_stderr" in found["clauses"]
    with pytest.raises(ValueError, match="no task clausez"):
        run_tasks(model, tokenizer, ["clausez"], str(tmp_path), None)
