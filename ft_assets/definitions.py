"""Everything Dagster loads, in lineage order. workspace.yaml points here."""

import warnings
from collections.abc import Iterable
from datetime import timedelta
from types import ModuleType

import dagster as dg

# Pools and backfill policies are marked preview or beta in 1.13; the version is pinned.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
# Sensors ask for one domain a run, so it does not matter how a job of theirs would be split.
warnings.filterwarnings("ignore", message=".*with varying BackfillPolicies")

import ft_assets.adapters.assets as adapters
import ft_assets.corpus.assets as corpus
import ft_assets.corpus.dedup_assets as deduplication
import ft_assets.corpus.screen_assets as screening
import ft_assets.corpus.tagger_assets as tagging
import ft_assets.deployment.assets as deployment
import ft_assets.deployment.comparison_assets as comparison
import ft_assets.evaluation.assets as evaluation
import ft_assets.evidence.assets as evidence
import ft_assets.feedback.assets as feedback
import ft_assets.monitoring.assets as monitoring
import ft_assets.monitoring.cost_assets as cost
import ft_assets.monitoring.drift_assets as drift
import ft_assets.raw.assets as raw
from ft_assets.lineage import WEEKLY
from ft_assets.publishing import RefIOManager
from ft_assets.settings import Platform, platform
from ft_resources import secrets
from ft_resources.gateway_access import GatewayAccess
from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.garbage import GarbageCollector
from ft_resources.mlflow import MlflowTracking, ModelRegistry
from ft_resources.pseudonyms import Pseudonyms
from ft_resources.trainer import LocalTrainer
from ft_resources.vault.raw_zone import RawZone
from ft_sensors.canary import follow_rollouts
from ft_sensors.drift import retrain_on_drift
from ft_sensors.drill import rollback_drill
from ft_sensors.garbage import collect_garbage, collect_garbage_nightly
from ft_sensors.landing import take_up_changed_sources, take_up_new_weeks
from ft_sensors.profiles import learn_domain_words, screen_early_weeks
from ft_sensors.reports import report_new_weeks
from ft_sensors.review import queue_reviews
from ft_sensors.schedules import report_daily, retrain_weekly
from ft_sensors.tagger import make_pii_tagger
from ft_sensors.triggers import TRIGGERS

CORPUS = (tagging, screening, deduplication, corpus)
STAGES = (
    *(raw, *CORPUS, feedback, adapters, evaluation, deployment, comparison),
    *(drift, monitoring, cost, evidence),
)


def presented(stages: Iterable[ModuleType], settings: Platform) -> list[dg.AssetsDefinition]:
    """Their assets as the pages show them: whose they are, and when a week is late."""
    found = [asset for stage in stages for asset in dg.load_assets_from_modules([stage])]
    assets = [asset for asset in found if isinstance(asset, dg.AssetsDefinition)]
    days = settings.pages.fresh_within_days

    def shown(spec: dg.AssetSpec) -> dg.AssetSpec:
        weekly = days is not None and spec.key.to_user_string() in WEEKLY
        return spec.replace_attributes(
            owners=settings.pages.owners,
            freshness_policy=dg.FreshnessPolicy.time_window(timedelta(days=days))
            if weekly
            else spec.freshness_policy,
        )

    return [asset.map_asset_specs(shown) for asset in assets]


def resources(settings: Platform) -> dict[str, object]:
    """What the assets lean on. Secrets come from the environment when a run needs them."""
    services, versioning = settings.services, settings.versioning
    tracking = settings.path(settings.mlflow.tracking_uri)
    return {
        "io_manager": RefIOManager(),
        "lakefs": LakeFS(
            endpoint=services.lakefs.url,
            access_key_id=dg.EnvVar(secrets.LAKEFS_ACCESS_KEY_ID),
            secret_access_key=dg.EnvVar(secrets.LAKEFS_SECRET_ACCESS_KEY),
            repository=versioning.repository,
            raw_repository=versioning.raw_repository,
            storage_namespace=versioning.storage_namespace,
        ),
        "garbage": GarbageCollector(folder=str(settings.lakefs_folder or "")),
        "raw_zone": RawZone(
            tenant=settings.vault.tenant,
            tenant_key=dg.EnvVar(secrets.TENANT_KEY),
            folder=settings.path(settings.vault.folder),
        ),
        "pseudonyms": Pseudonyms(key=dg.EnvVar(secrets.PSEUDONYM_KEY)),
        "trainer": LocalTrainer(
            work_folder=str(settings.state_folder / "work"), threads=settings.adapters.threads
        ),
        "mlflow": MlflowTracking(
            tracking_uri=tracking,
            artifacts=settings.path(settings.mlflow.artifacts),
            experiment=settings.mlflow.experiment,
            pages=services.mlflow.url,
        ),
        "registry": ModelRegistry(tracking_uri=tracking),
        "gateway": GatewayAccess(
            url=services.gateway.url,
            admin_key=dg.EnvVar(secrets.GATEWAY_ADMIN_KEY),
            signing_key=dg.EnvVar(secrets.SIGNING_KEY),
        ),
    }


defs = dg.Definitions(
    assets=presented(STAGES, platform()),
    sensors=[
        make_pii_tagger,
        take_up_new_weeks,
        take_up_changed_sources,
        learn_domain_words,
        screen_early_weeks,
        report_new_weeks,
        queue_reviews,
        retrain_on_drift,
        follow_rollouts,
        *TRIGGERS,
    ],
    jobs=[collect_garbage, rollback_drill],
    schedules=[collect_garbage_nightly, report_daily, retrain_weekly],
    resources=resources(platform()),
    # A process per step would cost 2 to 7 s each (docs/decisions/0004-execution.md).
    executor=dg.in_process_executor,
)
