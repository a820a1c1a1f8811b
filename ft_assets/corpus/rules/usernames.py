"""Names of accounts: beside a key, in a path, in the phrases of system logs, after "@"."""

import re

from ft_assets.corpus import vocabulary as words
from ft_assets.corpus.rules.rule import EDGE, Before, Family, Found, Rule, window

_USERNAME_KEY = (
    rf"""(?i)(?:{EDGE}(?:{words.USERNAME})|\x10)(?:["']?[ \t]{{0,2}}(?:=>|=|"""
    rf""":)[ \t]{{0,4}}["'@]?|>)"""
)
_USERNAME_PATH = (
    r"(?i)(?:^|[\s\"'=:(,\[>])(?:file://)?(?:[a-z]:)?(?:[/\\]{1,2}(?:home|users|"
    r"documents and settings)[/\\]{1,2}|/~)"
    r"|(?-i:(?:^|[A-Za-z.,:;] |[\n(\x01])/?u/)"
)
_USERNAME_PATH_VALUE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{1,40}(?=[/\\\s:\"',;)\]]|$)")
_USERNAME_DOMAIN = r"\b[A-Z][A-Z0-9-]{1,14}\\{1,2}[A-Za-z][A-Za-z0-9._-]{1,30}"
_USERNAME_DOMAIN_INSIDE = re.compile(r"[^\\]+\\+([A-Za-z0-9._-]+)")
_USERNAME_UID = r"\b(?:uid|euid|gid)=[0-9]{1,10}\([A-Za-z][A-Za-z0-9._-]{1,31}\)"
_USERNAME_UID_INSIDE = re.compile(r"[^(]+\(([^)]+)")
_USERNAME_SUDO = r"\bsudo(?:\[[0-9]+\])?: {1,8}[a-z_][a-z0-9._-]{1,31} : (?:TTY|PWD|USER|command)"
_USERNAME_SUDO_INSIDE = re.compile(r"[^:]+: +(\S+)")
_USERNAME_AT_HOST = r"'[A-Za-z0-9._-]{2,32}'@'[A-Za-z0-9.%_-]{1,60}'"
_USERNAME_AT_HOST_INSIDE = re.compile(r"'([^']+)")
_DISCORD = r"\b[A-Za-z0-9_.]{2,32}#[0-9]{4}\b"
_DISCORD_WORD = Before(r"discord[^\n]{0,20}")
_USERNAME_SAID = (
    r"(?i)\b(?:user[ ]?name|login|screen name|(?:\w{2,9} )?handle|gamertag|"
    r"benutzername|nutzername|nom d'utilisateur|"
    r"identifiant|pseudo|nombre de usuario|usuario|nome utente)[ ]{1,2}(?:is|was|"
    r"ist|lautet|est|es|e)[ ]['\"@]?"
    r"|(?i)\b(?:ig|insta(?:gram)?|twitter|skype|discord|telegram|snap(?:chat)?|"
    r"tiktok|psn|xbox)(?: ?(?:id|handle|name|user|"
    r"account|tag)){1,2}:? ['\"@]?"
)
_USERNAME_LOG = (
    r"(?i)\b(?:(?:failed password for )?invalid user|failed password for|"
    r"accepted (?:password|publickey) for|session (?:opened|closed) for user|"
    r"authentication (?:failure|failed) for(?: user)?|logged in as|log-?in (?:by|"
    r"from|of|for)(?: user)?|su: \(to [a-z]+\)) ['\"]?"
)
_USERNAME_VALUE = re.compile(r"(?:live:)?[A-Za-z0-9][A-Za-z0-9._@\\-]{1,63}")
_USERNAME_ACTS = (
    r"\b(?:User|user|USER) ['\"]?[A-Za-z0-9][A-Za-z0-9._-]{1,40}['\"]? (?:has |was |"
    r"is )?(?:logged|updated|created|deleted|changed|"
    r"failed|authenticated|signed|uploaded|downloaded|requested|accessed|added|"
    r"removed|reset|locked|unlocked|"
    r"connected|disconnected|opened|closed|joined|left|modified|performed|executed|"
    r"submitted|approved|"
    r"rejected|exported|imported|viewed|edited|registered|granted|revoked|denied|"
    r"started|stopped|from)\b"
)
_USERNAME_ACTOR = re.compile(r"[Uu](?:ser|SER) ['\"]?([A-Za-z0-9][A-Za-z0-9._-]{1,40})")
_USERNAME_CLF = r"[0-9a-fA-F:.]{3,39} - [A-Za-z0-9][A-Za-z0-9._@-]{1,40} \["
_USERNAME_CLIENT = re.compile(r"[0-9a-fA-F:.]+ - (\S+)")
_HANDLE = r"(?:^|[\s(\[{\"'.,;:!?\x01\x02*|>/-])@[A-Za-z0-9_]{2,30}(?:\.[A-Za-z0-9_]{2,30}){0,2}"
_HANDLE_INSIDE = re.compile(r"[^@]?(@[\w.]+)")
_NOT_USERNAMES = re.compile(words.NOT_USERNAMES)
_NOT_HANDLES = re.compile(words.NOT_HANDLES)
_speaker = Before(
    r"(?:[^a-z_\"'-]|^)(?:user|usr|nutzer|benutzer|usuario|utente|utilisateur|actor|player|"
    r"instagram|insta|twitter|telegram|slack|skype|discord|snapchat|line id|"
    r"login|log in|account name):\s{1,4}"
)
# A field of a log line or the end of it: "login: jdoe | ok", but not "login: please enter".
_FIELD_ENDS = re.compile(r"[\"']?(?:$|\n|[,;|)\]}<&]|[ \t]+(?:\||[A-Za-z_.]{2,20}=))")


def _username(shadow: str, start: int, end: int) -> Found:
    while end > start and shadow[end - 1] in ".-@\\":
        end -= 1
    value = shadow[start:end].lower()
    # "User: Hello" is a chat; "user: h.ello7" and "user=hello" are not.
    if _speaker(shadow, start) and not re.search(r"[\d._@\\-]", value):
        word = window(shadow, start, 20)
        named = re.search(
            r"(?:login|log in|account name|actor|skype|discord|line id|"
            r"de usuario|utilisateur):\s+$",
            word,
        )
        if not (named and shadow[start].islower() and _FIELD_ENDS.match(shadow, end, end + 30)):
            return None
    plain = value.isalpha() and shadow[end : end + 6] == " from "
    if (
        plain
        and window(shadow, start, 13).endswith("user ")
        and not window(shadow, start, 13).endswith("invalid user ")
    ):
        return None
    return (
        None
        if _NOT_USERNAMES.fullmatch(value) or value.isdigit() or len(value) < 2
        else (start, end)
    )


def _login(shadow: str, start: int, end: int) -> Found:
    """A name in a path or beside a domain: system accounts are nobody's."""
    value = shadow[start:end].lower().rstrip(".-")
    system = _NOT_USERNAMES.fullmatch(value) or value in (
        "runner",
        "ubuntu",
        "node",
        "app",
        "shared",
    )
    return None if system or len(value) < 2 else (start, start + len(value))


def _discord(shadow: str, start: int, end: int) -> Found:
    return (start, end) if _DISCORD_WORD(shadow, start) else None


def _handle(shadow: str, start: int, end: int) -> Found:
    while shadow[end - 1] == ".":
        end -= 1
    dot = shadow.find(".", start, end)
    # "@example.com" and "@angular.module" are not two words of a name; "@jane.doe" is.
    if dot >= 0 and re.fullmatch(words.COMMON_TLDS, shadow[end - 3 : end].split(".")[-1]):
        return None
    if _NOT_HANDLES.fullmatch(shadow[start + 1 : end].lower()) or shadow[start + 1 : end].isdigit():
        return None
    after = shadow[end : end + 1]
    if (after and after in "(/@-=") or (after == "." and shadow[end + 1 : end + 2].islower()):
        return None
    return start, end


HANDLES = (Rule("USERNAME", _HANDLE, _handle, 12, _HANDLE_INSIDE, trigger="@[A-Za-z0-9_]{2}"),)
ACCOUNTS = Family(
    (
        Rule("USERNAME", _USERNAME_KEY, _username, 11, _USERNAME_VALUE),
        Rule("USERNAME", _USERNAME_SAID, _username, 11, _USERNAME_VALUE),
        Rule("USERNAME", _USERNAME_LOG, _username, 11, _USERNAME_VALUE),
        Rule(
            "USERNAME",
            _USERNAME_ACTS,
            _username,
            11,
            _USERNAME_ACTOR,
            trigger=r"\b(?:User|user|USER) ['\"]?[A-Za-z0-9]",
        ),
        Rule(
            "USERNAME",
            _USERNAME_CLF,
            _username,
            11,
            _USERNAME_CLIENT,
            trigger="[0-9a-fA-F] - [A-Za-z0-9]",
        ),
        Rule("USERNAME", _USERNAME_PATH, _login, 11, _USERNAME_PATH_VALUE),
        Rule(
            "USERNAME",
            _USERNAME_DOMAIN,
            _login,
            11,
            _USERNAME_DOMAIN_INSIDE,
            trigger=r"[A-Z0-9]\\[\\A-Za-z]",
        ),
        Rule("USERNAME", _USERNAME_UID, _login, 11, _USERNAME_UID_INSIDE),
        Rule("USERNAME", _USERNAME_SUDO, _login, 11, _USERNAME_SUDO_INSIDE),
        Rule(
            "USERNAME",
            _USERNAME_AT_HOST,
            _login,
            11,
            _USERNAME_AT_HOST_INSIDE,
            trigger="'@'",
        ),
        Rule("USERNAME", _DISCORD, _discord, 11, trigger="[A-Za-z0-9_.]#[0-9]{4}"),
    ),
)
