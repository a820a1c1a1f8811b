"""Streets with a house number, post boxes, postcodes and coordinates."""

import re

from ft_assets.corpus.rules.rule import Before, Family, Found, Rule, as_it_is

_CAP = r"(?:[A-Z0-9][A-Za-z0-9'.-]{0,25})"
_STREET_WORDS_EN = (
    "Street|St|Avenue|Ave|Av|Boulevard|Blvd|Road|Rd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Way|Terrace|"
    "Ter|Highway|Hwy|Parkway|Pkwy|Square|Sq|Crescent|Close|Circle|Cir|Trail|Alley|"
    "Row|Gardens|Grove|"
    "Hill|Mews|Plaza|Loop|Pike|Park"
)
_STREET_WORDS_FR = (
    r"rue|avenue|av\.?|boulevard|bd\.?|blvd|place|chemin|allee|impasse|quai|cours|route|passage|"
    "square|sentier|faubourg|residence"
)
_STREET_WORDS_ES = (
    r"calle|c/|avda\.?|avenida|av[./]|plaza|pza\.?|plza\.?|paseo|camino|carretera|ctra\.?|ronda|"
    r"travesia|urbanizacion|urb\.|glorieta|viale|via|corso|piazza|vicolo|largo|"
    r"rua|travessa|alameda|praca"
)
_STREET_DE_TRIGGER = (
    r"(?i)(?:strasse|strase|straase|str\.?|weg|platz|allee|gasse|damm|ufer|chaussee|"
    r"steig|pfad|ring|"
    r"promenade) [0-9]|\b(?:am|an der|an den|auf der|im|in der|unter den|zum|"
    r"zur) [a-z-]+ (?:[a-z-]+ )?[0-9]"
)
_UNIT = (
    r"(?:(?:Flat|Unit|Apt|Apartment|Suite|Shop|Level|"
    r"Room)\.?[ ]#?[A-Za-z0-9]{1,5}(?:,[ ]?|[ ]?/[ ]?|[ ]))?"
)
_STREET_EN = (
    rf"\b{_UNIT}[0-9]{{1,6}}(?:[-/][0-9]{{1,4}})?[A-Za-z]?,?[ ](?:(?:N|S|E|W|NE|"
    rf"NW|SE|SW|North|South|East|"
    rf"West)\.?[ ])?(?:{_CAP}[ ]){{1,4}}"
    rf"(?:{_STREET_WORDS_EN})\b\.?(?:[ ](?:N|S|E|W|NE|NW|SE|SW)\b\.?|[ ][0-9]{{1,4}}\b)?"
    r"(?:,?[ ](?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Fl|Room|Rm|#)\.?[ ]?#?[A-Za-z0-9-]{1,6})?"
    rf"(?:,[ ](?:{_CAP}[ ]?){{1,3}}(?:,?[ ][A-Z]{{2}}\b)(?:[ ][0-9]{{5}}(?:-[0-9]{{4}})?)?)?"
)
# In one case throughout only the full words: "123 main street", "123 MAIN STREET".
_STREET_CASED = (
    r"\b[0-9]{1,5} (?:[a-z]{3,20} ){1,2}(?:street|avenue|boulevard|lane|road)\b"
    r"|\b[0-9]{1,5}[A-Z]? (?:[A-Z]{1,20}\.? ){1,3}(?:STREET|ST|AVENUE|AVE|"
    r"BOULEVARD|BLVD|ROAD|RD|LANE|LN|"
    r"DRIVE|DR|COURT|CT|WAY|TERRACE|PLACE|CLOSE|SQUARE)\b"
)
# The rest of Europe: the street before its number.
_STREET_SUFFIXED = (
    r"\b[A-Z][a-z'-]{2,25}(?:straat|laan|gracht|kade|singel|plein|dijk|gatan|"
    r"vagen|gata|veien|vej|gade|allen|gaten|"
    r"katu|tie|torget|"
    r"stien)[ ][0-9]{1,4}(?:[ -]?[A-Za-z]\b)?(?:,?[ ][0-9]{1,2}\.?[ ](?:tv|th|"
    r"mf|og|sal)\b\.?)?"
    r"|\b(?:[Uu]l|[Aa]l|[Pp]l|[Oo]s|[Pp]rosp|[Pp]er|"
    r"[Nn]ab)\.[ ](?:[A-Z][A-Za-z.'-]{1,25}[ ,]{1,2}){1,4}(?:[Dd]\.[ ]?|"
    r"[Bb]ud\.[ ]?)?"
    r"[0-9]{1,4}[a-zA-Z]?(?:[/-][0-9]{1,4})?(?:,?[ ](?:kv|k|m|lok|of)\.?[ ]?[0-9]{1,4})?"
    r"|\b[A-Z][a-z]{2,20} (?:utca|ut|ter|korut|sokak|caddesi|cd\.|sk\.|mah\.|"
    r"ulica|cesta|trg|bulvar\w{0,3})(?:[ ]No:?)?[ ][0-9]{1,4}\b"
)
# A value in quotes or in an element that the name says to be an address.
_STREET_KEY = (
    r"(?i)[\"'<](?:\w{1,20}[_-])?(?:street|address|addr|anschrift|adresse|"
    r"direccion|domicilio|indirizzo|endereco|strasse|calle|rue)"
    r"(?:[_-]?(?:line)?_?[1-3])?(?:[\"']\s{0,2}(?:=>|[:=])\s{0,2}[\"']|>)"
)
_STREET_KEY_VALUE = re.compile(r"[^\"'<>\n@]{0,80}?\d[^\"'<>\n@]{0,80}")
_STREET_DE = (
    rf"\b(?:{_CAP}[ ])?[A-Z][A-Za-z-]{{1,30}}(?:strasse|strase|straase|str\.?|weg|"
    rf"platz|allee|gasse|damm|ufer|chaussee|steig|pfad|"
    rf"promenade)[ ][0-9]{{1,4}}[ ]?[a-z]?\b(?:[ ]?[-/+][ ]?[0-9]{{1,4}}[a-z]?\b)?"
    rf"|\b(?:{_CAP}[ -]){{1,3}}(?:Strasse|Strase|Str\.?|Weg|Platz|Allee|Gasse|Damm|"
    rf"Ufer|Ring)[ ][0-9]{{1,4}}[ ]?[a-z]?\b"
    r"|\b(?:Am|An der|An den|Auf der|Im|In der|Unter den|Zum|"
    r"Zur)[ ](?:[A-Z][A-Za-z-]{2,25}[ ]){1,2}[0-9]{1,4}[a-z]?\b"
)
_NAME_WORDS = (
    r"(?:(?i:de|du|des|dei|degli|delle|del|la|las|los|le|les|el|y|e|da|das|do|dos|"
    r"d'|l'|di|della)[ ]?){0,3}"
)
_STREET_FR = (
    rf"\b[0-9]{{1,4}}[ ]?(?:bis\b|ter\b|quater\b|"
    rf"[a-d]\b)?,?[ ](?i:{_STREET_WORDS_FR})[ ](?"
    rf":{_NAME_WORDS}[A-Z0-9'][A-Za-z0-9'.-]{{1,25}}[ ]?){{1,4}}"
)
_STREET_ES = (
    rf"\b(?i:{_STREET_WORDS_ES})[ ]?(?:{_NAME_WORDS}[A-Z][A-Za-z0-9'.-]{{0,25}}[ "
    rf",]{{0,2}}){{1,5}}(?:n[o.]{{0,2}}[ ]?)?(?:[0-9]{{1,4}}\b|"
    rf"s/n)(?:[ ]?/?[A-D]\b)?(?:,?[ ]?[0-9]{{1,2}}[ ]?o?[.]?[ ]?(?:[A-H]|(?i:izq|der|"
    rf"dcha)[a-z]{{0,6}})?\b(?:,[ ]?[A-Z]\b)?)?"
)
_PO_BOX = (
    r"(?i)\b(?:p\.?[ ]?o\.?[ ]?box|post ?box|postfach|boite postale|b\.p\.|"
    r"apartado (?:de correos|postal)|caixa postal|postbus|postboks|"
    r"skrytka pocztowa|casella postale|"
    r"rr ?[0-9]{1,3},? box|rural route [0-9]{1,3},? box)[ ]#?[0-9]{1,6}(?: [0-9]{2}){0,2}\b"
)
_ZIP_WORD = (
    r"(?i)\b(?:zip(?:[ _-]?code)?|post(?:al)?[ _-]?code|postleitzahl|plz|"
    r"code postal|codigo postal|c\.?p\.?|cap|cep|postnummer|pin[ _-]?code|kod pocztowy|psc|"
    r"postinumero|iranyitoszam|posta kodu|indeks|pocztow\w{1,3}|kodepos|eircode)"
    r"""[\s"':=>.-]{1,5}"""
    r"|\x06[\s\x01\x02:.-]{0,3}"
)
_ZIP_VALUE = re.compile(
    r"(?:\d{2}[- ]\d{3}(?!\d)|\d{3}[ -]\d{2}(?!\d)|\d{3}-\d{4}|\d{5}-?\d{3}|"
    r"\d{6}|\d{4}[ ]?[A-Z]{2}|"
    r"\d{4,5}(?:-\d{3,4})?|[A-Z]\d{2}[ ]?[A-Z0-9]{4}|"
    r"(?i:[A-Z]{1,2}\d[A-Z0-9]?[ ]?\d[A-Z]{2})|"
    r"[A-Z]{1,2}\d[A-Z0-9]?[ ]?\d[A-Z]{2}|"
    r"[A-Z]\d[A-Z][ ]?\d[A-Z]\d|\d{4}[ ]?[A-Z]{2})\b"
)
_ZIP_UK = (
    r"\b(?:[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][ABD-HJLNP-UW-Z]{2}|"
    r"[ABCEGHJ-NPRSTVXY][0-9][A-Z] [0-9][A-Z][0-9])\b"
)
# Letter of the country before it: "D-10115 Berlin".
_ZIP_COUNTRY = (
    r"\b(?:D|A|CH|F|I|B|L|NL|DK|S|SE|N|FI|FIN|E|PL|CZ|SK|LT|LV|LU)-[0-9]{4,5} [A-Z][a-z]{2}"
)
_ZIP_COUNTRY_INSIDE = re.compile(r"[A-Z]+-([0-9]+)")
_ZIP_US = (
    r"\b(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|"
    r"O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]) [0-9]{5}(?:-[0-9]{4})?\b"
)
_ZIP_INSIDE = re.compile(r"[A-Z]{2} ([0-9-]+)")
# After a street: "12 rue de la Paix, 75002 Paris".
_ZIP_TOWN = re.compile(r"[ ,\n]{1,3}((?:[A-Z]{1,2}-)?\d{4,5}(?:[ ][A-Z]{2})?)\b(?=[ ]+[A-Z])")


def street_zip(shadow: str, end: int) -> Found:
    zipcode = _ZIP_TOWN.match(shadow, end, end + 14 + 2)
    return (zipcode.start(1), zipcode.end(1)) if zipcode else None


def _street(shadow: str, start: int, end: int) -> Found:
    while end > start and shadow[end - 1] in " ,.'":
        end -= 1
    if shadow[start - 1 : start] in (".", "-", "/", "$", ",") and start:
        return None
    return start, end


_NO_STREET = re.compile(r" (?:the|and|per|hour|mile|minute|year|day|lane|way|new|of|from|for)s? ")


def _street_cased(shadow: str, start: int, end: int) -> Found:
    """ "3 lane road", "2 way street" and "20 years on the road" are not addresses."""
    return None if _NO_STREET.search(shadow[start:end].lower()) else _street(shadow, start, end)


_DEGREES = r"-?[0-9]{1,3}\.[0-9]{3,12}"
_COORDINATE_WORD = (
    r"(?i)(?:^|[^a-z])(?:lat(?:itude)?|lon(?:gitude)?|lng|breitengrad|langengrad|"
    r"latitud|longitud)[\"']?\s{0,2}[=:>]{1,2}\s{0,2}[\"']?"
)
_COORDINATE_VALUE = re.compile(r"-?\d{1,3}\.\d{2,15}")
_COORDINATE_PAIR = (
    rf"{_DEGREES} ?o? ?[NSns]?[,; ]{{1,2}}{_DEGREES} ?(?:o ?)?[EWewOo]?\b"
    r"|\b[0-9]{1,2} ?o ?[0-9]{1,2} ?['\x01] ?[0-9]{1,2}(?:\.[0-9]{1,4})? ?(?:\"|'') ?[NS][, ]{1,2}"
    r"[0-9]{1,3} ?o ?[0-9]{1,2} ?['\x01] ?[0-9]{1,2}(?:\.[0-9]{1,4})? ?(?:\"|'') ?[EWO]\b"
)
_coordinate_word = Before(
    r"(?:gps|geo|coord\w{0,7}|koordinat\w{0,3}|lat ?/ ?(?:lon|lng)|lat_?lon|"
    r"lat_?lng|location|position|@|ll=|q=|\bat)[\s\"':=(\[\x01]{0,4}"
)


def _coordinates(shadow: str, start: int, end: int) -> Found:
    value = shadow[start:end]
    hemispheres = re.search(r"[NS]\b.*[EWO]$", value)
    if not hemispheres and not (_coordinate_word(shadow, start) and "." in value):
        return None
    if not hemispheres and not all(len(n) > 3 for n in re.findall(r"\.(\d+)", value)):
        return None
    return start, end


PLACES = Family(
    (
        Rule("STREET_ADDRESS", _COORDINATE_WORD, as_it_is, 9, _COORDINATE_VALUE),
        Rule(
            "STREET_ADDRESS",
            _COORDINATE_PAIR,
            _coordinates,
            8,
            trigger=r"[0-9]\.[0-9]{3}[0-9NSns o]*[,; ]|(?:\"|'') ?[NS]",
        ),
        Rule(
            "STREET_ADDRESS",
            _STREET_EN,
            _street,
            9,
            trigger=rf"[0-9A-Za-z'.-] (?:{_STREET_WORDS_EN})\b",
        ),
        Rule("STREET_ADDRESS", _STREET_CASED, _street_cased, 9),
        Rule(
            "STREET_ADDRESS",
            _STREET_SUFFIXED,
            _street,
            9,
            trigger=r"(?:straat|laan|gracht|kade|singel|plein|dijk|gatan|vagen|gata|veien|"
            r"vej|gade|allen|gaten|katu|tie|torget|stien|"
            r"utca|ut|ter|korut|sokak|caddesi|cd\.|sk\.|mah\.|ulica|cesta|trg|"
            r"No:?) [0-9]|bulvar|\b[A-Za-z][a-z]{1,4}\. [A-Z]",
        ),
        Rule("STREET_ADDRESS", _STREET_KEY, as_it_is, 10, _STREET_KEY_VALUE),
        Rule("STREET_ADDRESS", _STREET_DE, _street, 9, trigger=_STREET_DE_TRIGGER),
        Rule(
            "STREET_ADDRESS",
            _STREET_FR,
            _street,
            9,
            trigger=rf"(?i)[0-9a-drs],? (?:{_STREET_WORDS_FR}) ",
        ),
        Rule(
            "STREET_ADDRESS",
            _STREET_ES,
            _street,
            9,
            trigger=rf"\b(?i:{_STREET_WORDS_ES})[ ]?[A-Zadel]",
        ),
        Rule("STREET_ADDRESS", _PO_BOX, as_it_is, 9),
        Rule("ZIP", _ZIP_WORD, as_it_is, 9, _ZIP_VALUE),
        Rule("ZIP", _ZIP_UK, as_it_is, 10),
        Rule("ZIP", _ZIP_COUNTRY, as_it_is, 10, _ZIP_COUNTRY_INSIDE),
        Rule("ZIP", _ZIP_US, as_it_is, 10, _ZIP_INSIDE),
    ),
    after=400,
)
