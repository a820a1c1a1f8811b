"""Texts that teach nothing: fillers, canned refusals, automatic replies.

A refusal is canned when nothing else is left of the answer: "I'm sorry, I can't change the date,
but you can cancel until noon" is an answer. "None." is one too, to a question about allergies.
"""

import re

_FILLERS = frozenset(
    {"na", "n a", "null", "nan", "nil", "undefined", "tbd", "todo", "tba", "xxx", "no answer",
     "no response", "empty", "blank", "lorem ipsum", "object object", "placeholder", "deleted",
     "removed"}
)  # fmt: skip
_PLACEHOLDER = re.compile(r"<[A-Z]+(?:_[A-Z]+)*_\d+>")
_WORDS = re.compile(r"[^\W_]+")
_SYMBOL = re.compile(r"[\U0001f300-\U0001faff\u2600-\u27bf]")  # a thumb is an answer
_SENTENCE = re.compile("[^.!?\u3002\uff01\uff1f\n]+[.!?\u3002\uff01\uff1f\n]*")
MAX_REFUSAL_CHARS = 400
REST_CHARS = 25  # of a canned answer: a greeting, a signature

_CANNOT = (
    r"(?:ca(?:n'?|nn?o)t|can not|am not able to|'?m not able to"
    r"|(?:am|'m) unable to|won'?t|will not|could not|couldn'?t)"
)
_REFUSALS = re.compile(
    "|".join(
        (
            rf"\bi(?:'m| am)? ?(?:really |very |so )?(?:sorry|afraid)?\b.{{0,40}}\bi "
            rf"?{_CANNOT} (?:be able to )?(?:help|assist|answer|comply|fulfil|fulfill|provide|"
            r"do that|respond|discuss|process|complete|support|engage|continue|generate|"
            r"create)",
            rf"\bi ?{_CANNOT} (?:help|assist|answer|comply|fulfil|fulfill|respond|provide "
            r"that|do that|discuss that|complete)",
            r"\bas an? (?:ai|artificial intelligence|language model|virtual assistant|"
            r"chatbot)\b.{0,80}\b(?:can|am|do|have)(?:no|n'?| ?no)t\b",
            r"\b(?:i|we) (?:do not|don't|did not|didn't) (?:have|find) (?:enough|sufficient|"
            r"the|any|access to)\b.{0,30}\b(?:information|data|context|details|knowledge)",
            r"\bi (?:do not|don't|did not|didn't) (?:know|understand)(?: (?:the answer|that|"
            r"your (?:question|request)|what you mean|how to (?:answer|help).{0,20}))?[.!]",
            r"\b(?:something|things) went wrong\b|\b(?:an|unexpected|internal|unknown)(?: "
            r"unexpected| internal| unknown)? (?:server )?error "
            r"(?:has )?(?:occurred|happened)(?=[.!]|$)",
            r"\b(?:please )?(?:try again|come back) (?:later|in a (?:few|moment|while))|"
            r"\b(?:service|system|server|request) (?:is )?(?:temporarily |currently "
            r")?(?:unavailable|timed out|failed)",
            r"\b(?:this|that|your) (?:request|question|content|topic)\b.{0,30}\b(?:cannot|"
            r"can't|can not) be (?:answered|processed|completed|fulfilled)|\bviolates? (?:our|"
            r"the) (?:content |usage )?polic",
            # German, French, Spanish, Italian, Portuguese, Dutch
            r"\b(?:es )?tut mir leid\b.{0,60}\b(?:kann|könnte|darf|weiß)\b.{0,60}\bnicht\b|"
            r"\b(?:dabei|damit|hierbei) kann ich (?:ihnen |dir )?(?:leider )?nicht (?:helfen|"
            r"weiterhelfen)",
            r"\b(?:désolée?|navrée?|excusez-moi)\b.{0,60}\bje ne (?:peux|sais|"
            r"suis)\b.{0,40}\b(?:pas|aider)|\bje ne peux pas (?:vous |t')?(?:aider|répondre)",
            r"\blo siento\b.{0,60}\bno (?:puedo|sé|tengo)|\bno puedo (?:ayudar|responder)",
            r"\bmi dispiace\b.{0,60}\bnon (?:posso|so|sono)|\bnon posso (?:aiutar|risponder)",
            r"\b(?:desculpe|lamento|sinto muito)\b.{0,60}\bnão (?:posso|consigo|sei)|\bnão "
            r"posso (?:ajudar|responder)",
            r"\bhet spijt me\b.{0,60}\bniet\b|\bhelaas kan ik\b.{0,40}\bniet (?:helpen|"
            r"beantwoorden)",
        )
    ),
    re.IGNORECASE,
)  # fmt: skip
_BOILERPLATE = re.compile(
    "|".join(
        (
            r"\bthis is an? (?:automated|automatic|auto-generated|system.generated)\b|"
            r"\bautomatic(?:ally)? (?:reply|generated)\b",
            r"\b(?:please )?do not reply (?:directly )?to this (?:e-?mail|message)\b|"
            r"\bunmonitored (?:mailbox|inbox|address)",
            r"\bout of (?:the )?office\b.{0,60}\b(?:until|from|return|back|reply)\b",
            r"\b(?:we|this (?:web)?site) uses? cookies\b|\baccept (?:all )?cookies\b",
            r"\bunsubscribe (?:here|from this|at any time)|\ball rights reserved\b|"
            r"\bcopyright (?:©|\(c\))",
            r"\byour (?:call|message|feedback|opinion) is (?:very )?important to us\b|"
            r"\bticket (?:number )?\S{1,20} has been (?:created|received|opened)",
            r"\bthe information (?:contained )?in this (?:e-?mail|message|communication) "
            r"(?:is|may be) confidential",
            r"\b(?:dies ist eine automatische|ceci est un message automatique|este es un "
            r"mensaje automático|questo è un messaggio automatico|esta é uma mensagem "
            r"automática)",
            r"\benable javascript\b|\bpage not found\b|\b404 (?:error|not found)\b",
        )
    ),
    re.IGNORECASE,
)  # fmt: skip


def is_empty(text: str) -> bool:
    """Whether there is nothing to read: no letter or digit besides placeholders of what was masked,
    or a filler instead of a text."""
    words = _WORDS.findall(_PLACEHOLDER.sub(" ", text))
    if not words:
        return not _SYMBOL.search(text)
    return len(text) < 30 and " ".join(words).casefold() in _FILLERS


def refusal(answer: str) -> float:
    """Share, 0 to 1, of a short answer that is a canned refusal; 0 when more is left of it."""
    return _canned(answer, _REFUSALS)


def boilerplate(answer: str) -> float:
    """Share, 0 to 1, of an answer that a mail server or web page added by itself."""
    return _canned(answer, _BOILERPLATE, limit=1_500)


def _canned(answer: str, pattern: re.Pattern[str], limit: int = MAX_REFUSAL_CHARS) -> float:
    answer = answer.replace("\u2019", "'").strip()
    if not answer or len(answer) > limit or not pattern.search(answer):
        return 0.0
    if limit == MAX_REFUSAL_CHARS:
        sentences = _SENTENCE.findall(answer)
        rest = [s for s in sentences if not pattern.search(s) and not _is_courtesy(s)]
        left = sum(len(s.strip()) for s in rest)
        return 1.0 if left <= REST_CHARS else 0.0
    sentences = _SENTENCE.findall(answer)
    canned = sum(len(s) for s in sentences if pattern.search(s))
    return canned / len(answer)


_COURTESY = re.compile(
    r"^\W*(?:(?:i am|i'm|we are|we're) )?(?:so |very |really )?(?:sorry|apologi[sz]e|"
    r"apologies|unfortunately|thank|thanks|hello|hi|dear|"
    r"please (?:contact|try|rephrase|ask|reach)|is there anything else|let me know|how else|"
    r"can i help|"
    r"could you (?:please )?(?:rephrase|provide|clarify))",
    re.IGNORECASE,
)  # fmt: skip


def _is_courtesy(sentence: str) -> bool:
    return len(sentence) < 160 and bool(_COURTESY.search(sentence))
