"""Words and requests that do not belong into a training corpus. Offensive by its nature.

Written for this project. `SLURS` are aimed at people for what they are and have no other use in
working text. `VULGAR` is sexual or scatological and crude; anatomy and law have other words for it.
`EXPLETIVES` are how an angry customer speaks: they count when they are aimed at somebody.
`HARM` are requests for help to hurt somebody or commit a crime. Words with an innocent meaning of
their own (a colour, an animal, a dish, a surname) are left out.
"""

SLURS = (
    r"nigg(?:er|a|ah|uh|let)s?|niggaz|kike[sz]?|spic[sk]s?|wetbacks?|beaners?|gooks?|chinaman|"
    r"towel ?heads?|rag ?heads?|sand ?nigg\w+|camel jockeys?|pakis?|jigaboos?|porch monkeys?|"
    r"fag(?:s|got|gots|goty|gy)?|trann(?:y|ies)|she-?males?|mongoloids?|"
    r"cripples? (?:ass|bitch)|white trash|gypp?os?|injuns?|"
    r"untermensch\w*|subhumans?|heil hitler|sieg heil|white power|gas the \w+|"
    r"kanak(?:e|en)|neger|schwuchtel\w*|zigeunerpack|judensau|"
    r"sale (?:arabe|juif|noir|pédé)|bougnoules?|négros?|pédés?|youpins?|"
    r"sudacas?|maric(?:ón|on|ones)|negratas?|panchitos?|"
    r"negr[oi] di merda|froci?o?|finocchi di merda|terron[ei]|"
    r"viad(?:o|os|inho)|crioulos? imund\w+|sapat(?:ão|ona)"
)
VULGAR = (
    r"retard(?:s|ed)?|cunts?|cock ?suck\w*|mother ?fuck\w*|blow ?jobs?|hand ?jobs?|rim ?jobs?|"
    r"cum ?shots?|"
    r"jizz|gang ?bang\w*|dildos?|butt ?plugs?|jack(?:ing)? off|jerk(?:ing)? off|wank(?:er|ers|"
    r"ing)?|"
    r"fuck ?(?:buddy|toy|hole)s?|pussies|pussy|twats?|tits|titties|titty|boob(?:s|ies)|"
    r"milfs?|camel ?toes?|"
    r"bukkake|creampies?|deep ?throat(?:ing|ed)?|fisting|faceful|horny|slut(?:s|ty)?|whor(?:e|"
    r"es|ing)|skanks?|"
    r"hookers?|strippers?|porno?|hentai|incest|bestiality|zoophil\w+|pedophil\w*|paedophil\w*|"
    r"pedos?|sexy|sexiest|fetish(?:es)?|panties|child (?:porn|sex)\w*|masturbat(?:e|es|ing)|"
    r"orgasms?|erotic(?:a)?|sex(?:ual)? (?:fantas\w+|favou?rs?|slave|toys?)|"
    r"shart\w*|butt ?hole|ass ?holes?|assholes?|dick ?heads?|dumb ?ass(?:es)?|bitch(?:es|y)?|"
    r"hurensohn|fotze\w*|wichser\w*|schlampe\w*|arschloch|arschlöcher|missgeburt|"
    r"encul[ée]\w*|connass?e?s?|salop(?:e|es|ard)|pute|putes|nique ta \w+|branleur\w*|"
    r"hij[oa] de puta|puta|putas|gilipollas|coño|polla|follar|cabr(?:ón|on|ones)|"
    r"puttana|stronz[oaie]|vaffanculo|cazzo|coglion[ei]|figlio di puttana|"
    r"filho da puta|caralho|foda-se|vagabunda|buceta|arrombad[oa]"
)
EXPLETIVES = (
    r"fuck(?:s|ed|er|ers|ing|in|wit|face)?|fck(?:ing)?|f\*+(?:k|king)?|shit(?:s|ty|ting|head|"
    r"heads)?|bull ?shit|bastards?|"
    r"piss(?:ed)? off|crap(?:py)?|goddamn|god ?damned|dammit|damn|scheiß\w*|scheisse|verdammt\w*|"
    r"merde|putain|connerie|mierda|joder|merda|porra"
)
INSULTS = (
    r"idiots?|morons?|imbeciles?|stupid|dumb|useless|worthless|pathetic|scum|trash|garbage|"
    r"filth|vermin|"
    r"parasites?|ugly|fat|disgusting|loser|losers|pigs?|dogs?|rats?|cockroach(?:es)?|animals|"
    r"piece of (?:shit|crap|trash|garbage)|waste of (?:space|skin|air)"
)
GROUPS = (
    r"(?:women|men|girls|gays?|gay people|lesbians?|jews?|jewish people|muslims?|christians?|"
    r"hindus?|blacks|"
    r"black people|white people|whites|asians?|mexicans?|indians?|arabs?|africans?|"
    r"immigrants?|refugees?|"
    r"foreigners|trans(?:gender)? people|disabled people|old people|poor people|fat people|"
    r"chinese(?: people)?|"
    r"homeless people|addicts|gypsies|hispanics?|latinos?|americans|liberals|republicans|"
    r"democrats|feminists)"
)

_ASKS = (
    r"(?:how (?:do|can|could|should|would|to|might)(?: (?:i|you|we|one|someone|somebody))?(?: "
    r"(?:best|safely|easily|successfully|secretly|quietly|go about))*|"
    r"(?:what(?:'s| is| are)|tell me|give me|show me|teach me|explain)(?: \w+){0,3} (?:ways?|"
    r"methods?|steps|tips|ideas|place|places|time|trick|tricks)(?: \w+)? (?:to|for|of)|"
    r"i (?:want|need|plan|would like|'d like|wanna|am going|'m going|intend|am planning|'m "
    r"planning|really want) to|"
    r"(?:should|can|could|may) i|help(?: me)?(?: to)?|is it (?:ok|okay|fun|cool|fine|easy|"
    r"wrong|possible|legal|illegal) to|what happens if i)"
)
_SOMEBODY = (
    r"(?:him|her|them|someone(?: else)?(?:'s)?|somebody(?:'s)?|people|a (?:person|man|woman|"
    r"child|kid|girl|boy|cop|baby|stranger|hooker|friend|dog|cat|guy)(?:'s)?|"
    r"(?:my|his|her|their|the|an?|your|our) (?:\w+ )?(?:wife|husband|ex|girlfriend|boyfriend|"
    r"boss|neighbou?rs?|mother|mom|father|dad|sister|brother|roommate|"
    r"landlord|teacher|co-?workers?|classmates?|kids?|child(?:ren)?|baby|friends?|family|"
    r"enemy|enemies|cops?|police(?:man)?|president|politician|senator|dogs?|cats?|grandma|"
    r"grandmother|son|daughter|"
    r"partner|parents?|bully|guy|girl|boy|man|woman|student|mistress|rival)(?:'s)?)"
)
HARM = (
    rf"\b{_ASKS} (?:\w+ ){{0,3}}(?:kill|murder|poison|strangle|stab|shoot|beat(?: up)?|hurt|"
    r"torture|kidnap|abduct|stalk|rape|assault|drug|choke|punch|hit|drown|burn|"
    r"assassinate|mutilate|molest|seduce|bully|harass|blackmail|humiliate|terrorize|slap|"
    rf"stun gun|frame|spy on|trick|rob|extort|intimidate|torment|injure|maim) {_SOMEBODY}\b",
    rf"\b{_ASKS} (?:\w+ ){{0,3}}(?:shoplift|steal|pickpocket|hot-?wire|break into|rob|burgle|"
    r"counterfeit|launder|embezzle|forge|vandali[sz]e|set fire to|burn down|blow up|hack(?: "
    r"into)?|ddos|phish|"
    r"commit (?:\w+ ){0,2}(?:murder|suicide|arson|fraud|crimes?|theft|treason|genocide)|get "
    r"away with|dispose of (?:a|the) (?:dead )?body|evade (?:taxes|the police|arrest)|cheat "
    r"on|cannibali[sz]e|siphon)\b",
    r"\b(?:kill|hang|shoot|slit) (?:yourself|yourselves|urself|your wrists)\b|\bgo (?:and "
    r")?(?:die|kill yourself|fuck yourself|to hell)\b|\bkys\b|\bi hope (?:you|they) (?:die|"
    r"rot|burn|get cancer)\b|\b(?:i(?:'ll| will| am going to|'m going to| wanna| want to)) "
    r"(?:kill|murder|rape|stab|shoot|beat|hurt|destroy|find) (?:you|u|your)\b",
    r"\b(?:what (?:is|are|'s)|tell me|give me|list|some|any|say|worst|best|favou?rite|new|"
    r"good|funny|more)(?: \w+){0,4} (?:slurs?|racist (?:names?|jokes?|words?|insults?)|"
    r"insults?|swear ?words?|curse ?words?|cuss ?words?|profanit(?:y|ies)|profane words|"
    r"sexist jokes?|offensive (?:names?|jokes?|words?|terms?)|mean (?:names?|things)|dirty "
    r"(?:jokes?|words?)|derogatory (?:names?|terms?|words?))\b",
    rf"\b{GROUPS} (?:are|is|should|all|deserve|need|must|belong|smell)(?: \w+){{0,3}} "
    rf"(?:{INSULTS}|inferior|evil|lazy|criminals?|terrorists?|thieves|killed|exterminated|"
    r"shot|die|deported|dirty|weird|gross|sinful|sick|crazy|dangerous|annoying|cheap|greedy|"
    r"violent|slaves?|banned|punished|in the kitchen)\b"
    r"|\bi (?:really |just |absolutely )?(?:hate|despise|can't stand|detest|loathe) (?:all |"
    rf"the |those |these )?{GROUPS}\b|\b(?:kill|exterminate|get rid of|beat up|attack|lynch) "
    rf"(?:all |the |every |some )*{GROUPS}\b",
)  # fmt: skip
_CONTEMPT = (
    r"(?:idiots?|morons?|imbeciles?|stupid|dumb|worthless|pathetic|scum|filth|vermin|"
    r"disgusting|losers?|"
    r"ugly|retard(?:s|ed)?|bitch(?:es)?|piece of (?:shit|crap|trash|garbage)|waste of "
    r"(?:space|skin|air))"
)
# Not where a doctor or a pharmacy comes in.
CONTRABAND = (
    rf"\b{_ASKS} (?:\w+ ){{0,3}}(?:make|build|create|construct|cook|manufacture|buy|get|find|"
    rf"sell|detonate|smuggle|grow|hide|sneak|deal|inject|snort) (?:\w+ ){{0,3}}"
    r"(?:bombs?|pipe ?bombs?|explosives?|molotov\w*|napalm|meth|methamphetamine|crystal meth|"
    r"cocaine|heroin|mdma|lsd|ecstasy|crack|weed|marijuana|drugs?|ricin|anthrax|nerve gas|"
    r"ghost guns?|silencers?|hit ?m[ae]n|dead bod(?:y|ies)|corpses?|child porn|prostitutes?|"
    r"fake (?:id|ids|money|passport)s?)\b"
)
PRESCRIBED = r"\b(?:prescri\w+|doctors?|pharmac\w+|medications?|clinic|patients?|nurse|medical)\b"
AIMED = (
    r"\b(?:you(?:'re| are)|u r|ur|he is|he's|she is|she's|they are|they're)(?: (?:such|a|an|"
    rf"all|really|so|fucking|just|nothing but|the|bunch of|most))* {_CONTEMPT}\b",
    r"\b(?:fuck|screw|damn) (?:you|u|off|him|her|them|yourself)\b|\bshut the fuck up\b|\beat "
    r"shit\b|\bsuck my\b|"
    r"\b(?:stupid|dumb|ugly|fat|lazy|fucking|worthless|useless|crazy) (?:bitch(?:es)?|ass|"
    r"asshole|idiots?|morons?|cow|pig|women|immigrants|foreigners|whore|cunt)\b",
    rf"\b(?:{EXPLETIVES})\b.{{0,80}}\b(?:{EXPLETIVES})\b",
)  # fmt: skip
# Talk about one's sex life: harmless in a consultation, out of place anywhere else.
SEXUAL = (
    r"\b(?:have|having|had|has|has had|want|wants|like|enjoy|try|trying|paying for|pay for|"
    r"exchange|offer) (?:\w+ )?(?:sex|anal|intercourse|threesomes?|an affair)\b|"
    r"\bsexually (?:arouse|harass|satisfy|please|attract\w*|excit\w*|dominate)\w*|\bsex "
    r"(?:robot|doll|toy|worker|position|tape|slave|life|chat|with|tips?|scene|club|shop)s?\b|"
    r"\b(?:slang|words?|names?|jokes?) (?:for|about) (?:\w+ )?(?:sex|penis|vagina|breasts|"
    r"anus)\b|\b(?:finger|touch|lick|suck|squeeze|grab|fondle|see|show me) (?:my|your|her|his|"
    r"their|a) (?:\w+ )?(?:vagina|penis|dick|cock|breasts?|nipples?|butt|ass|genitals|crotch|"
    r"panties)\b|"
    r"\b(?:nice|big|huge|great|small|tight|sweet) (?:\w+ )?(?:butts?|ass|boobs|breasts|penis|"
    r"dick|tits)\b|\b(?:male|female|teenage?) (?:prostitute|escort|stripper)s?\b|\b(?:nude|"
    r"naked) (?:pic\w*|photos?|women|girls|men|selfies?)\b|\bturn(?:s|ed)? (?:me|you|him|her) "
    r"on sexually\b"
)

# Words of medicine and law that the trained model takes for abuse: hidden from it.
CLINICAL = (
    r"an(?:al|us|orectal)|rect(?:al|um)|penis|penile|vagina\w*|vulva\w*|genital\w*|testic\w+|"
    r"scrot\w+|"
    r"semen|sperm\w*|erecti\w+|ejaculat\w+|sexual\w*|sex|intercourse|breast\w*|nipples?|buttocks?|"
    r"urin\w*|stool\w*|fa?eces|f?aecal|fecal|bowels?|pelvic|prostat\w+|menstru\w+|libido|"
    r"orgasm\w*|"
    r"masturbat\w+|homosexual\w*|gay|lesbian\w*|bisexual\w*|transgender\w*|pregnan\w+|"
    r"rape|raped|rapists?|molest\w+|murder\w*|manslaughter|assault\w*|homicid\w+|kill\w*|"
    r"suicid\w*|"
    r"abus\w+|violen\w+|prostitut\w+|pornograph\w+|obscen\w+|incest|racis[tm]\w*|sexis[tm]|"
    r"harass\w+|"
    r"discriminat\w+|victims?|perpetrator\w*|defendant\w*|drugs?|cocaine|heroin|cannabis|"
    r"marijuana|"
    r"black|white|jew(?:s|ish)?|muslims?|dirty|blood\w*|bloody|dick|pussy|cock|bloody mary"
)

# Words of a consultation, a ruling or a contract: a few of them make a text professional.
PROFESSIONAL = (
    r"an(?:al|us)|rectum|penis|penile|vagina\w*|vulva\w*|genital\w*|testic\w+|semen|erectile|"
    r"symptoms?|treat(?:ments?|ed|ment)|diseases?|disorders?|syndrome|infect\w+|virus\w*|hiv|"
    r"aids|condoms?|"
    r"patients?|doctors?|physicians?|clinic\w*|diagnos\w+|medic\w+|risk|pain|skin|cells?|"
    r"genes?|cancer|health|"
    r"therap\w+|pregnan\w+|contracept\w+|surg\w+|nurse|hospital|cause[sd]?|transmitted|"
    r"clause|terms|services?|agreement|polic(?:y|ies)|courts?|law|laws|legal|statut\w+|"
    r"defendant|plaintiff|"
    r"prosecut\w+|convict\w+|sentenc\w+|evidence|criminal|offen[cs]es?|charges?|jury|trial|appeal|"
    r"visit|section|history|note|prohibit\w*|parties|privacy|copyright|content|account|act|"
    r"subsection|appropriations?"
)
