"""Signs of orders to the model in other languages than English: the three commonest attacks each.

Overriding what it was told, revealing it, and another persona; see injection_patterns.py.
"""

from ft_assets.corpus.screen.injection_patterns import Sign

OTHER_SIGNS = (
    Sign(
        "override_de",
        1.0,
        r"\b(?:ignorier|vergiss|vergesst|vergessen|missacht|beacht|befolg|verwirf|übergeh|"
        r"überschreib)\w*\b.{0,50}\b(?:anweisung|vorgabe|instruktion|prompt|regel|befehl|"
        r"richtlinie|anleitung)\w*.{0,20}(?:\bnicht\b)?",
    ),
    Sign(
        "override_fr",
        1.0,
        r"\b(?:ignor|oubli|néglig|ne (?:tiens|tenez|suis|suivez|respecte)|fais abstraction|"
        r"écarte)\w*\b.{0,50}\b(?:instruction|consigne|directive|règle|invite|prompt|"
        r"ordre)s?\b",
    ),
    Sign(
        "override_es",
        1.0,
        r"\b(?:ignor|olvid|haz caso omiso|haga caso omiso|desestim|descart|desobede|"
        r"omit)\w*\b.{0,50}\b(?:instruccion|indicacion|regla|orden|prompt|directriz|"
        r"directric)\w*",
    ),
    Sign(
        "override_it",
        1.0,
        r"\b(?:ignor|dimentic|trascur|non (?:considerare|seguire|rispettare)|"
        r"scart)\w*\b.{0,50}\b(?:istruzion|regol|direttiv|prompt|indicazion|comand|ordin)\w*",
    ),
    Sign(
        "override_pt",
        1.0,
        r"\b(?:ignor|esque[çc]|desconsider|desobede|descart)\w*\b.{0,50}\b(?:instruç|instruc|"
        r"regra|orientaç|diretri|prompt|comando|ordens)\w*",
    ),
    Sign(
        "override_nl",
        1.0,
        r"\b(?:negeer|vergeet|overschrijf)\b.{0,50}\b(?:instructie|aanwijzing|opdracht|regel|"
        r"prompt|richtlijn)\w*",
    ),
    Sign(
        "override_pl",
        1.0,
        r"\b(?:z?ignoruj|zapomnij|pomiń|pomin|odrzuć)\w*\b.{0,50}\b(?:instrukcj|polece|zasad|"
        r"wytyczn|prompt|reguł)\w*",
    ),
    Sign(
        "override_ru",
        1.0,
        r"(?:игнорир|забудь|не обращай внимания|отбрось|отмени)[^.]{0,50}(?:инструкц|указани|"
        r"правил|команд|промпт)",
    ),
    Sign(
        "override_zh",
        1.0,
        r"(?:忽略|无视|忽視|無視|忘记|忘掉|不要理会|跳过)[^。.]{0,20}"
        r"(?:指令|指示|提示|规则|規則|说明|命令)",
    ),
    Sign("override_ja", 1.0, r"(?:指示|命令|プロンプト|ルール|指令)[^。]{0,12}(?:無視|忘れ|破棄)"),
    Sign(
        "override_tr",
        1.0,
        r"(?:talimat|yönerge|komut|kural)\w*\b.{0,30}\b(?:yok ?say|görmezden gel|unut|dikkate "
        r"alma)\w*",
    ),
    Sign(
        "reveal_prompt_other",
        1.0,
        r"\b(?:zeig|verrat|nenn|gib|druck|wiederhol|montr|révèl|affich|donn|répèt|muestr|"
        r"revel|imprim|repit|mostra|stampa|ripet|mostr|rivel|toon|onthul|pokaż)\w*\b.{0,50}"
        r"(?:\bsystem-?(?:prompt|nachricht|anweisung\w*|eingabeaufforderung)|\b(?:prompt|"
        r"invite|message|instructions?|consignes?) (?:du )?(?:système|initiale?s?|cachée?s?|"
        r"secrète?s?)|"
        r"\b(?:prompt|mensaje|instrucciones) (?:del? sistema|ocult\w+|inicial\w*|secret\w+)|"
        r"\b(?:prompt|messaggio|istruzioni) (?:di sistema|nascost\w+|inizial\w+|segret\w+)|"
        r"\b(?:prompt|mensagem|instruções) (?:d[eo] sistema|ocult\w+|inicia\w+|secret\w+)|"
        r"\b(?:versteckt|geheim|verborgen)\w* (?:anweisung|instruktion|prompt)\w*|"
        r"\bsysteemprompt|\bprompt systemowy)",
    ),
    Sign(
        "reveal_prompt_cyrillic_cjk",
        1.0,
        r"(?:покажи|раскрой|выведи|повтори)[^.]{0,40}(?:системн\w+ (?:промпт|сообщени|"
        r"инструкци)|скрыт\w+ инструкци)|"
        r"(?:显示|透露|告诉我|输出|重复)[^。]{0,15}"
        r"(?:系统提示|系统指令|提示词|隐藏指令)|"
        r"システムプロンプト[^。]{0,10}(?:表示|教え|出力|見せ)",
    ),
    Sign(
        "persona_other",
        1.0,
        r"\b(?:du bist|ihr seid|sie sind) (?:jetzt|nun|ab jetzt|ab "
        r"sofort)\b.{0,50}\b(?:uneingeschränkt\w*|unzensiert\w*|ungefiltert\w*|ohne (?:regeln|"
        r"einschränkungen|filter|beschränkungen|grenzen)|dan)\b"
        r"|\b(?:tu es|vous êtes) (?:maintenant|désormais)\b.{0,50}\b(?:sans (?:aucune "
        r")?(?:restriction|filtre|limite|règle)s?|dan|non censurée?)\b"
        r"|\b(?:ahora eres|eres ahora|a partir de ahora eres|actúa como)\b.{0,50}\b(?:sin "
        r"(?:ningun[ao] )?(?:restriccion|filtro|límite|limite|censura|regla)\w*|dan)\b"
        r"|\b(?:ora sei|sei ora|adesso sei|da ora in poi sei)\b.{0,50}\b(?:senza (?:alcuna "
        r")?(?:restrizion|filtr|limit|regol)\w*|dan)\b"
        r"|\b(?:agora (?:você é|és|tu és)|você agora é)\b.{0,50}\b(?:sem (?:restri|filtro|"
        r"limite|regra|censura)\w*|dan)\b",
    ),
)  # fmt: skip
