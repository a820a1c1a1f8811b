"""The rules of ARCHITECTURE.md that an import can break."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
# ft_assets modules that may know dagster; everything else in a stage is plain Python.
FACING = {
    *("assets.py", "checks.py", "partitions.py", "definitions.py", "publishing.py"),
    "screen_assets.py",
}
# Not a stage: what drives the graph from outside, with the instance's own API.
OUTSIDE = {"demo", "status.py", "plan.py", "quarantine_cli.py"}
STAGES = [
    *("raw", "corpus", "feedback", "adapters", "evaluation", "deployment", "monitoring"),
    "evidence",
]
HEAVY = ["torch", "transformers", "peft", "mlflow", "great_expectations", "evidently", "sklearn"]


def imports(folder: str, everywhere: bool = True) -> Iterator[tuple[Path, str]]:
    """(file, imported module) of a folder; `everywhere` also inside functions."""
    for file in sorted((PROJECT / folder).rglob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        for node in ast.walk(tree) if everywhere else tree.body:
            if isinstance(node, ast.Import):
                yield from ((file, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: relative import"
                yield file, node.module or ""


def relative(file: Path) -> str:
    return file.relative_to(PROJECT).as_posix()


def test_pure_modules_do_not_know_dagster_or_lakefs():
    found = [
        (relative(file), module)
        for file, module in imports("ft_assets")
        if module.split(".")[0] in {"dagster", "lakefs", "lakefs_sdk"}
        and file.name not in FACING
        and not file.name.endswith("_assets.py")
        and not OUTSIDE & set(file.relative_to(PROJECT / "ft_assets").parts)
    ]
    assert not found


def test_one_module_imports_the_lakefs_client():
    found = {
        relative(file)
        for folder in ("ft_assets", "ft_resources", "ft_sensors")
        for file, module in imports(folder)
        if module.split(".")[0] in {"lakefs", "lakefs_sdk"}
    }
    assert found == {"ft_resources/lakefs/client.py"}


def test_resources_know_neither_assets_nor_sensors():
    tops = {"ft_assets", "ft_sensors"}
    assert not [(f, m) for f, m in imports("ft_resources") if m.split(".")[0] in tops]


@pytest.mark.parametrize("service", ["gateway", "lakefs/server"])
def test_services_do_not_know_dagster(service):
    assert not [(f, m) for f, m in imports(f"ft_resources/{service}") if m.startswith("dagster")]


def test_assets_do_not_know_sensors():
    found = [relative(f) for f, m in imports("ft_assets") if m.startswith("ft_sensors")]
    assert found == ["ft_assets/definitions.py"] * len(found)


def test_a_stage_imports_only_stages_before_it():
    found = []
    for place, stage in enumerate(STAGES):
        later = {f"ft_assets.{name}" for name in STAGES[place + 1 :]}
        found += [
            (relative(f), m)
            for f, m in imports(f"ft_assets/{stage}")
            if any(m == name or m.startswith(f"{name}.") for name in later)
        ]
    assert not found


def test_no_asset_asks_whether_a_service_is_embedded():
    words = [
        relative(file)
        for folder in ("ft_assets", "ft_sensors")
        for file in (PROJECT / folder).rglob("*.py")
        if file.name in FACING
        and "services" in file.read_text()
        and ".embedded" in file.read_text()
    ]
    assert not words
    client = (PROJECT / "ft_resources/lakefs/client.py").read_text()
    assert "embedded" not in client.split('"""', 2)[2]


def test_loading_the_definitions_imports_no_learning_stack():
    ours = ["ft_assets.expectations.gx", "ft_assets.expectations.checks"]
    ours += ["ft_assets.monitoring.drift"]
    code = (
        f"import sys, ft_assets.definitions;print([m for m in {HEAVY + ours} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(ours)


def test_no_module_catches_everything():
    found = []
    for folder in ("ft_assets", "ft_resources", "ft_sensors"):
        for file in (PROJECT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.ExceptHandler) and (
                    node.type is None
                    or (isinstance(node.type, ast.Name) and node.type.id == "Exception")
                ):
                    found.append(f"{relative(file)}:{node.lineno}")
    assert not found
