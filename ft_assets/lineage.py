"""Which assets run together: the selections that sensors, the demo and the tests ask for.

The graph itself is in the assets' arguments; tests/test_definitions.py compares.
"""

WEEKLY = (  # domain x week
    *("raw_logs", "anonymized_logs", "screened_logs", "log_signatures"),
    "feedback_signals",
)
RAW_OF = {  # what is taken up whole, by the name of its source in platform.yaml
    **{"documents": "raw_documents", "annotations": "raw_annotations"},
    **{"corrections": "raw_corrections", "users": "raw_users", "eval": "raw_eval_cases"},
}
SOURCES = tuple(RAW_OF.values())
CORPUS = (
    *("anonymized_documents", "anonymized_examples", "screened_texts"),
    *("influence_report", "passage_signatures", "duplicate_clusters"),
    *("eval_set", "training_corpus"),
)
RELEASE = ("eval_report", "cost_report", "canary_release", "deployed_model", "evidence_pack")
RETRAINED = (*SOURCES, *CORPUS, "lora_adapter", *RELEASE)  # of one domain, once its weeks are there
