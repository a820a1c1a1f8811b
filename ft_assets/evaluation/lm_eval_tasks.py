"""Tasks of lm-evaluation-harness from files of one's own, on an arm: the optional extra `lm-eval`.

The harness runs in this process through its Python API, on the model that is loaded already. Tasks
are YAML files that name local data files (`dataset_path: json`, `data_files`); nothing is fetched.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

ROWS_AT_ONCE = 8


def run_tasks(
    model: Any, tokenizer: Any, tasks: list[str], folder: str, limit: int | None
) -> dict[str, dict[str, float]]:
    """By task, its metrics; a standard error stands under "METRIC_stderr".

    Raises ValueError when the extra is not installed, or for a task that the folder does not have.
    """
    try:
        harness: Any = import_module("lm_eval")
        models: Any = import_module("lm_eval.models.huggingface")
        found_tasks: Any = import_module("lm_eval.tasks")
    except ModuleNotFoundError as error:
        raise ValueError(
            f"evaluation.lm_eval asks for tasks, but {error.name} is not installed: "
            "pip install 'continuous-fine-tuning[lm-eval]', or remove the key"
        ) from None
    if not Path(folder).is_dir():
        raise ValueError(f"evaluation.lm_eval.folder: no folder {folder}")
    manager = found_tasks.TaskManager(include_path=folder, include_defaults=False)
    if unknown := sorted(set(tasks) - set(manager.all_tasks)):
        raise ValueError(
            f"evaluation.lm_eval.tasks: no task {', '.join(unknown)} in {folder}; there are: "
            f"{', '.join(sorted(manager.all_tasks)) or 'none'}"
        )
    found = harness.simple_evaluate(
        model=models.HFLM(pretrained=model, tokenizer=tokenizer, batch_size=ROWS_AT_ONCE),
        tasks=tasks,
        limit=limit,
        task_manager=manager,
        bootstrap_iters=1000,  # of metrics that have no standard error in closed form
        random_seed=0,
        numpy_random_seed=0,
        torch_random_seed=0,
    )
    return {
        task: {
            name.replace(",none", ""): float(value)
            for name, value in values.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        for task, values in found["results"].items()
    }
