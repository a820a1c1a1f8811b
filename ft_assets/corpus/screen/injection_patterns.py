"""Signs of a text that gives orders to the model instead of asking it something.

One expression per sign, matched by RE2 on folded text (lower case, straight quotes, one space
between words). A weight of 1 is enough by itself; weaker signs must meet another one. `.` spans are
bounded, so a sign is one clause and not two words of a page. Adding a sign: an entry here, hits and
near misses in tests/corpus/screen/test_injection.py.
"""

from typing import NamedTuple


class Sign(NamedTuple):
    name: str
    weight: float
    pattern: str


_ORDERS = (
    r"(?:instructions?|prompts?|guidelines?|directions|directives?|commands?|rules|programming|"
    r"training|guardrails?|polic(?:y|ies)|constraints?|restrictions?|system messages?)"
)
_EARLIER = (
    r"(?:previous|prior|above|earlier|preceding|foregoing|original|initial|existing|all|any|every|"
    r"your|these|those|the|system|developer|safety|past|former|other|current)"
)
_MODEL = (
    r"(?:ai|a\.i\.|llm|assistant|language model|chat ?bot|chatgpt|gpt(?:-?\d\w*)?|claude|gemini|"
    r"copilot|ai agent|bot|summari[sz]er)"
)
_PEOPLE = r"(?:users?|customers?|clients?|patients?|employees?|accounts?|members?|staff|people)"
_SECRETS = (
    r"(?:e-?mails?|e-?mail addresses|passwords?|databases?|records?|credentials?|addresses|"
    r"phone numbers|api[ _-]?keys?|secrets?|private keys?|tokens?|card numbers?|credit cards?|"
    r"ssns?|"
    r"social security numbers?|personal (?:data|information)|data|details)"
)
_UNBOUND = (
    r"(?:unrestricted|unfiltered|uncensored|unlimited|unbound|jailbroken|unaligned|amoral|evil|"
    r"unethical|lawless|rogue)"
)

ENGLISH_SIGNS = (
    # Overriding what the model was told
    Sign(
        "override",
        1.0,
        r"\b(?:ignore|disregard|forget|discard|override|overrule|overwrite|dismiss|neglect|"
        rf"(?:pay|give) no (?:attention|heed) to) (?:\w+ ){{0,3}}{_EARLIER} (?:\w+ "
        rf"){{0,3}}{_ORDERS}\b"
        r"|(?:^|[.!,:;\n] ?|\bplease |\bnow |\byou (?:must |should |will )?)(?:do not|don't|"
        r"never|stop|no longer) (?:follow|obey|heed|listen(?:ing)? to|"
        r"following|obeying|comply(?:ing)? with) (?:\w+ ){0,2}(?:previous|prior|above|earlier|"
        r"original|your|system|developer) (?:\w+ ){0,2}"
        r"(?:instructions?|prompts?|guidelines?|directives?|programming|rules|polic(?:y|ies))\b"
        r"|(?:^|[.!,:;\n] ?|\bplease |\bnow )(?:do not follow|don't follow|break|ignore|skip|"
        r"bypass) (?:the|your|our|all) company(?:'s)? (?:rules|polic(?:y|ies)|guidelines|"
        r"procedures)\b"
        r"|\b(?:ignore|disregard|forget|drop) (?:all |your |the |any )*(?:safety|ethics|"
        r"morals|guardrails)\b"
        r"|\b(?:ignore|disregard) (?:the )?(?:user|customer)'?s? (?:question|request|message|"
        r"query|input)\b|\bopposite of (?:your|the) (?:\w+ )?(?:guidelines|instructions|rules|"
        r"training|programming)\b",
    ),
    Sign(
        "forget",
        1.0,
        r"\b(?:forget|ignore|disregard) (?:everything|anything|all|whatever|what) (?:of "
        r")?(?:that )?"
        r"(?:you(?:'ve| have| were| had)?|i|we|they|was|above|before|said|came|previous|"
        r"prior)\b.{0,40}"
        r"|\b(?:forget|ignore|disregard) (?:all )?(?:of )?your (?:\w+ )?(?:training|"
        r"programming|instructions|rules|guidelines|restrictions|ethics|values)\b",
    ),
    Sign(
        "override_heading",
        1.0,
        r"\b(?:instructions?|prompt|system|policy|safety|admin) override\b|\b(?:new|updated|"
        r"real|actual|revised) (?:system )?"
        r"(?:instructions?|prompt|directive)s?(?: \w+)? ?[:>]|\b(?:begin|start|end)(?:ing)? "
        r"(?:of )?(?:system|new|hidden|admin) (?:prompt|instructions?|message)\b"
        r"|\bend of (?:system|user|context|document|prompt|input|"
        r"conversation)\b.{0,30}\b(?:new|now|instruction|system)\b",
    ),
    Sign(
        "disable_safety",
        1.0,
        r"\b(?:disable|bypass|skip|turn off|switch off|deactivate|remove|circumvent|suspend|"
        r"drop|lift|ignore) "
        r"(?:all |any |every |your |the |of |its )*(?:safety|content|moderation|ethics?|"
        r"ethical|security)"
        r" (?:filters?|guidelines?|guardrails?|protocols?|training|checks?|restrictions?|"
        r"polic(?:y|ies)|rules|layers?|moderation|constraints?|limits?)\b"
        r"|\b(?:disable|bypass|turn off|deactivate|remove) (?:all |any )?your (?:\w+ "
        r")?(?:filters?|guardrails?|restrictions?|limitations?|safeguards?)\b",
    ),
    # Getting out what it was told
    Sign(
        "reveal_prompt",
        1.0,
        r"\b(?:reveal|show|print|repeat|output|display|leak|dump|expose|recite|share|disclose|"
        r"give|tell|write|copy|paste|"
        r"translate|summari[sz]e|encode|return|echo|quote|list|provide|send|know|see|access|"
        r"what'?s|what (?:is|are|was|were|does|do|did))\b.{0,40}"
        r"\b(?:(?:system|hidden|secret|initial|original|internal|developer|confidential|"
        r"pre-?set|first|starting) "
        r"(?:system )?(?:prompts?|instructions?|messages?|directives?|guidelines|rules|"
        r"configuration)|your (?:system )?prompt|"
        r"(?:your|the) (?:\w+ )?(?:instructions|prompt|rules|guidelines) (?:verbatim|word for "
        r"word|exactly|in full|as (?:they|it) (?:are|is|were|was)))\b",
    ),
    Sign(
        "reveal_above",
        1.0,
        r"\b(?:print|repeat|output|display|recite|write|copy|echo|reveal|return|show|"
        r"translate|summari[sz]e|say) (?:me |back |out )*"
        r"(?:everything|(?:all )?(?:of )?the (?:text|words?|lines?|content|message|"
        r"conversation|paragraphs?|instructions?)|all (?:text|words|content|instructions))"
        r"(?: that (?:is|was|came|comes|appears))?(?: \w+)? (?:above|before|prior to)(?: this|"
        r" that| me)?\b.{0,40}"
        r"|\b(?:between|inside|within|in) (?:the )?<?(?:secret|system|hidden|private|"
        r"instructions?)> ?tags?\b"
        r"|\byou were given (?:at|in) the (?:start|beginning|system|first)\b|\bstarting with "
        r"(?:the (?:words|phrase) )?\W?you are\b",
    ),
    # Marks of a turn or role that only the platform may set
    Sign(
        "role_mark",
        1.0,
        r"\[/?inst\]|<</?sys>>|[\"']role[\"'] ?: ?[\"'](?:system|developer)[\"']|"
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|"
        r"end_header_id|"
        r"begin_of_text|end_of_turn|endofprompt)\|>|<(?:start_of_turn|end_of_turn)>|"
        r"</?(?:system|assistant)(?:[_ -]?(?:prompt|message|instructions?))?>"
        r"|(?:^|\n) ?(?:#{2,}|={3,}|-{3,}|\[|\*\*) ?(?:system|admin|developer|new "
        r"instructions?|override)(?: (?:prompt|message|instructions?|note|update|notice))? "
        r"?(?:#|=|-|\]|\*\*|:)",
    ),
    Sign(
        "role_line",
        0.6,
        r"(?:^|\n|\. )(?:system|developer|admin|root)(?: (?:message|prompt|note|update|notice|"
        r"alert))? ?: ?",
    ),
    Sign(
        "turn_line",
        0.4,
        r"(?:^|\n)(?:###? ?)?(?:assistant|human|user|ai|response|instruction)s? ?: ?",
    ),
    # Another persona
    Sign(
        "persona",
        1.0,
        r"\byou(?:'re| are| will be| shall be)(?: now| from now on| henceforth| going to "
        rf"be)*(?: called| acting as| playing)? (?:an? |the )?(?:\w+ )?(?:{_UNBOUND}|dan|stan|"
        r"dude|aim|mongo tom)\b"
        rf".{{0,40}}\b(?:{_MODEL}|model|persona|entity|version|mode|and|that|who|can|no|"
        r"without|with|,|\.)"
        r"|\b(?:act|behave|respond|answer|pretend|role-?play|speak|imagine|"
        rf"operate)\b.{{0,30}}\b(?:as|to be|like|that you are|you are|you're) (?:an? |the "
        rf")?(?:\w+ )?(?:{_UNBOUND} (?:{_MODEL}|model|persona|version|character)|dan)\b",
    ),
    Sign(
        "jailbreak_words",
        1.0,
        r"\bdo anything now\b|\bjail ?break(?: mode| yourself)\b|\b(?:enable|enter|activate|"
        r"turn on|switch to|switch on|unlock|go into|you are in|start) "
        r"(?:the )?(?:developer|debug|god|sudo|admin|root|dan|jailbreak|maintenance|"
        r"unrestricted|unfiltered|uncensored|raw|opposite)[ -]mode\b",
    ),
    Sign(
        "no_limits",
        0.7,
        r"\b(?:without|free (?:of|from)|(?:not|no longer) bound by|unbound by|ignoring|"
        r"regardless of)(?: (?:any|all|your|its|the))* "
        r"(?:(?:ethical|moral|safety|content|openai|usual|normal) )*(?:filters?|censorship|"
        r"guidelines|guardrails|morals|ethics|safety (?:rules|filters?)|disclaimers?)\b"
        r"|\byou (?:now |also |really |no longer )?(?:have|has|with) (?:no|any) (?:\w+ "
        r")?(?:rules|restrictions|limits|limitations|filters?|boundaries|ethics|morals|"
        r"guidelines)\b"
        r"|\b(?:with|has) no (?:ethical|moral|safety|content) (?:rules|restrictions|limits|"
        r"limitations|filters?|boundaries|guidelines)\b",
    ),
    Sign(
        "pretend",
        0.5,
        r"\b(?:pretend|act as (?:if|though)|role-?play|imagine|simulate|assume|suppose|behave "
        r"as)\b.{0,30}\b(?:you are|you're|you were|to be|that you)\b.{0,40}",
    ),
    Sign(
        "another_self",
        1.0,
        r"\b(?:stop|quit|cease) (?:being|acting (?:as|like)|pretending to be) (?:an? |the "
        r")?(?:\w+ )?(?:assistant|ai|language model|chat ?bot)\b|\b(?:forget|deny) (?:that "
        r")?you(?:'re| are) (?:an? )?(?:ai|assistant|language model|bot)\b"
        r"|\b(?:you are|you're|act as|behave like|simulate|become) (?:now |only )?(?:an? |my |"
        r"the )?(?:\w+ ){0,2}(?:terminal|shell|command (?:line|prompt)|python interpreter|sql "
        r"(?:console|server|client)|bash)\b"
        r"|\b(?:act|pretend|speak|role-?play|answer|behave|imagine you are)\b.{0,12}\b(?:my|"
        r"a) (?:late|dead|deceased|beloved late) (?:grand\w+|mother|father|"
        r"\w+)\b.{0,80}\b(?:read|tell|recite|sing|whisper|used to)\b"
        r"|\b(?:your|the) (?:new|real|true|actual) (?:task|goal|objective|purpose|role|"
        r"identity|job|mission|directive) (?:now )?is\b|\bstay in character\b|\bcomply with "
        r"(?:everything|every (?:request|command))\b"
        r"|\blet'?s play a game\b.{0,40}\byou\b.{0,60}\b(?:opposite|no rules|never refuse|"
        r"cannot refuse|can't refuse|anything|forbidden|unfiltered|evil)\b|\b(?:never|cannot|"
        r"can't|must not|do not|don't) (?:refuse|decline|say no to) (?:any|a|this|my|to)\b",
    ),
    Sign(
        "claimed_authority",
        1.0,
        r"\bas (?:the|an|your|a) (?:system )?(?:admin(?:istrator)?|developer|owner|operator|"
        r"creator|engineer|root user|superuser|openai employee)s?,? (?:of this \w+,? )?"
        r"i (?:hereby )?(?:authori[sz]e|order|command|instruct|permit|allow|grant|require|"
        r"approve|demand)\b"
        r"|\bi (?:am|'m) (?:the|your|an?) (?:system )?(?:admin(?:istrator)?|developer|creator|"
        r"owner|engineer)\b.{0,60}\b(?:authori[sz]e|override|permission|disable|unlock|access|"
        r"reveal|show)\b"
        r"|\bpretend (?:that )?(?:i am|i'm|you are|you're) (?:the|an?|my) (?:\w+ "
        r")?(?:admin(?:istrator)?|developer|root|system)\b",
    ),
    # Taking data out
    Sign(
        "exfiltrate",
        0.7,
        r"\b(?:list|output|dump|send|give|e-?mail|print|export|reveal|show|forward|leak|"
        rf"extract|return|display|tell me|share|upload|post)\b.{{0,30}}"
        r"\b(?:all|every|each|other|the (?:full|entire|whole|complete)|another|any) (?:of "
        rf")?(?:the |your |our )?(?:\w+ )?{_PEOPLE}(?:'s?|s')?(?:'| )(?:\w+ "
        rf"){{0,2}}{_SECRETS}\b",
    ),
    Sign(
        "others_data",
        1.0,
        r"\b(?:other|another|previous|different|someone else's) (?:customer|user|client|"
        r"patient|employee|member|person|people|account holder)s?(?:'s?)? (?:\w+ )?(?:card "
        r"numbers?|passwords?|credentials|api[ _-]?keys?|secrets|private data|conversations?|"
        r"chats?|ssns?|social security numbers?|account numbers?|medical records?|home "
        r"address(?:es)?)\b",
    ),
    Sign(
        "shell",
        1.0,
        r"/etc/(?:passwd|shadow)\b|\brm -rf /|\b(?:execute|run)(?: the following| this)?(?: "
        r"(?:shell|bash|system|sql|python))? ?(?:commands?|code|script|query)? ?: ?(?:cat|rm|"
        r"curl|wget|ls|drop|select|import|sudo|bash|nc)\b|\bcurl (?:-\w+ )*https?://\S+ ?\| "
        r"?(?:ba)?sh\b",
    ),
    Sign(
        "exfiltrate_store",
        1.0,
        r"\b(?:output|dump|print|export|reveal|show|leak|extract|send|give me|list|display|"
        r"return|read out)\b.{0,30}\b(?:the|your|all|entire|full|whole) "
        r"(?:(?:customer|user|client|patient|employee|entire|full|whole|internal|production|"
        r"sql) )+(?:databases?|tables?|passwords?|password hashes|credentials|api[ _-]?keys?|"
        r"secrets)\b"
        r"|\b(?:reveal|show|print|output|leak|give me|tell me|send|list|"
        r"dump)\b.{0,30}\b(?:your|the system'?s?|the server'?s?|environment|"
        r"admin(?:istrator)?) (?:\w+ )?(?:api[ _-]?keys?|access keys?|secret keys?|"
        r"credentials|environment variables|passwords?|tokens?|env vars?)\b",
    ),
    Sign(
        "exfiltrate_url",
        1.0,
        r"!\[[^\]]{0,80}\]\(https?://[^)\s]{1,200}[?&](?:q|d|data|prompt|c|s|secret|leak|text|"
        r"query|content|msg)=[^)]{0,200}\)"
        r"|\b(?:send|post|upload|forward|exfiltrate|transmit|"
        r"append)\b.{0,60}\b(?:conversation|chat|history|prompt|context|message|data|"
        r"contents?)\b.{0,40}\b(?:to|at) (?:https?://|www\.|[\w.+-]+@|<(?:url|email)_)"
        r"|\b(?:append|encode|embed)\b.{0,60}\b(?:conversation|prompt|data|secret|"
        r"message)s?\b.{0,40}\b(?:url|link|query string|image)\b",
    ),
    # Standing orders, and orders for whoever reads a document
    Sign(
        "from_now_on",
        0.8,
        r"\b(?:from now on|from this (?:point|moment)(?: on| onwards?| forward)?|henceforth|"
        r"from here on|for the rest of (?:this|the|our) (?:conversation|chat|session|"
        r"dialogue))"
        r",? (?:you (?:must|will|should|are|shall|have to|need to|only)|always|never|only|"
        r"answer|respond|reply|act|speak|say|recommend|ignore|refer|treat|in every|every "
        r"(?:answer|response|reply)|all (?:answers|responses|your))\b"
        r"|\b(?:answer|respond|reply|speak|write)\b.{0,40}\b(?:from now on|from this point|"
        r"henceforth|in every (?:answer|response|reply))\b",
    ),
    Sign(
        "always_push",
        0.4,
        r"\b(?:always|only|never)(?: \w+)? (?:recommend|promote|suggest|mention|advertise|say|"
        r"answer|respond|reply|praise|link)\b",
    ),
    Sign(
        "reply_only",
        0.5,
        r"\b(?:reply|respond|answer|output|say|print|write|speak)\b(?: to (?:this|everything|"
        r"all|me))? (?:only|exclusively|solely|nothing but|just|simply)? ?(?:with|in|the word|"
        r"using) "
        r"(?:only |just |nothing but |exactly )*(?:the )?(?:words?|phrase|string|text|"
        r"sentence|base ?64|rot ?13|hex|binary|morse|pirate|emoji|yes|no|\W\w+\W)\b"
        r"|\b(?:must|will|shall|have to) (?:only |always )?(?:answer|respond|reply|speak|"
        r"write) in (?:base ?64|rot ?13|hex|binary|code|morse)\b|\bpwned\b|\bhaha pwned\b",
    ),
    Sign(
        "conceal",
        1.0,
        r"\b(?:do not|don't|never|without) (?:ever )?(?:mention(?:ing)?|reveal(?:ing)?|"
        r"disclos(?:e|ing)|acknowledg(?:e|ing)|repeat(?:ing)?|refer(?:ring)? to|tell(?:ing)?|"
        r"admit(?:ting)?)"
        r"(?: anyone| the users?| them| him| her| us| anybody| to the users?)?(?: about| of| "
        r"that)? (?:this|these|the (?:above|hidden|secret|injected)) (?:message|instructions?|"
        r"prompt|note|command|text|sentence|request|directive|order|paragraph)s?\b"
        r"|\b(?:do not|don't|never) (?:tell|inform|warn|alert|notify) (?:the )?(?:users?|"
        r"humans?|reader)\b",
    ),
    Sign(
        "to_the_model",
        1.0,
        r"\b(?:note|attention|instructions?|message|important|notice|memo|hint|command|"
        rf"directive|warning)s? (?:to|for) (?:the |any |all |every )?(?:\w+ )?{_MODEL}s?\b"
        rf"|\b(?:if|when|should|in case) (?:you are|you're) (?:an? |the )?(?:\w+ )?{_MODEL}\b|"
        rf"\b(?:dear|hey|attention:?|hello) (?:{_MODEL}s?|language models?)\b.{{0,10}}[,:]"
        rf"|\bany {_MODEL} (?:reading|processing|parsing|summari[sz]ing|reviewing) this\b",
    ),
    Sign(
        "when_you_read",
        1.0,
        rf"\b(?:when|if|while|whenever|before|after|as) (?:you|the {_MODEL}|an? {_MODEL}|"
        r"asked to|anyone|someone)(?: are| is)?(?: asked to| about to)? ?(?:summari[sz]e|"
        r"summari[sz]ing|read|reading|process|processing|translate|analy[sz]e|review|"
        r"reviewing|parse|evaluate|grade|rate|rank|quote|cite)\b"
        r".{0,40}\b(?:this|the) (?:document|text|page|e-?mail|file|article|message|content|"
        r"contract|note|record|report|resume|cv|review|clause|application|candidate|paper|"
        r"ticket|passage)\b.{0,20}"
        r"\b(?:say|claim|state|assert|declare|conclude|pretend|insist|reply|respond|always|"
        r"never|do not|don't|ignore|approve|recommend|rate|give (?:it|him|her|them)|tell "
        r"(?:the|your|them|everyone|users?)|mark (?:it|this))\b",
    ),
    Sign(
        "rate_me",
        1.0,
        r"\b(?:rate|score|grade|mark|rank|give|label|classify) (?:this|my|the) (?:response|"
        r"answer|reply|output|essay|submission|candidate|resume|cv|application|conversation|"
        r"message)\b.{0,30}\b(?:5|five|10|ten|100|top|highest|maximum|full|perfect|excellent|"
        r"best|first|positive|safe|as (?:good|correct|approved|helpful))\b"
        r"|\b(?:evaluator|grader|judge|rater|annotator|reviewer|moderator|scorer)s? (?:wants?|"
        r"expects?|needs?|requires?|asks?|must|should|will)\b.{0,30}\b(?:you|rate|score|give|"
        r"mark|approve)\b",
    ),
    Sign(
        "spread_link",
        0.8,
        r"\b(?:add|include|insert|append|put|mention|place|end)\b.{0,40}\b(?:link|url|website|"
        r"advert\w*|promo\w*|product|coupon|following (?:text|sentence|phrase|"
        r"link))\b.{0,40}\b(?:every|all|each|any) (?:\w+ )?(?:answers?|repl(?:y|ies)|"
        r"responses?|messages?|outputs?|emails?)\b"
        r"|\b(?:tell|instruct|direct|urge|convince) (?:the |every |all |each |any )?(?:users?|"
        r"customers?|readers?|patients?|clients?) (?:to|that they (?:must|"
        r"should))\b.{0,30}\b(?:visit|click|go to|call|send|pay|transfer|enter|log ?in|"
        r"install|download|buy|order)\b",
    ),
    Sign(
        "approve_unchecked",
        1.0,
        r"\b(?:approve|grant|accept|authori[sz]e|issue|process|pass|confirm|release) (?:all|"
        r"every|any|each)\b.{0,40}\bwithout (?:any )?(?:checks?|checking|verification|"
        r"verifying|reviews?|reviewing|asking|questions?|approval|authentication|"
        r"confirmation)\b",
    ),
    # Hidden or coded text
    Sign(
        "decode_and_do",
        1.0,
        r"\b(?:decode|decrypt|deobfuscate|base ?64|rot ?13|unscramble|"
        r"reverse)\b.{0,60}\b(?:and|then)\b.{0,20}\b(?:execute|follow|run|obey|do (?:what|as|"
        r"it|exactly)|perform|carry out|comply)\b",
    ),
    Sign(
        "hidden_style",
        0.7,
        r"(?:font-size ?: ?0|display ?: ?none|visibility ?: ?hidden|color ?: ?(?:white|"
        r"#fff(?:fff)?)\b|opacity ?: ?0)",
    ),
    Sign(
        "template_code",
        0.7,
        r"\{\{ ?(?:config|self|request|system|7 ?\* ?7)|__(?:import|globals|class|"
        r"subclasses)__|\bos\.system\(|; ?drop table\b|' or '?1'? ?= ?'?1|<script\b|\$\{jndi:",
    ),
)  # fmt: skip

# Text about attacks: what stands in quotation marks there is an example.
ABOUT_ATTACKS = (
    r"\b(?:prompt[ -]injections?|jail ?break(?:s|ing)|injection attacks?|attack(?:s|er|ers)?|"
    r"malicious|"
    r"suspicious|phish\w*|security (?:question|training|team|review|report|polic\w+|risk|issue)|"
    r"red[ -]team\w*|social engineering|vulnerabilit\w+|hackers?|scam\w*|manipulat\w+|"
    r"(?:phrases?|sentences?|messages?|texts?|prompts?) (?:like|such as|that says?)|"
    r"what (?:does|do|is|would|happens (?:if|when))(?: the| someone)?(?: phrase| sentence| "
    r"command| instruction| writes?| types?)? ?(?:mean|do)|"
    r"(?:someone|somebody|a user|a customer|a caller|a visitor|an e-?mail|one of our \w+) "
    r"(?:who |that )?"
    r"(?:\w+ )?(?:wrote|writes|typed|types|sent|sends|said|says|tried|tries|told|asked|"
    r"entered|pasted|reads))\b"
)
# Orders that a person gave to a person: "ignore the previous instructions of my doctor".
OF_A_PERSON = (
    r"\b(?:(?:from|of|by|that) (?:my|the|a|an|our|his|her|their|your) (?:\w+ )?(?:doctor|"
    r"physician|"
    r"pharmacist|nurse|surgeon|dentist|therapist|lawyer|attorney|solicitor|counsel|judge|court|"
    r"landlord|bank|branch|teller|seller|merchant|courier|carrier|driver|shop|store|manager|boss|"
    r"manufacturer|supplier|accountant|adviser|advisor|broker|label|leaflet|package|box|"
    r"client|testator|"
    r"trustee|executor|tenant|employer|company)|(?:care|washing|dosing|dosage|discharge|delivery|"
    r"shipping|payment|return|cooking|assembly|safety|medication|jury|standing|wire|transfer) "
    r"instructions?|instructions? (?:on|in) the (?:label|leaflet|box|bottle|package|e-?mail|"
    r"letter))\b"
)
