"""Whether what people ask, and what they make of the answers, is what a champion was made for."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import pandas as pd

from ft_assets.monitoring.alarms import WEEKS_A_YEAR, Policy, Remedy
from ft_assets.monitoring.drift import Judged, Verdict, judge_weeks
from ft_assets.monitoring.drift_chart import drift_chart
from ft_assets.monitoring.effects import (
    EVENT_COLUMNS,
    OF_PROMPTS,
    TITLES,
    Stream,
    observed,
    span,
)
from ft_assets.monitoring.evidently_page import evidently_page
from ft_assets.monitoring.weeks import newest_untrained
from ft_assets.partitions import ALL_WEEKS, domains, split_key
from ft_assets.publishing import (
    Refs,
    combined,
    markdown_table,
    materialized,
    newest_ref,
    one,
    open_draft,
    picture,
)
from ft_assets.settings import platform
from ft_resources.lakefs.client import LakeFS
from ft_resources.lakefs.ref import Ref

REPORT, RESULT = "report.html", "drift.json"
SIGNAL_COLUMNS = ["event_id", "signal", "score"]
EARLIER_WEEKS = 26  # looked at for the first weeks of a model
REMEMBERED = 52  # weeks in the record


@dg.asset(
    partitions_def=domains,
    group_name="monitoring",
    kinds={"lakefs", "python"},
    code_version="2",
    ins={"anonymized_logs": ALL_WEEKS, "feedback_signals": ALL_WEEKS},
)
def drift_report(
    context: dg.AssetExecutionContext,
    anonymized_logs: Refs,
    feedback_signals: Refs,
    deployed_model: Refs,
    lakefs: LakeFS,
) -> dg.MaterializeResult:
    """Every week since those the champion was trained on, judged by itself: words and form of
    prompts and answers, votes and answers that were not wanted, each as an effect size against a
    limit that a budget of false alarms sets. The verdict names a remedy: retrain, relabel, or tell.
    """
    domain, settings = context.partition_key, platform().drift
    deployment = lakefs.read_json(one(deployed_model, "deployed_model", domain), "deployment.json")
    champion = deployment["champion"]
    by_week = {split_key(key)[1]: ref for key, ref in anonymized_logs.items()}
    trained = [w for w in _trained_weeks(lakefs, deployment["adapter_ref"]) if w in by_week]
    current = newest_untrained(by_week, trained, settings.newest_weeks) if trained else []
    earlier = _earlier(lakefs, newest_ref(context.instance, context.asset_key, domain))
    looks = {week: _look(earlier.get(week), champion, by_week[week].digest) for week in current}
    judged: list[Judged] = []
    html, scores = "", {}
    if current:
        table = _observed(lakefs, anonymized_logs, feedback_signals, [*trained, *current])
        judged = judge_weeks(table, trained, current, policy(), settings.seed, looks)
        if judged[-1].of(Stream.PROMPT_WORDS).effect is not None:
            html, scores = evidently_page(
                table[table["week"].isin(trained)],
                table[table["week"] == current[-1]],
                *(settings.score_limit, settings.max_rows, settings.seed),
            )

    newest = judged[-1] if judged else _nothing_new(champion)
    history = {
        **{week: found for week, found in earlier.items() if week not in current},
        **{
            found.week: {
                **found.to_dict(),
                "champion": champion,
                "digest": by_week[found.week].digest,
                "look": looks[found.week],
            }
            for found in judged
        },
    }
    words = next((f for f in newest.findings if f.stream is Stream.PROMPT_WORDS), None)
    record = {
        "domain": domain,
        "champion": champion,
        "drifted": newest.verdict is Verdict.DRIFTED,
        "verdict": str(newest.verdict),
        "remedy": str(newest.remedy),
        "why": newest.why,
        "score": words.effect if words else None,
        "limit": words.limit if words and words.limit else settings.score_limit,
        "evidently": scores,
        "reference_weeks": trained,
        "current_weeks": current,
        # What the newest verdict was made of: the same cause asks for one retraining, however
        # often it is seen.
        "cause": combined([champion or "", *(by_week[w].digest for w in current[-1:])]),
        "false_alarms_per_year": settings.false_alarms_per_year,
        "level": policy().level(),
        "weeks": [history[week] for week in sorted(history)][-REMEMBERED:],
    }
    files = {RESULT: json.dumps(record, indent=1, sort_keys=True).encode()}
    if html:
        files[REPORT] = html.encode()
    draft = open_draft(
        context, lakefs, lakefs.repository, {**anonymized_logs, "deployed": deployed_model[domain]}
    )
    prefix = f"drift_report/domain={domain}/"
    draft.write(prefix, files)
    draft.commit(f"drift_report: {domain} {newest.verdict}, {newest.remedy}")
    ref = draft.merge()[prefix]
    facts = _facts(record, newest)
    if html:
        facts["report"] = dg.MetadataValue.url(lakefs.object_url(ref, REPORT))
    return materialized(context, lakefs, {domain: ref}, {domain: facts})


def policy() -> Policy:
    settings = platform().drift
    return Policy(
        domains=len(platform().domains),
        false_alarms_per_year=settings.false_alarms_per_year,
        score_limit=settings.score_limit,
        clears_at=settings.clears_at,
        min_rows=settings.min_rows,
        max_rows=settings.max_rows,
    )


def _facts(record: Mapping[str, Any], newest: Judged) -> dict[str, Any]:
    current, trained = record["current_weeks"], record["reference_weeks"]
    facts: dict[str, Any] = {
        "drifted": record["drifted"],
        "verdict": record["verdict"],
        "remedy": record["remedy"],
        "why": record["why"],
        "score": 0.0 if record["score"] is None else record["score"],
        "limit": record["limit"],
        "cause": record["cause"][:16],
        "newest_week": current[-1] if current else "",
        "champion": record["champion"] or "none",
        "trained_on": span(trained),
        "judged": span(current),
        "false_alarms": (
            f"at most {record['false_alarms_per_year']:g} expected a year over all domains: level "
            f"{record['level']:.2g} for each of {len(Stream)} streams, {len(platform().domains)} "
            f"domains and {WEEKS_A_YEAR} weeks"
        ),
    }
    if newest.findings:
        facts["streams"] = markdown_table(
            [
                *("stream", "against", "effect", "limit", "ends below", "state", "rows"),
                "Evidently",
            ],
            [_line(found, record["evidently"]) for found in newest.findings],
        )
        facts["weeks"] = markdown_table(
            ["week", "verdict", "remedy", "above their limit"],
            [_week_line(week) for week in record["weeks"][::-1]],
        )
    if svg := drift_chart(record["weeks"], record["champion"]):
        facts["over_time"] = picture(svg, "drift by week")
    return facts


def _line(found: Any, scores: Mapping[str, float]) -> list[object]:
    against = "what it was trained on" if found.stream in OF_PROMPTS else "its first weeks"
    column = {Stream.PROMPT_WORDS: "prompt", Stream.ANSWER_WORDS: "response"}.get(
        found.stream, str(found.stream)
    )
    return [
        TITLES[found.stream],
        f"{against}, {found.compared:,} rows",
        *("-" if v is None else f"{v:.3f}" for v in (found.effect, found.limit, found.cleared)),
        f"{found.state}: {found.why}" if found.why else found.state,
        f"{found.rows:,}",
        f"{scores[column]:.3f}" if column in scores else "-",
    ]


def _week_line(week: Mapping[str, Any]) -> list[object]:
    on = [f["stream"] for f in week["findings"] if f["state"] in ("alarm", "held")]
    return [week["week"], week["verdict"], week["remedy"], ", ".join(on) or "-"]


def _nothing_new(champion: str | None) -> Judged:
    why = "no week since those it was trained on" if champion else "nothing serves yet"
    return Judged("", Verdict.NOTHING_NEW, Remedy.NONE, why, ())


def _earlier(lakefs: LakeFS, report: Ref | None) -> dict[str, Any]:
    """What the report before said, by week; one of an older form said nothing by week."""
    record = lakefs.read_json(report, RESULT) if report else {}
    return {week["week"]: week for week in record.get("weeks", [])}


def _look(earlier: Mapping[str, Any] | None, champion: str | None, digest: str) -> int:
    """The how-manieth content of this week is looked at, from 1."""
    if earlier is None or earlier["champion"] != champion:
        return 1
    return earlier["look"] + (earlier["digest"] != digest)


def _trained_weeks(lakefs: LakeFS, adapter: dict[str, str] | None) -> list[str]:
    return lakefs.read_json(Ref(**adapter), "lineage.json")["weeks"] if adapter else []


def _observed(lakefs: LakeFS, logs: Refs, signals: Refs, wanted: Sequence[str]) -> pd.DataFrame:
    keys = sorted(logs)
    keys = [
        key
        for place, key in enumerate(keys)
        if split_key(key)[1] in wanted or place >= len(keys) - EARLIER_WEEKS
    ]
    events = [lakefs.read_table(logs[key])[list(EVENT_COLUMNS)] for key in keys]
    scored = [lakefs.read_table(signals[key])[SIGNAL_COLUMNS] for key in keys if key in signals]
    return observed(_together(events, EVENT_COLUMNS), _together(scored, SIGNAL_COLUMNS))


def _together(tables: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    if not filled:
        return pd.DataFrame(columns=pd.Index(columns))
    return pd.concat(filled, ignore_index=True)
