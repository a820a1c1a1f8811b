"""Records as machines write them: log lines, JSON, tables, forms; some fields are personal.

A record is some fields, each with a name in one of the spellings that systems use, in one of the
layouts below. So names of fields and layouts meet in combinations that no list of templates has.
"""

from collections.abc import Callable
from typing import NamedTuple

from ft_assets.corpus.tagger.generated.values import Piece, Pieces, Values, words

# Names of a field, and the slot of values.py that fills it.
_PERSONAL: tuple[tuple[str, str], ...] = (
    ("name|full_name|fullName|customer|customer_name|customerName|user_name|displayName|holder|"
     "account_holder|cardholder|patient|patient_name|client|employee|contact|recipient|sender|"
     "owner|author|assignee|reporter|created_by|updatedBy|agent|doctor|physician|attending|tenant|"
     "insured|beneficiary|driver|passenger|guest|billing_name|ship_to|signed_by|approver|manager|"
     "actor|requester|caller|subject_name|Kunde|Name|nombre|nom|cliente|titular|Patient|Inhaber",
     "person"),
    ("first_name|firstName|given_name|fname|vorname|prenom|nombre|first|nickname|given", "given"),
    ("last_name|lastName|surname|family_name|lname|nachname|apellido|nom|last|sn", "family"),
    ("user|username|login|uid|user_id|account|handle|principal|acct|usr|operator|sub", "username"),
    ("email|mail|e_mail|emailAddress|contact_email|from|to|rcpt", "email"),
    ("phone|tel|mobile|phone_number|msisdn|telefon|cell|fax|callback", "phone"),
    ("address|street|addr|address1|line1|shipping_address|strasse|direccion|adresse|addr_line",
     "street"),
    ("city|town|ort|ciudad|ville|locality|birth_place|location|branch", "city"),
    ("zip|postcode|postal_code|plz|cp|zipcode", "zip"),
    ("country|land|pais|pays|nation", "country"),
    ("state|province|region", "state"),
    ("company|org|organization|employer|merchant|vendor|firma|empresa|societe|account_name",
     "org"),
    ("hospital|facility|clinic|site", "hospital"),
    ("dob|birth_date|date_of_birth|birthDate|geburtsdatum|fecha_nacimiento|born", "dob"),
    ("age|alter|edad", "age"),
    ("ssn|social_security", "ssn"),
    ("iban|bank_account", "iban"),
    ("card|pan|card_number|cc", "card"),
    ("mrn|patient_id|customer_no|passport|member_id|licence|account_no|national_id|dni", "id"),
    ("ip|client|remote_addr|src|ip_address|peer", "ip"),
    ("mac|device|hw_addr", "mac"),
    ("url|website|homepage|link", "url"),
)  # fmt: skip
_OTHER: tuple[tuple[str, str], ...] = (
    ("order|order_id|ref|invoice|ticket|case|booking", "order"),
    ("amount|total|price|sum|betrag", "amount"),
    ("trace|trace_id|request_id|commit|digest|session|etag|job", "hex"),
    ("service|svc|component|app|module|logger|program|queue|topic|pool", "service"),
    ("product|item|sku_name|plan|article", "product"),
    ("role|title|job|department|position|profession", "role"),
    ("status|code|retries|qty|duration|took_ms|bytes|line|attempt|size", "number"),
    ("time|at|start", "time"),
    ("subject|reason|summary|note|tag|category", "topic"),
    ("diagnosis|condition|dx", "disease"),
    ("medication|drug|rx", "drug"),
    ("weekday|day", "weekday"),
)


class _Field(NamedTuple):
    name: str
    value: Pieces


def record(values: Values) -> Pieces:
    """One record, or a few of the same kind."""
    if values.chance(0.35):
        return _event(values)
    layout = values.random.choice(_LAYOUTS)
    return layout(values, _fields(values))


def _fields(values: Values) -> list[_Field]:
    personal = values.random.sample(_PERSONAL, values.random.randrange(1, 7))
    if values.chance(0.75) and _PERSONAL[0] not in personal:
        personal[0] = _PERSONAL[0]
    other = values.random.sample(_OTHER, values.random.randrange(0, 4))
    fields = [
        _Field(_spelled(values, names), values.of(slot)) for names, slot in (*personal, *other)
    ]
    if values.chance(0.75):
        values.random.shuffle(fields)
    return fields


def _spelled(values: Values, names: str) -> str:
    name = values.pick(names.split("|"))
    return values.random.choices(
        [
            name,
            name.upper(),
            name.replace("_", " "),
            name.replace("_", " ").title(),
            name.capitalize(),
        ],
        [60, 8, 8, 16, 8],
    )[0]


def _stamp(values: Values) -> Piece:
    r = values.random
    day, month, year = r.randrange(1, 29), r.randrange(1, 13), r.randrange(2015, 2027)
    clock = f"{r.randrange(24):02}:{r.randrange(60):02}:{r.randrange(60):02}"
    name = words()["months"][month - 1][:3]
    return Piece(
        values.pick(
            [
                f"{year}-{month:02}-{day:02}T{clock}Z",
                f"{year}-{month:02}-{day:02} {clock},{r.randrange(1000):03}",
                f"{day:02}/{name}/{year}:{clock} +0000",
                f"{name} {day:2} {clock}",
                f"{year}/{month:02}/{day:02} {clock}",
                clock,
            ]
        ),
        "_TIME",
    )


def _event(values: Values) -> Pieces:
    """A line of a log in words."""
    level = values.pick(["INFO", "WARN", "ERROR", "DEBUG", "info", "warning", "notice", "FATAL"])
    source = values.service()[0].text
    head = values.pick(
        [
            "{t} {l} [{s}] ",
            "[{t}] {l} {s}: ",
            "{t} {s}[{n}]: ",
            "{l} {t} ",
            "{s} | ",
            "",
            "{t} - {s} - {l} - ",
            "<{n}>{t} {s}: ",
            "{l}: ",
        ]
    )
    pieces: Pieces = []
    for part in _split(head):
        pieces.append(
            {
                "{t}": _stamp(values),
                "{l}": Piece(level),
                "{s}": Piece(source),
                "{n}": values.number()[0],
            }.get(part, Piece(part))
        )
    pieces += filled(values, values.word("log messages"))
    for word in values.random.sample(words()["log words"], values.random.randrange(0, 3)):
        pieces.append(Piece(" " + word))
    return pieces


def filled(values: Values, template: str) -> Pieces:
    """A template with its slots filled."""
    return [
        piece
        for part in _split(template)
        for piece in (
            values.of(part[1:-1])
            if part.startswith("{") and part[1:-1].isidentifier()
            else [Piece(part)]
        )
    ]


def _split(template: str) -> list[str]:
    parts, place = [], 0
    while (start := template.find("{", place)) >= 0:
        end = template.index("}", start) + 1
        parts += [template[place:start], template[start:end]]
        place = end
    return [part for part in [*parts, template[place:]] if part]


def _joined(fields: list[_Field], form: str, between: str) -> Pieces:
    """Fields as `form` writes them: K for the name, V for the value."""
    before, rest = form.split("K", 1)
    middle, after = rest.split("V", 1)
    pieces: Pieces = []
    for number, one in enumerate(fields):
        if number:
            pieces.append(Piece(between))
        pieces += [Piece(before + one.name + middle), *one.value, Piece(after)]
    return pieces


def _pairs(values: Values, fields: list[_Field]) -> Pieces:
    form = values.pick(["K=V", 'K="V"', "K: V", "K='V'", "K => V", "K -> V", "[K: V]", "K:V"])
    between = values.pick([" ", ", ", "; ", " | ", "\t"])
    head: Pieces = [_stamp(values), Piece(" ")] if values.chance(0.5) else []
    return [*head, *_joined(fields, form, between)]


def _json(values: Values, fields: list[_Field]) -> Pieces:
    form = values.pick(['"K":"V"', '"K": "V"', "'K': 'V'"])
    pretty = values.chance(0.3)
    between = ",\n  " if pretty else values.pick([",", ", "])
    head = values.pick(['{"msg":"ok",', "{", "{"]) if not pretty else "{\n  "
    return [Piece(head), *_joined(fields, form, between), Piece("\n}" if pretty else "}")]


def _form(values: Values, fields: list[_Field]) -> Pieces:
    form = values.pick(
        ["K: V", "K:    V", "K\tV", "- K: V", "**K**: V", "K = V", "K.... V", "K:\nV"]
    )
    return _joined(fields, form, "\n")


def _xml(values: Values, fields: list[_Field]) -> Pieces:
    between = values.pick(["", "\n"])
    pieces = [Piece("<record>" + between)]
    for one in fields:
        tag = one.name.replace(" ", "_")
        pieces += [Piece(f"<{tag}>"), *one.value, Piece(f"</{tag}>{between}")]
    return [*pieces, Piece("</record>")]


def _attributes(values: Values, fields: list[_Field]) -> Pieces:
    named = [_Field(one.name.replace(" ", "-"), one.value) for one in fields]
    return [Piece("<entry "), *_joined(named, 'K="V"', " "), Piece("/>")]


def _rows(values: Values, fields: list[_Field]) -> Pieces:
    """A table: a line of names, then some lines of values."""
    between = values.pick([",", ", ", ";", "\t", " | ", "|"])
    slots = [*_PERSONAL, *_OTHER]
    kinds = values.random.sample(slots, values.random.randrange(2, 6))
    pieces: Pieces = []
    if values.chance(0.8):
        pieces.append(Piece(between.join(_spelled(values, names) for names, _ in kinds) + "\n"))
    for line in range(values.random.randrange(1, 4)):
        if line:
            pieces.append(Piece("\n"))
        for number, (_, slot) in enumerate(kinds):
            if number:
                pieces.append(Piece(between))
            pieces += values.of(slot)
    return pieces


def _sql(values: Values, fields: list[_Field]) -> Pieces:
    table = values.pick(["users", "customers", "patients", "orders", "accounts"])
    if values.chance(0.4):
        which = _joined(fields[:1], "K = 'V'", "")
        rest = _joined(fields[1:] or fields, "K = 'V'", ", ")
        return [Piece(f"UPDATE {table} SET "), *rest, Piece(" WHERE "), *which, Piece(";")]
    names = ", ".join(one.name.replace(" ", "_") for one in fields)
    pieces = [Piece(f"INSERT INTO {table} ({names}) VALUES (")]
    for number, one in enumerate(fields):
        pieces += [Piece(", '" if number else "'"), *one.value, Piece("'")]
    return [*pieces, Piece(");")]


def _query(values: Values, fields: list[_Field]) -> Pieces:
    named = [
        _Field(
            one.name.replace(" ", "_"), [Piece(p.text.replace(" ", "+"), p.type) for p in one.value]
        )
        for one in fields
    ]
    return [Piece("/search?"), *_joined(named, "K=V", "&")]


def _segments(values: Values, fields: list[_Field]) -> Pieces:
    """HL7-like: values between pipes, parts of them between carets."""
    pieces = [Piece(values.pick(["PID|1||", "NK1|1|", "OBR|", "PV1||"]))]
    pieces += [*values.id(), Piece("^^^MR||"), *values.family(), Piece("^"), *values.given()]
    pieces += [Piece("||"), *values.dob(), Piece(values.pick(["|M|||", "|F|||"])), *values.street()]
    pieces += [
        Piece("^^"),
        *values.city(),
        Piece("^^"),
        *values.zip(),
        Piece("||"),
        *values.phone(),
    ]
    return pieces


_LAYOUTS: tuple[Callable[[Values, list[_Field]], Pieces], ...] = (
    _pairs, _pairs, _pairs, _json, _json, _json, _form, _form, _xml, _attributes, _rows, _rows,
    _sql, _query, _segments,
)  # fmt: skip
