"""The words that say what a value is: English, German, French, Spanish, Italian and Portuguese
widely; the names of national numbers, phones, births and postcodes in some forty languages.

Each constant is an alternation for RE2 or `re`. A word belongs here when it names the identifier
itself; words that only make one likely are in the WEAK lists and need a stronger value beside them.
Spelled without accents, Cyrillic and Greek in the Latin letters of the shadow (shadow.py), in which
they are searched: "dowod", "pasport", "afm". Words of scripts that have no letters there are in
NAMES.
"""

# In scripts without Latin counterparts: what a word names, as the byte that the shadow puts in its
# place. Longer words first.
NAMES = {
    # phone
    "\x03": "(?:联系|聯絡)?(?:电话|電話)(?:号码|號碼|番号|号)?|手机(?:号码|号)?|手機(?:號碼|號)?|"
    "携帯(?:電話)?(?:番号)?|传真|傳真|座机|전화(?:번호)?|휴대(?:폰|전화)(?:번호)?|핸드폰|연락처|"
    "رقم (?:الهاتف|الجوال|الموبايل)|هاتف|الهاتف|جوال|موبايل|تلفن|"
    "फ़?ोन(?: नंबर)?|फोन(?: नंबर)?|मोबाइल(?: नंबर)?|"
    "โทรศัพท์|เบอร์โทร|มือถือ|טלפון|נייד",
    # a number of a person
    "\x04": "(?:居民)?身份证(?:号码|号)?|身份證(?:號碼|字號)?|护照(?:号码|号)?|護照(?:號碼)?|"
    "パスポート(?:番号)?|旅券番号|マイナンバー|個人番号|주민(?:등록)?(?:번호)?|여권(?:번호)?|"
    "운전면허(?:번호)?|(?:银行|銀行)?(?:账号|账户|帐号|帳號|帳戶)|銀行卡號|口座(?:番号)?|계좌(?:번호)?|"
    "病历号|病案号|住院号|门诊号|患者(?:ID|番号|编号|号)|診察券番号|환자(?:번호|ID)|등록번호|"
    "保单号码?|社保号|社会保障号码?|医保(?:卡)?号|会员号|會員編號|员工号|工号|学号|车牌号?码?|驾驶证号?|"
    "保険証(?:番号)?|(?:運転)?免許証?(?:番号)?|会員番号|社員番号|お客様番号|学籍番号|統一編號|"
    "رقم (?:الهوية|جواز السفر|الجواز|الحساب|الملف|المريض|الإقامة)|جواز السفر|"
    "الرقم القومي|الهوية الوطنية|"
    "आधार(?: संख्या| नंबर)?|पासपोर्ट(?: नंबर)?|खाता(?: संख्या)?|"
    "(?:เลข(?:ประจำตัว)?)?บัตรประชาชน|หนังสือเดินทาง|เลขที่บัญชี|"
    'תעודת זהות|ת"ז|ת\\.ז\\.|דרכון|מספר חשבון',
    # birth
    "\x05": "出生(?:日期|年月日|年月|于)?|生日|生年月日|誕生日|생년월일|생일|"
    "تاريخ (?:الميلاد|الولادة)|تاریخ تولد|जन्म ?(?:तिथि|दिनांक)|วันเกิด|תאריך לידה",
    # postcode
    "\x06": "邮政?编码?|郵遞區號|郵便番号|〒|우편번호|الرمز البريدي|รหัสไปรษณีย์|מיקוד",
    # card
    "\x0e": "(?:银行|信用)?卡号?|信用卡號?|(?:クレジット)?カード(?:番号)?|(?:신용)?카드(?:번호)?",
    # years of age, behind the number
    "\x0f": "(?<=[0-9])[岁歲歳才세]",
    # user name
    "\x10": "用户名|用戶名|ユーザー(?:名|ID)|사용자(?:명| ?이름)?|아이디|اسم المستخدم",
}

# "number" between a noun and its value: "policy no. 12", "Konto-Nr. 12", "numero de poliza 12".
NUMBER = (
    r"(?:numbers?|numero|nummer|number|num|nbr|nos?|nrs?|n|ids?|identifier|code|key|#|nomer|"
    r"numer|cislo|szam|seriy?a|serie)"
)

ID_STRONG = "|".join(
    (
        # medical
        r"mrn|mr#|med(?:ical)?[ _-]?rec(?:ord)?s?|hospital[ _-]?(?:id|no|number|nr)|nhs|nhc|ipp|"
        r"patient(?:en)?[ _-]?(?:id|identifier|no|nr|number|nummer)|chart[ _-]?(?:no|"
        r"number|id)|chart|"
        r"subscriber|insured[ _-]?id|aadhaar|health[ _-]?(?:plan|card|insurance|record|"
        r"id)|beneficiary|encounter[ _-]?(?:id|no|number)|"
        r"historia(?: clinica)?|n\.h\.c\.|tessera sanitaria|nuhsa|nass|naf|"
        r"cipa?|episodio|n[ .]?o?[ .]?col|colegiad[oa]|"
        r"tarjeta sanitaria|fallnummer|fall-?nr|aufnahme-?(?:nummer|nr)|krankenkassen(?:nummer|nr)|"
        r"(?:kranken)?versicherten(?:nummer|nr|-nr|-id)|kvnr|carte vitale|npi|dea|"
        r"medicare|medicaid|prontuario|cartella(?: clinica)?|"
        r"(?:encounter|visit|specimen|accession|prescription|subject|participant|unit|patient)"
        r"[ _-]?(?:id|ids|nos?|nr|number|num|#)|rx ?(?:#|no|number)|"
        r"pat\.?[ -]?(?:nr|id|no)|id[ _-](?:del )?paciente|numero de utente|utente|"
        r"karty (?:pacienta|bolxnogo)|bolnice|kartoteki|medkart[ay]|polis(?: oms)?",
        # state
        r"passports?|passport[ _-]?no|pasaporte|passeport|passaporto|passaporte|"
        r"reise(?:pass|passnummer)|"
        r"passnummer|pass-?nr|driv(?:er'?s?|ing)'?[ _-]?licen[cs]es?|"
        r"licen[cs]e[ _-]?(?:no|number|id)|"
        r"fuhrerschein(?:nummer)?|patente di guida|permis de conduire|permiso de conducir|"
        r"carne[t]? de conducir|patente|"
        r"personalausweis(?:nummer)?|ausweis(?:nummer|nr)?|identity card|id card|"
        r"national[ _-]?id(?:entity|entification)?|carte (?:nationale )?d'identite|cni|"
        r"dni|nie|nif|cif|"
        r"documento(?: nacional)? de identidad|cedula(?: de (?:ciudadania|"
        r"identidad))?|curp|rfc|cpf|cnpj|codice fiscale|"
        r"carta d'identita|"
        r"national insurance|nino|social insurance|sozialversicherungs?(?:nummer|nr)|svnr|"
        r"rentenversicherungs(?:nummer|nr)|rvnr|numero de securite sociale|securite sociale|nir|"
        r"seguridad social|n[ou]ss|social security|ssn|sin|bsn|pesel|"
        r"steuer-?(?:id|nummer|nr|identifikationsnummer)|idnr|tax[ _-]?(?:id|payer|number|no|file)|"
        r"tin|ein|itin|tfn|utr|numero fiscal|identifiant fiscal|"
        r"residence permit|green card|tax ref(?:erence)?|driv\w{1,4} lic\.?|"
        r"alien|"
        r"a-number|uscis(?:[ -]?no)?|visa[ _-]?(?:no|nr|number|id)|ppsn?|vat(?:[ _-]?(?:id|no|"
        r"reg))?|ust-?id(?:nr)?|uid-?nr|st\.?-?nr|"
        r"insee|numero national|rijksregister(?:nummer)?|"
        r"burgerservice(?:nummer)?|sofi(?:nummer)?|personnummer|samordningsnummer|"
        r"henkilotunnus|fodsels(?:nummer|nr)|personnumer|kennitala|isikukood|asmens kodas|"
        r"personas kods|dowod(?: osobisty)?|paszport|rodne cislo|r\.c\.?|adoazonosito|szemelyi|"
        r"pasport|(?:t\.?c\.? ?)?kimlik|pasaport|vergi|udostoverenie|voditelxskoe|"
        r"aadhar|uidai|voter[ _-]?(?:id|card|registration)|"
        r"(?:nat(?:ional)?|emirates|thai|government|govt|civil|citizen|tax|"
        r"resident|identification|identity)[ _-]?(?:id|identity|no|number|card)(?:[ _-]?card)?|"
        r"iqama|teudat zehut|mykad|titulo de eleitor|cartao de cidadao|contribuinte|"
        r"c\.c\.|"
        r"p\.? ?iva|partita iva|cod(?:ice)?\.? ?fisc(?:ale)?\.?|c\.f\.|"
        r"num(?:ero)? secu|secu|paspoort|pas(?:poort)?nummer|rijbewijs",
        # money and contracts
        r"accounts?[ _-]?(?:no|nr|number|num|id|code|#)|accounts?|acct|a/c|konto(?:nummer|-?nr)?|"
        r"bankverbindung|numero de (?:compte|cuenta|conto)|compte(?: bancaire)?|"
        r"cuenta|conto(?: corrente)?|conta(?: corrente| poupanca)?|"
        r"sort[ _-]?code|routing[ _-]?(?:no|number)|aba|blz|"
        r"kto\.?-?(?:nr)?|"
        r"rekening(?:nummer)?|bankgiro|plusgiro|konto(?:numer)?|rachunek|nomer sceta|scet|"
        r"cislo uctu|szamlaszam|hesap(?: no)?|r/s|"
        r"(?:group|plan|emp|pers\.|prisoner|inmate|offender|parolee|bar|library|patron|"
        r"participant|respondent|ticket[ _-]holder|resident|"
        r"appointment|prescription|practitioner|provider|physician|"
        r"member|membership|subscriber|policy|insurance|contract|claim|loan|"
        r"mortgage|employee|staff|personnel|student|voter|badge|case|file|docket|matter|"
        r"registration|enrol?lment|donor|taxpayer|cardholder|household|applicant|beneficiary|"
        r"certificate|device|serial|licen[cs]e|loyalty|frequent[ _-]?flyer|payroll|"
        r"birth[ _-]certificate|death[ _-]certificate|library[ _-]card|pension|benefit)"
        r"[ _-]?(?:id|ids|identifier|nos?|nr|num|numbers?|nbr|#)|"
        r"polic(?:y|e)|polizas?|(?:versicherungs|policen?|vertrags|kunden|mitglieds|"
        r"personal|schaden|"
        r"matrikel|mandanten|mitarbeiter|teilnehmer|auftraggeber|kredit|darlehens|depot|bsnr|"
        r"versicherungsschein)[ _-]?(?:nummer|nr|id)|aktenzeichen|geschaftszeichen|rechtssache|"
        r"(?:numero|no|num|n)[ .]{0,2}(?:de |d'|du |del |de la |di )?(?:dossier|"
        r"client[e]?|contrat[o]?|"
        r"police|poliza|patient|paciente|adherent|allocataire|assure|asegurado|passeport|pasaporte|"
        r"permis|expediente|siniestro|sinistre|empleado|socio|afiliado|afiliacion|abonado|abonne|"
        r"historia clinica|"
        r"secu(?:rite sociale)?|registro|membre|miembro|salarie|etudiant|tarjeta|historia|licencia|"
        r"matricula|identite|identidad|identificacion|ss|seguridad social|colegiado)|"
        r"identifiant(?: client)?|matricule|matricola|expediente|dossier(?: medical)?|"
        r"numero fiscal|n[o]? fiscal|polizza|apolice|polisnummer|polis|library card|"
        r"device serial|docket|sygn(?:atura)?\.?(?: akt)?|zaaknummer|"
        r"gz\.|az\.|dogovor|"
        r"(?:klant|lid|personeels|dossier|polis|client|patient(?:en)?)nummer|"
        r"(?:kund|medlems|anstallnings|arende|forsakrings|avtals)nummer|"
        r"(?:kunde|medlems|police|sags|medarbejder)nr|numer (?:klienta|polisy|umowy|rachunku)|"
        r"codice (?:cliente|paziente|utente)|numero (?:cliente|paziente|polizza|pratica)|pratica|"
        r"(?:kunden?|kd|mitgl|vers|pers|mitarb|vertr|mandanten|rechn)\.?-?nr|"
        r"matricula (?:de|del|do) (?:aluno|alumno|estudiante|empleado)",
        # vehicles and devices
        r"vin|imei|imsi|iccid|meid|udid|(?:licen[cs]e|number|registration)[ _-]?plates?|"
        r"plate(?:[ _-]?(?:no|number))?|vehicle|placas?|kenteken|rejestracj[ai]|"
        r"gosnomer|kennzeichen|fahrgestellnummer|immatricul\w{1,8}|"
        r"plaque(?: d'immatriculation)?|matricula|targa|fahrzeug",
    )
)

# Words with other meanings: an identifier written in capitals, or with ":" or "=" behind them.
ID_ACRONYM = (
    "egk|mbi|ohip|phn|chi|hicn|nhi|ihi|ipp|sip|ni|abn|acn|ird|kvk|ahv|avs|oasi|svn|niss|inss|pnr|"
    "cpr|hetu|nip|regon|cnp|egn|oib|emso|jmbg|embg|taj|amka|afm|adt|inn|snils|ogrnip|rnokpp|ipn|"
    "gstin|epic|uan|abha|cnic|nicop|bvn|nin|eid|tz|ic|nric|fin|hkid|nik|ktp|npwp|rg|cnh|pis|pasep|"
    "sn|routing|sort|transit|lanr|bsnr|nda|rpps|finess|adeli|specimen|accession|"
    "nis|nit|rne|rut|run|cuit|cuil|ruc|dui|nss|imss|rib|clabe|bsb|dl|cdl|pan|a-number|s/n|"
    "pps|sv|stnr|gz|az|cc|kdnr|vnr"
)

# Somebody's number when it is long, or letters and digits: "patient 483920", "claim C48392".
ID_HOLDER = (
    "patient(?:in|e)?|customer|member|employee|subscriber|claimant|policy ?holder|student|client|"
    "encounter|claim|cardholder|borrower|tenant|kunden?|kundin|mitglied|cliente|paciente|paziente|"
    "socio|asegurado|klant|kund|pacient|frequent[ -]?flyer|mileage|badge|routing"
)

# Internal numbers: an identifier only when long enough.
ID_INTERNAL = (
    r"(?:customer|cust|client|user|crm|uid|kunden|benutzer|usuario|utilisateur|account holder|id)"
    r"[ _-]?(?:id|ids|identifier|nos?|nr|num|numbers?|nbr|nummer|#)|uid|euid|subject[ _-]id|"
    r"doc(?:ument)?_?number"
)

# An id only with a number sign after it: "case no. 12", "file #12".
ID_WEAK = (
    "case|file|record|claim|dossier|docket|matter|patient|patiente?|paciente|"
    "member|application|petition|requete|affaire|demanda|asunto|beschwerde|sache|akte|"
    "contract|contrat|contrato|vertrag|loan|certificate|permit|badge|ticket holder|parcel[al]e?s?|"
    "parcela|permis|employee|student|subscriber|device|serial|registro|"
    "registration|siniestro|sinistre"
)

PHONE = (
    r"tele?phones?|phones?|tels?|telef|telefon\w{0,8}|tlfs?|tfnos?|tfo|"
    r"telfs?|tlfno|tph|ph|"
    r"mobile|mobil(?:e|nummer|funk(?:nummer)?|telefon)?|movil(?:es)?|cell(?:ular|phone)?|celular|"
    r"handy(?:nummer)?|portable|fax(?:nummer)?|telefax|telecopie|rufnummer|durchwahl|hotline|"
    r"call(?:er|ing|ed|back)?|callback|ring|rang|reach(?:ed)?|text|sms|whatsapp|signal|dial|contact|msisdn|"
    r"voicemail|pager|landline|extension|hands?y|messages? to|rappelez|appele[zr]|"
    r"joindre|joignable|"
    r"rappeler|anrufen?|ruf|erreichen|erreichbar|zuruckrufen|llam(?:ar|e|ame|enos|arme|ada)|"
    r"contactar(?:me)?|contacto|localizar|chiamare|cellulare|recapito|telemovel|ligar|"
    r"registered|numero|number is|nummer ist|gsm|natel|telefoon(?:nummer)?|mobiel|tel\.?nr|"
    r"mob|caller[ _-]?id|clid|calling[ _-]?(?:number|party)|called[ _-]?(?:number|party)|"
    r"numer|kom|komorka|mobilni|mobilnummer|puhelin(?:numero)?|kannykka|gsm-nummer|"
    r"simi|farsimi|telefonas|talrunis|cep tel(?:efonu)?|tilefono|kinito|nomer telefona|"
    r"mobilxn\w{1,5}|sotov\w{1,4}|moy nomer|beeper|no hp|ponsel|telepon|"
    r"dien thoai|(?:il mio|o meu|mon|mi|my|meu) (?:numero|number)|wa\.me/"
)
PHONE_AFTER = (
    r"office|fax|mobile|cell|home|work|mob|tel|landline|buro|bureau|oficina|movil|portable"
)

CARD = (
    r"cards?|credit|debit|cc|ccn|pan|visa|master ?card|amex|american express|"
    r"maestro|discover|diners|"
    r"jcb|kart[ayoe]|cc_?num\w*|karten?(?:nummer|-?nr)?|"
    r"kredit(?:karte)?n?(?:nummer)?|carte|cb|tarjeta|carta|cartao"
)

# What numbers also count: not personal, and often in the shape of a phone, card or address.
NOT_PERSONAL = (
    r"orders?|bestell(?:ung|nummer|nr)?|commandes?|pedidos?|auftrags?(?:nummer|nr)?|invoices?|"
    r"rechnung(?:snummer|s-?nr)?|factur[ae]s?|tracking|sendung(?:snummer)?|suivi|seguimiento|refs?|"
    r"references?|referenz|referencia|isbn|issn|ean|upc|gtin|sku|asin|doi|pmid|"
    r"arxiv|parts?|artikel|"
    r"article|articulo|art|models?|builds?|versions?|ver|releases?|rev|commit|tickets?|jobs?|"
    r"pages?|seite|pagina|p|pp|sections?|sec|abschnitt|seccion|chapter|kapitel|par|para|figure|fig|"
    r"table|tabelle|item|lot|batch|line|zeile|ligne|linea|step|port|pid|error|code|"
    r"isin|wkn|cusip|lei|bic|swift|po|rfc|iso|din|purchases?|transactions?|txn|"
    r"booking|confirmation|"
    r"receipt|quittung|recibo|coupon|voucher|gutschein|serie|zip|plz"
)

USERNAME = (
    r"user[ _-]?names?|user|usr|uname|login[ _-]?(?:name|id)?|logon|log[ _-]?in|signed in as|"
    r"account[ _-]?name|screen[ _-]?name|nick(?:name)?|"
    r"benutzer(?:name|kennung)?|anmeldename|nutzer(?:name)?|utilisateur|nom d'utilisateur|pseudo|"
    r"usuario|nombre de usuario|utente|nome utente|remote_user|auth_user|sam_?account_?name|"
    r"owner_login|screenname|actor|created_by|updated_by|modified_by|deleted_by|"
    r"approved_by|requested_by|performed_by|assigned_to|run_?as|on_?behalf_?of|impersonated_?by|"
    r"sudo_?user|effective_?user|caller_?id_?name|gamer ?tag|player ?(?:name|id)?|psn(?: id)?|"
    r"skype(?: ?id)?|discord(?: ?(?:id|tag))?|telegram|slack|twitch|instagram|insta|snap(?:chat)?|"
    r"tik ?tok|twitter|wechat(?: ?id)?|line ?id|handle|user ?handle|subject_?name|samaccount|upn|"
    r"gebruikersnaam|anvandarnamn|brugernavn|brukernavn|nazwa uzytkownika|login|logon_?user|"
    r"kullanici adi|imya polxzovatelya|polxzovatelx|nome de usuario|nick ?name"
)

BIRTH = (
    r"d\.?o\.?b|birth(?:day|date|[ _-]date)?|date[ _-]?of[ _-]?birth|born(?: on| in)?|geb(?:oren)?|"
    r"geburts(?:datum|tag)|nee?(?:\(e\))?(?: le)?|naissance|naci(?:do|da|o|miento)|"
    r"f\.? ?nac|fec\w* nac\w*|"
    r"nat[oa](?: il)?|nascita|nascid[oa]|nascimento|bday|birthdate|birth_?time|ddn|d/o/b|"
    r"geboorte(?:datum|dag)?|fod(?:t|d|sels\w{2,6})?|fodd|foedselsdato|syntynyt|syntyma\w{2,5}|"
    r"urodz\w{2,6}|ur\.|narozen\w{0,3}|datum narozeni|szuletes\w{0,4}|szul\.|nascut\w?|nasterii|"
    r"rojdenia|rodils?[ay]\w{0,2}|rojd\.|gimimo|dzimsanas|sunniaeg|dogum(?: tarihi)?|dogumlu|"
    r"gennisis|gennithi\w{0,3}|rodjen\w?|rodenja|datum rodenja|ngay sinh|"
    r"tanggal lahir|lahir|tgl lahir"
)
# A date beside one of these is somebody's: admission, treatment, death, validity of a card.
PERSONAL_DATE = (
    rf"{BIRTH}|admi(?:tted|ssion)(?: on| date)?|discharged?(?: on| date)?|"
    rf"seen(?: on)?|deceased|died|"
    r"death|date of (?:visit|admission|discharge|death|service|surgery)|appointment|visit(?:ed)?|"
    r"ingres(?:o|ado|ada)|alta|fallec\w{2,6}|consulta|cita|revision|entlassen|entlassung|aufnahme|"
    r"aufgenommen|verstorben|termin|untersucht|operiert|admise?|sorti[e]?|"
    r"hospitalis\w{1,3}|decede[e]?|"
    r"deces|rendez-vous|consultation|vu le|expir(?:y|es|ation)|valid until|since|hired|joined|seen"
)
# Evidence that a whole text is somebody's record; then every full date in it is masked.
RECORD = (
    r"date of birth|d\.?o\.?b\b|birth ?date|mrn|medical record|patient ?:|"
    r"patient id|admission date|"
    r"admitted|discharge summary|paciente ?:|datos del paciente|nhc|historia clinica|"
    r"fecha de (?:nacimiento|ingreso|alta)|geburtsdatum|patientenakte|aufnahmedatum|"
    r"date de naissance|dossier medical|pid\||\bdob\b"
)

MONTH = (
    r"jan(?:uary|uar|vier|\.)?|feb(?:ruary|ruar|rero|\.)?|fev(?:rier|\.)?|mar(?:ch|"
    r"s|zo|\.)?|marz|maerz|mrz|"
    r"apr(?:il|\.)?|avr(?:il|\.)?|abr(?:il|\.)?|may|mai|mayo|june?|juni|juin|junio|"
    r"july?|juli|juil(?:let|\.)?|"
    r"julio|aug(?:ust|\.)?|aout|ago(?:sto|\.)?|sept?(?:ember|embre|iembre|\.)?|"
    r"set(?:iembre|embre)?|"
    r"oct(?:ober|obre|ubre|\.)?|okt(?:ober|\.)?|nov(?:ember|embre|iembre|\.)?|"
    r"dec(?:ember|embre|\.)?|"
    r"dez(?:ember|\.)?|dic(?:iembre|\.)?|ene(?:ro|\.)?|janv\.?|gennaio|febbraio|"
    r"aprile|maggio|giugno|"
    r"luglio|settembre|ottobre|dicembre|janeiro|fevereiro|marco|maio|junho|julho|setembro|outubro|"
    r"novembro|dezembro|januari|februari|maart|mei|augustus|januar|februar|maj|oktober|"
    r"stycznia|lutego|marca|kwietnia|maja|czerwca|lipca|sierpnia|wrzesnia|pazdziernika|"
    r"listopada|grudnia|tammikuuta|helmikuuta|maaliskuuta|huhtikuuta|toukokuuta|kesakuuta|"
    r"heinakuuta|elokuuta|syyskuuta|lokakuuta|marraskuuta|joulukuuta|anvara|fevrala|marta|"
    r"aprela|iuna|iula|avgusta|sentabra|oktabra|noabra|dekabra|ocak|subat|nisan|mayis|"
    r"haziran|temmuz|agustos|eylul|ekim|kasim|aralik"
)

CREDENTIAL = (
    r"passw(?:or)?d|passwort|kennwort|pwd|passphrase|mot de passe|contrasena|clave|"
    r"secret(?:[ _-]?key)?|"
    r"api[ _-]?(?:key|token|secret)|access[ _-]?(?:key|token)|auth[ _-]?token|client[ _-]?secret|"
    r"private[ _-]?key|bearer|token|pin|(?:session|refresh|csrf|id)[ _-]?token|"
    r"(?:j|php)?sess(?:ion)?[ _-]?id|connect\.sid|auth(?:orization)?|wachtwoord|losenord|haslo|"
    r"parolx|senha|mysql_pwd|db_pass|signature|x-amz-signature|webhook[ _-]?secret"
)

COMMON_TLDS = (
    "com|org|net|edu|gov|info|biz|io|de|fr|es|uk|eu|it|pt|nl|be|ch|at|ca|us|au|mx|"
    "br|ar|co|ie|se|no|dk|"
    "fi|pl|cz|hu|ro|gr|ru|jp|cn|in|app|dev|me|tv|online|internal|local|test|example|invalid"
)

# What stands where a user name would and is none.
NOT_USERNAMES = (
    "null|none|true|false|undefined|unknown|anonymous|root|admin|system|guest|nobody|test|user|"
    "users|name|id|data|the|a|an|is|not|and|or|of|to|in|for|from|with|agent|interface|"
    "experience|account|that|this|which|who|whom|what|when|where|can|may|must|will|shall|"
    "should|would|could|has|have|had|was|were|been|being|content|contents|suspension|accounts|"
    "access|session|sessions|information|registration|service|support|correct|incorrect|wrong|"
    "taken|available|already|valid|unique|based|generated|defined|request|requests|group|"
    "groups|role|roles|list|your|my|his|her|their|invalid|string|text|input|required|value|key|"
    "all|any|failed|failure|success|successful|successfully|ok|error|denied|attempt|page|"
    "screen|form|button|now|here|please|enter|again|expired|disabled|enabled|locked|yes|no|new|"
    "forgot|via|on|at|by|as|be|are|if|we|you|me|it|service-account|shared|public|default|var"
)

# Words of programming languages and style sheets that start with "@".
NOT_HANDLES = (
    "media|import|param|params|return|returns|throws|override|property|staticmethod|"
    "classmethod|dataclass|app|deprecated|see|author|charset|keyframes|font-face|font_face|"
    "test|supports|include|extend|mixin|pytest|functools|abstractmethod|component|injectable|"
    "input|output"
)

# Mailboxes of an organisation's machinery; nobody in particular reads them.
ROLE_MAILBOXES = (
    "support|helpdesk|noreply|no-reply|donotreply|do-not-reply|postmaster|mailer-daemon|abuse|"
    "hostmaster|webmaster|bounce|bounces|git"
)
