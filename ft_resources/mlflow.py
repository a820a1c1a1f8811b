"""Experiment tracking and the model registry.

dagster-mlflow owns the life cycle of the run (one MLflow run per Dagster run, found again by its
tag in every process); each adapter is a nested run in it. The registry is MlflowClient: one
registered model per domain, aliases `champion` and `challenger`. mlflow is imported inside the
functions: it takes seconds, and loading the definitions must not.
"""

import fcntl
import json
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

import dagster as dg

from ft_resources.lakefs.ref import Ref

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput

CHAMPION = "champion"
CHALLENGER = "challenger"
DATASET_DIGEST = 36  # characters, the most that MLflow keeps; the whole one is in the source


class MlflowTracking(dg.ConfigurableResource):
    """One MLflow run for the Dagster run that uses this resource, ended with it."""

    tracking_uri: str
    artifacts: str
    experiment: str
    pages: str  # where the MLflow pages are served

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["MlflowTracking"]:
        from dagster_mlflow.resources import MlFlow

        self._ensure_experiment()
        tracked: Any = MlFlow(  # its methods are those of the mlflow module
            context.replace_config(
                {
                    "experiment_name": self.experiment,
                    "mlflow_tracking_uri": self.tracking_uri,
                    "env": {},
                    "extra_tags": {},
                }
            )
        )
        status = "FAILED"
        try:
            yield self
            status = self._outcome(context)
        finally:
            tracked.end_run(status=status)

    def _outcome(self, context: dg.InitResourceContext) -> str:
        # Dagster closes resources without telling them how the steps ended.
        if context.instance is None or context.run_id is None:
            return "FINISHED"
        failed = context.instance.get_run_stats(context.run_id).steps_failed
        return "FAILED" if failed else "FINISHED"

    def _ensure_experiment(self) -> None:
        with _alone(self.tracking_uri):
            self._ensure_experiment_alone()

    def _ensure_experiment_alone(self) -> None:
        client = registry_client(self.tracking_uri)
        if client.get_experiment_by_name(self.experiment) is None:
            from mlflow.exceptions import MlflowException

            try:
                client.create_experiment(self.experiment, _artifact_uri(self.artifacts))
            except MlflowException:
                if client.get_experiment_by_name(self.experiment) is None:
                    raise  # not the race with another run that this is for

    def log_adapter(
        self,
        name: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        series: Mapping[str, Sequence[tuple[int, float]]],
        metrics: Mapping[str, float],
        datasets: Mapping[str, Ref],
        folder: Path,
    ) -> tuple[str, str]:
        """Log one adapter as a nested run; (its run id, the address of its page).

        `params` are recipe, seed and environment; `datasets` what it learned from, by name, each
        with its lakeFS commit and digest.
        """
        import mlflow
        from mlflow.entities import Metric

        with mlflow.start_run(run_name=name, nested=True, tags=dict(tags)) as run:
            mlflow.log_params(dict(params))
            client, now = registry_client(self.tracking_uri), run.info.start_time
            points = [
                Metric(key, value, now, step)
                for key, values in series.items()
                for step, value in values
            ] + [Metric(key, value, now, 0) for key, value in metrics.items()]
            client.log_batch(run.info.run_id, metrics=points)
            client.log_inputs(run.info.run_id, _dataset_inputs(datasets))
            mlflow.log_artifacts(str(folder), "adapter")
            return run.info.run_id, self.run_page(run.info.experiment_id, run.info.run_id)

    def run_page(self, experiment_id: str, run_id: str) -> str:
        return f"{self.pages}/#/experiments/{experiment_id}/runs/{run_id}"


class ModelRegistry(dg.ConfigurableResource):
    """Registered models: versions of a domain's adapter and which of them is champion."""

    tracking_uri: str

    def register(self, domain: str, run_id: str, adapter: str, tags: Mapping[str, str]) -> str:
        """The version of this adapter under `domain`; the same adapter is registered once."""
        client = registry_client(self.tracking_uri)
        for version in client.search_model_versions(f"name = '{domain}'"):
            if version.tags.get("adapter") == adapter:
                return version.version
        if not client.search_registered_models(f"name = '{domain}'", max_results=1):
            client.create_registered_model(domain)
        return client.create_model_version(
            domain, f"runs:/{run_id}/adapter", run_id, tags={"adapter": adapter, **tags}
        ).version

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Add metrics to the run of an adapter, which may have ended."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points = [Metric(name, value, now, 0) for name, value in metrics.items()]
        registry_client(self.tracking_uri).log_batch(run_id, metrics=points)

    def set_alias(self, domain: str, alias: str, version: str) -> None:
        registry_client(self.tracking_uri).set_registered_model_alias(domain, alias, version)

    def follow(self, domain: str, adapter: str | None) -> None:
        """Make the version of this adapter the champion, and nothing the challenger. Again is fine.

        Raises ConnectionError when the registry does not answer or refuses.
        """
        from mlflow.exceptions import MlflowException

        client = registry_client(self.tracking_uri)
        try:
            versions = client.search_model_versions(f"name = '{domain}'")
            found = [v.version for v in versions if v.tags.get("adapter") == adapter]
            if found:
                client.set_registered_model_alias(domain, CHAMPION, found[0])
            if versions:
                client.delete_registered_model_alias(domain, CHALLENGER)
        except MlflowException as error:
            raise ConnectionError(f"MLflow: {error.error_code}") from None


def _dataset_inputs(datasets: Mapping[str, Ref]) -> list["DatasetInput"]:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    context = InputTag("mlflow.data.context", "training")
    return [
        DatasetInput(
            Dataset(
                name=name,
                digest=ref.digest[:DATASET_DIGEST],
                source_type="lakefs",
                source=json.dumps({"uri": ref.uri, **ref.to_dict()}, sort_keys=True),
            ),
            [context],
        )
        for name, ref in datasets.items()
    ]


def registry_client(tracking_uri: str) -> "MlflowClient":
    from mlflow import MlflowClient

    if file := _sqlite_file(tracking_uri):
        file.parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


@contextmanager
def _alone(tracking_uri: str) -> Generator[None]:
    """Hold a lock beside an SQLite file: its tables are made by the first that comes, and two that
    make them at once see each other's half ("dimension_attributes").
    """
    file = _sqlite_file(tracking_uri)
    if file is None:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_name(f"{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sqlite_file(tracking_uri: str) -> Path | None:
    if not tracking_uri.startswith("sqlite:///"):
        return None
    return Path(unquote(urlparse(tracking_uri).path)[1:])


def _artifact_uri(artifacts: str) -> str:
    return artifacts if "://" in artifacts else Path(artifacts).resolve().as_uri()
