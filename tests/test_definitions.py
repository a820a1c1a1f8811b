"""The graph as a whole: it loads, and its lineage is the one of ARCHITECTURE.md."""

import dagster as dg

from ft_assets.definitions import STAGES, defs, presented
from ft_assets.expectations.suite import suite_names
from ft_assets.lineage import RETRAINED, WEEKLY
from ft_assets.sections import PageSettings
from ft_assets.settings import platform
from ft_sensors.triggers import TRIGGERS

LINEAGE = {
    "raw_logs": set(),
    "raw_documents": set(),
    "raw_annotations": set(),
    "raw_corrections": set(),
    "raw_users": set(),
    "raw_eval_cases": set(),
    "pii_tagger": set(),
    "anonymized_logs": {"raw_logs", "pii_tagger"},
    "anonymized_documents": {"raw_documents", "pii_tagger"},
    "anonymized_examples": {"raw_annotations", "raw_corrections", "pii_tagger"},
    "domain_profiles": {"anonymized_documents", "anonymized_examples"},
    "screened_logs": {"anonymized_logs", "domain_profiles"},
    "screened_texts": {"anonymized_documents", "anonymized_examples"},
    "influence_report": {"anonymized_logs"},
    "log_signatures": {"anonymized_logs"},
    "duplicate_clusters": {"log_signatures", "anonymized_examples"},
    "passage_signatures": {"anonymized_documents"},
    "eval_set": {
        *("log_signatures", "screened_logs", "anonymized_examples", "screened_texts"),
        *("duplicate_clusters", "influence_report", "raw_users", "raw_eval_cases", "pii_tagger"),
    },
    "training_corpus": {
        *("log_signatures", "screened_logs", "anonymized_examples", "screened_texts"),
        *("duplicate_clusters", "influence_report", "raw_users"),
        *("passage_signatures", "eval_set"),
    },
    "feedback_signals": {"anonymized_logs"},
    "preference_pairs": {"anonymized_logs", "anonymized_examples", "raw_users"},
    "review_queue": {"anonymized_logs", "feedback_signals", "screened_logs", "raw_corrections"},
    "base_model": set(),
    "lora_adapter": {"training_corpus", "base_model", "preference_pairs"},
    "eval_report": {"lora_adapter", "eval_set", "base_model", "pii_tagger"},
    "canary_release": {"lora_adapter", "eval_report", "base_model"},
    "deployed_model": {"canary_release", "eval_set"},
    "comparison_report": set(),
    "drift_report": {"anonymized_logs", "feedback_signals", "deployed_model"},
    "serving_report": {"deployed_model"},
    "cost_report": {"lora_adapter", "eval_report"},
    "evidence_pack": {"deployed_model"},
}
WHOLE = {"base_model", "domain_profiles", "pii_tagger"}


def test_it_loads():
    dg.Definitions.validate_loadable(defs)


def test_lineage():
    graph = defs.resolve_asset_graph()
    found = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert found == LINEAGE


def test_partitions():
    graph = defs.resolve_asset_graph()
    for name in LINEAGE:
        partitions = graph.get(dg.AssetKey(name)).partitions_def
        if name in WHOLE:
            assert partitions is None
        else:
            assert isinstance(partitions, dg.MultiPartitionsDefinition) is (name in WEEKLY)


def test_every_asset_says_what_it_is():
    for spec in defs.resolve_all_asset_specs():
        assert spec.group_name != "default"
        assert spec.description, spec.key
        assert len(spec.description) > 20, spec.key
        assert spec.code_version
        assert spec.kinds, spec.key


def test_every_check_and_trigger_says_what_it_is():
    checks = [
        check
        for asset in defs.assets or []
        if isinstance(asset, dg.AssetsDefinition)
        for check in asset.check_specs
    ]
    assert checks
    asking = [*(defs.sensors or ()), *(defs.schedules or ())]
    assert len(asking) > len(TRIGGERS)
    for one in (*checks, *asking):
        assert one.description, one.name


def test_pages_say_whose_an_asset_is_and_when_a_week_is_late():
    pages = PageSettings(owners=["team:ml", "ada@company.example"], fresh_within_days=8)
    settings = platform().model_copy(update={"pages": pages})
    shown = {
        spec.key.to_user_string(): spec for one in presented(STAGES, settings) for spec in one.specs
    }
    assert all(spec.owners == pages.owners for spec in shown.values())
    late = {name for name, spec in shown.items() if spec.freshness_policy}
    assert late == set(WEEKLY)
    assert not any(spec.owners for one in presented(STAGES, platform()) for spec in one.specs)


def test_checks_that_guard_are_blocking():
    checks = {
        (spec.asset_key.to_user_string(), spec.name): spec.blocking
        for asset in defs.assets or []
        if isinstance(asset, dg.AssetsDefinition)
        for spec in asset.check_specs
    }
    assert checks == {
        **{(asset, "great_expectations"): True for asset in suite_names()},
        **{(asset, "great_expectations_unusual"): False for asset in suite_names()},
        ("eval_report", "promotion_gate"): True,
        ("evidence_pack", "evidence_holds"): False,
        ("deployed_model", "canary"): False,  # a canary that was rolled back is an answer
    }


def test_a_retraining_makes_all_that_hangs_on_the_corpus():
    after = {"training_corpus"}
    while grown := {n for n, parents in LINEAGE.items() if parents & after} - after:
        after |= grown
    assert after - {"drift_report", "serving_report"} <= set(RETRAINED)
