"""`ft quarantine`: what was not taken up, and how it comes back.

Counts are read from the materializations and need no key. A record is read from the raw zone with
the tenant's key; its row is personal data and shown only when asked for with --raw, which goes
into the vault's audit log, as every resubmission does.
"""

import getpass
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ft_resources.vault.raw_zone import RawZone

app = typer.Typer(help="Records that were not taken up.", no_args_is_help=True)

PlatformFile = Annotated[
    Path, typer.Option("--platform", envvar="FT_PLATFORM", help="The platform file.")
]
RecordId = Annotated[str, typer.Argument(help="Of the record, as `list --records` shows it.")]
DomainOption = Annotated[str | None, typer.Option(help="Of this domain alone.")]
SourceOption = Annotated[str | None, typer.Option(help="Of this source alone, such as logs.")]


class QuarantineError(RuntimeError):
    """What was asked for cannot be done; the message says why."""


@dataclass(frozen=True)
class Place:
    """A partition of a raw asset that was materialized."""

    kind: str
    domain: str
    week: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Found:
    id: str
    place: Place
    record: dict[str, Any]


class Quarantine:
    """The quarantines of one platform, as its newest materializations name them."""

    def __init__(self, platform: Path) -> None:
        from ft_assets.settings import load_platform

        self.settings = load_platform(platform)
        self.state = self.settings.state_folder

    def places(self, domain: str | None, kind: str | None) -> list[Place]:
        import dagster as dg

        from ft_assets.lineage import RAW_OF
        from ft_assets.publishing import facts_of, newest

        home = self.state / "dagster_home"
        if not (home / "dagster.yaml").is_file():
            raise QuarantineError(f"nothing has run yet below {self.state}; start with `ft up`")
        found = []
        with dg.DagsterInstance.from_config(str(home)) as instance:
            for name, asset_name in {"logs": "raw_logs", **RAW_OF}.items():
                if kind not in (None, name):
                    continue
                asset = dg.AssetKey(asset_name)
                for key in sorted(instance.get_materialized_partitions(asset)):
                    owner, _, week = key.partition("|")
                    if domain in (None, owner):
                        facts = facts_of(newest(instance, asset, key))
                        found.append(Place(name, owner, week, facts))
        return found

    def keys(self) -> dict[str, str]:
        from ft_resources import secrets

        if not secrets.secrets_file(self.state).is_file() and secrets.TENANT_KEY not in os.environ:
            raise QuarantineError(f"no keys: neither in {self.state} nor in the environment")
        return secrets.load_or_generate(self.state, os.environ)

    def zone(self) -> "RawZone":
        from ft_resources import secrets
        from ft_resources.vault.raw_zone import RawZone

        vault = self.settings.vault
        return RawZone(
            tenant=vault.tenant,
            tenant_key=self.keys()[secrets.TENANT_KEY],
            folder=self.settings.path(vault.folder),
        )

    def audit(self, action: str, found: Found) -> None:
        """Say who asked for a row, before it is given out."""
        from ft_resources.vault.audit import AuditLog

        zone, place = self.zone(), found.place
        log = AuditLog(zone.keys_file.parent, zone.store())
        who = {"who": getpass.getuser(), "action": action, "record": found.id}
        log.append({**who, "source": place.kind, "domain": place.domain})

    def records(self, places: list[Place]) -> Iterator[Found]:
        from ft_assets.raw.resubmit import record_id
        from ft_resources import secrets
        from ft_resources.lakefs.client import LakeFS
        from ft_resources.lakefs.ref import Ref

        keys, zone, versioning = self.keys(), self.zone(), self.settings.versioning
        lakefs = LakeFS(
            endpoint=self.settings.services.lakefs.url,
            access_key_id=keys[secrets.LAKEFS_ACCESS_KEY_ID],
            secret_access_key=keys[secrets.LAKEFS_SECRET_ACCESS_KEY],
            repository=versioning.repository,
            raw_repository=versioning.raw_repository,
            storage_namespace=versioning.storage_namespace,
        )
        for place in places:
            if not place.facts.get("quarantined"):
                continue
            for record in zone.read_quarantine(lakefs, Ref(**place.facts["ref"])).rows:
                name = record_id(record["source_file"], record["source_line"], record["raw"])
                yield Found(name, place, record)

    def record(self, wanted: str) -> Found:
        for found in self.records(self.places(None, None)):
            if found.id == wanted:
                return found
        raise QuarantineError(f"no quarantined record {wanted}; `ft quarantine list --records`")

    def resubmitted(self, domain: str, kind: str) -> frozenset[str]:
        from ft_assets.raw.delivery import list_sources, read_marks

        sources = list_sources(self.settings.sources(domain, kind))
        return read_marks(sources, self.settings.intake.max_line_mib * 2**20)


@contextmanager
def _told() -> Generator[None]:
    """Errors that a person can act on, without a traceback."""
    from ft_assets.settings import PlatformError
    from ft_resources.vault.keys import VaultError

    errors = (QuarantineError, PlatformError, VaultError, OSError, ValueError)
    try:
        yield
    except errors as error:
        typer.echo(f"ft: {error}", err=True)
        raise typer.Exit(1) from None


@app.command("list")
def list_records(
    platform: PlatformFile = Path("platform.yaml"),
    domain: DomainOption = None,
    source: SourceOption = None,
    records: Annotated[
        bool, typer.Option("--records", help="Each record, without its content.")
    ] = False,
) -> None:
    """How many records are quarantined, by source, domain, week and reason."""
    with _told():
        quarantine = Quarantine(platform)
        places = quarantine.places(domain, source)
        if not records:
            _print_counts(places)
            return
        waiting: dict[tuple[str, str], frozenset[str]] = {}
        for found in quarantine.records(places):
            key = found.place.domain, found.place.kind
            if key not in waiting:
                waiting[key] = quarantine.resubmitted(*key)
            _print_record(found, found.id in waiting[key])


@app.command()
def show(
    record: RecordId,
    platform: PlatformFile = Path("platform.yaml"),
    raw: Annotated[
        bool, typer.Option("--raw", help="The row as delivered too. It is personal data.")
    ] = False,
) -> None:
    """One record: where it was delivered and why it was not taken up."""
    with _told():
        quarantine = Quarantine(platform)
        found = quarantine.record(record)
        done = record in quarantine.resubmitted(found.place.domain, found.place.kind)
        _print_record(found, done)
        if raw:
            quarantine.audit("show_quarantined", found)
            typer.echo(found.record["raw"])


@app.command()
def resubmit(
    record: RecordId,
    row: Annotated[
        Path | None,
        typer.Argument(
            help="A file with the corrected row, in the names of its feed; - is standard input. "
            "Without one the row is tried again as it was delivered."
        ),
    ] = None,
    platform: PlatformFile = Path("platform.yaml"),
) -> None:
    """Deliver a record again, corrected; from then on it counts as resubmitted."""
    from ft_assets.raw import resubmit as delivery

    with _told():
        quarantine = Quarantine(platform)
        found = quarantine.record(record)
        kind, domain = found.place.kind, found.place.domain
        if record in quarantine.resubmitted(domain, kind):
            raise QuarantineError(f"{record} was resubmitted already; take {kind} up again")
        if row is None:
            data = found.record["raw"].encode("utf-8", "surrogatepass")
        else:
            data = sys.stdin.buffer.read() if str(row) == "-" else row.read_bytes()
        fields = _read_again(quarantine, found, data)
        folder = delivery.folder_of(quarantine.settings.landing_folder, domain, kind)
        quarantine.audit("resubmit", found)
        place = delivery.land(folder, record, found.place.week, fields, datetime.now(UTC))
    typer.echo(f"{record} resubmitted as {place}")


def _read_again(quarantine: Quarantine, found: Found, data: bytes) -> dict[str, Any]:
    """The row under the names of the schema, read as its feed is read now."""
    from ft_assets.raw.delivery import Delivery, list_sources, open_delivery
    from ft_assets.raw.feed import PLAIN
    from ft_assets.raw.json_objects import parse_object
    from ft_assets.raw.quarantine import Problem
    from ft_assets.raw.schema import MODELS, read_fields
    from ft_assets.raw.sources import Line

    settings, kind, domain = quarantine.settings, found.place.kind, found.place.domain
    name, model = found.record["source_file"], MODELS[found.place.kind]
    sources = list_sources(settings.sources(domain, kind))
    source = next((source for source in sources if source.name == name), None)
    delivery = (
        open_delivery(source) if source else Delivery(name, PLAIN, False, True, lambda _: iter(()))
    )
    fields = parse_object(data.strip())
    if not isinstance(fields, Problem):
        fields = delivery.fields(Line(1, b"", None, fields), model, domain)
    if not isinstance(fields, Problem):
        unknown = delivery.feed.unknown_fields or settings.intake.unknown_fields
        fields = read_fields(fields, model, domain, datetime.now(UTC), unknown)
    if isinstance(fields, Problem):
        detail = f" ({fields.detail})" if fields.detail else ""
        raise QuarantineError(f"it would be quarantined again: {fields.reason.value}{detail}")
    return fields


def _print_counts(places: list[Place]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for head in ("source", "domain", "week", "reason"):
        table.add_column(head)
    table.add_column("records", justify="right")
    total = 0
    for place in places:
        for reason, count in sorted(place.facts.get("quarantine_counts", {}).items()):
            table.add_row(place.kind, place.domain, place.week or "-", reason, f"{count:,}")
            total += count
    table.add_row("total", "", "", "", f"{total:,}")
    Console(highlight=False, soft_wrap=True).print(table)


def _print_record(found: Found, resubmitted: bool) -> None:
    record, place = found.record, found.place
    where = f"{place.kind} {place.domain}{f' {place.week}' if place.week else ''}"
    detail = f" ({record['detail']})" if record["detail"] else ""
    done = ", resubmitted" if resubmitted else ""
    line = f"{record['source_file']}:{record['source_line']}"
    typer.echo(f"{found.id} {where} {line} {record['reason']}{detail}{done}")
