# ruff: noqa: E501, RUF001  (rows of tables stay on one line; look-alike characters are what is tested)
"""What is found, what is not, and that no input is slow. Values are invented or from standards."""

import sys
from itertools import accumulate, pairwise

import pytest

from ft_assets.corpus import detect, rules
from ft_assets.corpus.detect import TYPES, Span, find, find_many
from ft_assets.corpus.linear import Pattern

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"

# The value between ⟦ and ⟧ is what must be found, whole and with this type.
FOUND = [
    ("EMAIL", "write to ⟦jane.doe+news@mail.example.co.uk⟧, please"),
    ("EMAIL", "⟦jürgen.müller@köln-büro.de⟧ schreibt"),
    ("EMAIL", "почта ⟦иван@почта.рф⟧"),
    ("EMAIL", "⟦user@xn--bcher-kva.example⟧ wrote"),
    ("EMAIL", "ops mail ⟦ops@10.0.0.7⟧ is down"),
    ("EMAIL", "GET /reset?email=⟦john%40example.com⟧&x=1"),
    ("EMAIL", "mailto:⟦a.b@example.org⟧"),
    ("EMAIL", "<mail>⟦x_y@example.com⟧</mail>"),
    ("EMAIL", "⟦simone1982 at example dot com⟧"),
    ("EMAIL", "⟦john dot smith at mail dot example dot org⟧ is mine"),
    ("EMAIL", "⟦anna [at] example [dot] de⟧"),
    ("EMAIL", "⟦anna(at)example.de⟧ antwortet"),
    ("EMAIL", "⟦marie arobase exemple point fr⟧"),
    ("EMAIL", "⟦luis arroba ejemplo punto es⟧"),
    ("EMAIL", "⟦clark_emily at example.com⟧"),
    ("EMAIL", "correo: ⟦marta.lopez@ correo.example.es⟧"),
    ("EMAIL", "⟦ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ⟧"),
    ("EMAIL", "⟦ja\u200bne@exam\u200bple.com⟧"),
    ("EMAIL", "⟦josé@ejemplo.es⟧"),
    ("URL", "see ⟦https://www.example.org/u/jane?id=3#top⟧."),
    ("URL", "(⟦www.example.com/~jane⟧)"),
    ("URL", "⟦ftp://files.example.net/pub⟧ now"),
    ("CREDIT_CARD", "card ⟦4111 1111 1111 1111⟧ expires"),
    ("CREDIT_CARD", "⟦4111-1111-1111-1111⟧"),
    ("CREDIT_CARD", "paid with ⟦5500005555555559⟧"),
    ("CREDIT_CARD", "amex ⟦3782 822463 10005⟧"),
    ("CREDIT_CARD", "⟦4111.1111.1111.1111⟧ 123"),
    ("CREDIT_CARD", "Karte ⟦４１１１ １１１１ １１１１ １１１１⟧"),
    ("CREDIT_CARD", "my card 12 ⟦4111 1111 1111 1111⟧"),
    ("CREDIT_CARD", "maestro card ⟦6759649826438453⟧"),
    ("IBAN", "IBAN ⟦DE89 3704 0044 0532 0130 00⟧ bitte"),
    ("IBAN", "⟦GB82WEST12345698765432⟧"),
    ("IBAN", "⟦FR14 2004 1010 0505 0001 3M02 606⟧"),
    ("IBAN", "⟦es91-2100-0418-4502-0005-1332⟧"),
    ("IBAN", "to ⟦NO93 8601 1117 947⟧ via bank"),
    ("IBAN", "⟦CH93 0076 2011 6238 5295 7⟧"),
    ("IBAN", "⟦NL91 ABNA 0417 1643 00⟧ asap"),
    ("SSN", "SSN ⟦078-05-1120⟧"),
    ("SSN", "my social security number is ⟦078 05 1120⟧"),
    ("SSN", "social: ⟦078051120⟧"),
    ("IP", "from ⟦192.168.17.4⟧:8080"),
    ("IP", "ip=⟦10.0.0.1⟧ ok"),
    ("IP", "from ⟦2001:db8::8a2e:370:7334⟧ port 22"),
    ("IP", "⟦fe80::1ff:fe23:4567:890a⟧%eth0"),
    ("IP", "⟦2001:0db8:85a3:0000:0000:8a2e:0370:7334⟧"),
    ("IP", "[⟦::ffff:192.0.2.128⟧]"),
    ("ID", "DHCP to ⟦00:1b:44:11:3a:b7⟧ (laptop)"),
    ("ID", "switch ⟦001b.4411.3ab7⟧"),
    ("ID", "MRN: ⟦5153416⟧  DOB"),
    ("ID", "N.H.C. ⟦483920⟧"),
    ("ID", "driver lic. ⟦F255-921-50-211-0⟧"),
    ("ID", "tax ref ⟦12345 67890⟧"),
    ("ID", "with Bearer ⟦a8f5f167f44f4964e6c998de⟧"),
    ("PHONE", "teléfono fijo: ⟦93 412 34 56⟧"),
    ("ID", "my MRN is ⟦MRN5386718⟧."),
    ("ID", '{"mrn":"⟦B2783930⟧","x":1}'),
    ("ID", "medical record number ⟦55-9134-56⟧."),
    ("ID", "Health plan no. ⟦597833239⟧. Follow-up"),
    ("ID", "account ⟦1051403844⟧. Please"),
    ("ID", "Account ⟦047863963110⟧, holder"),
    ("ID", "passport ⟦W21575192⟧ scanned"),
    ("ID", "Reisepass-Nr. ⟦C01X00T47⟧"),
    ("ID", "n° de passeport : ⟦12AB34567⟧"),
    ("ID", "pasaporte número ⟦AAA123456⟧"),
    ("ID", "Vehicle ⟦EK-206-TY⟧ registered"),
    ("ID", "Kennzeichen ⟦B-MW 1234⟧"),
    ("ID", "matrícula ⟦1234 BCD⟧"),
    ("ID", "Kundennummer: ⟦4711-0815⟧"),
    ("ID", "Versichertennummer ⟦A123456780⟧"),
    ("ID", "Aktenzeichen ⟦12 O 345/21⟧"),
    ("ID", "numéro de dossier ⟦2021-004512⟧"),
    ("ID", "numéro de client : ⟦84512097⟧"),
    ("ID", "nº de póliza ⟦8837261⟧"),
    ("ID", "expediente ⟦2020/00123⟧"),
    ("ID", "NHC: ⟦368503⟧."),
    ("ID", "NASS: ⟦26 37482910 04⟧."),
    ("ID", "case no. ⟦18949/91⟧"),
    ("ID", "policy number ⟦POL-7781234⟧"),
    ("ID", "driver's license number ⟦D1234567⟧"),
    ("ID", "DNI ⟦12345678Z⟧"),
    ("ID", "con NIE ⟦X1234567L⟧,"),
    ("ID", "NIR ⟦1 84 12 76 451 089 46⟧"),
    ("ID", "CF ⟦RSSMRA85T10A562S⟧"),
    ("ID", "NI number ⟦AB 12 34 56 C⟧"),
    ("ID", "Steuer-ID ⟦86 095 742 719⟧"),
    ("ID", "PESEL ⟦44051401359⟧"),
    ("ID", "GET /api/v2/patients/⟦41411679⟧ HTTP/1.1"),
    ("ID", "PID|1||⟦549-32-916⟧^^^HOSP^MR"),
    ("ID", "IMEI ⟦490154203237518⟧"),
    ("ID", "api_key=⟦f3a9c1d2e4b5a697⟧"),
    ("ID", "Authorization: Bearer ⟦eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF123⟧"),
    ("ID", "aws ⟦AKIAIOSFODNN7EXAMPLE⟧ leaked"),
    ("ID", f"key ⟦{KEY}⟧ end"),
    # Check digits alone, without a word that names the number.
    ("ID", "bearer of ⟦12345678Z⟧ lives"),
    ("ID", "elle, ⟦1 84 12 76 451 089 46⟧, et"),
    ("ID", "hat ⟦65 170839 J 003⟧ dort"),
    ("ID", "heeft ⟦85.07.30-033.28⟧ daar"),
    ("ID", "tem ⟦529.982.247-25⟧ ali"),
    ("ID", "Personnummer ⟦811218-9876⟧"),
    ("ID", "steuerlich gilt ⟦86 095 742 719⟧ weiter"),
    ("ID", "in the NHS as ⟦943 476 5919⟧ since"),
    ("ID", "customer id ⟦KD-2023-99812⟧"),
    ("ID", "user id: ⟦88213044⟧"),
    ("ID", "closed by ⟦CUST-448123⟧ today"),
    ("ID", "filed as ⟦2:20-cv-02395⟧ there"),
    ("ID", "Urteil vom Montag, ⟦VIII ZR 12/19⟧"),
    ("ID", "une requête (no ⟦18949 / 91⟧) dirigée"),
    ("ID", "Sozialversicherungsnummer ⟦12 190367 K 006⟧"),
    ("ID", '"passportNumber":"⟦C01X00T47⟧"'),
    ("ZIP", "in Austin, TX ⟦78701⟧ now"),
    ("USERNAME", "my login is ⟦jdoe.7⟧ there"),
    ("USERNAME", "session opened for user ⟦mpoul⟧ by root"),
    ("DATE", '"dateOfBirth":"⟦1980-02-11⟧"'),
    ("DATE", "date of birth ⟦02/17/1958⟧, resident"),
    ("DATE", "born ⟦June 4, 1986⟧."),
    ("DATE", "geboren am ⟦12.03.1985⟧ in Köln"),
    ("DATE", "Geburtsdatum: ⟦1. März 1985⟧"),
    ("DATE", "née le ⟦3 février 1990⟧ à Lyon"),
    ("DATE", "nacido el ⟦5 de mayo de 1971⟧"),
    ("DATE", "Fecha de nacimiento: ⟦03/03/1946⟧."),
    ("DATE", "DOB ⟦1962-12-23⟧"),
    ("DATE", '"dob": "⟦19620223⟧"'),
    ("DATE", "admitted on ⟦2 March 2021⟧ with"),
    ("DATE", "DOB: 01.02.1950, surgery ⟦11/05/2022⟧"),
    ("AGE", "a ⟦54⟧-year-old man"),
    ("AGE", "Edad: ⟦48 años⟧ Sexo"),
    ("AGE", "eine ⟦63⟧-jährige Frau"),
    ("AGE", "âgé de ⟦45 ans⟧"),
    ("AGE", "age: ⟦37⟧, male"),
    ("ZIP", "CP: ⟦28016⟧."),
    ("ZIP", "PLZ ⟦50667⟧ Köln"),
    ("ZIP", "London ⟦SW1A 2AA⟧"),
    ("ZIP", "12 rue de la Paix, ⟦75002⟧ Paris"),
    ("STREET_ADDRESS", "at ⟦9481 Washington Blvd, Tucson AZ⟧."),
    ("STREET_ADDRESS", "wohnt ⟦Lindenstraße 12a⟧, Berlin"),
    ("STREET_ADDRESS", "habite ⟦12 rue de la Paix⟧, Paris"),
    ("STREET_ADDRESS", "Domicilio: ⟦Calle de Antonio Reig, 7⟧."),
    ("STREET_ADDRESS", "⟦P.O. Box 1234⟧"),
    ("USERNAME", "user=⟦kristiina.ylönen⟧ ip=1"),
    ("USERNAME", '{"username":"⟦jdoe⟧"}'),
    ("USERNAME", "thanks ⟦@jane_doe⟧!"),
    ("USERNAME", "Failed password for invalid user ⟦mpoul⟧ from 10.1.1.1"),
    ("USERNAME", "User ⟦frederiksen34⟧ updated the profile"),
    ("USERNAME", "206.207.97.130 - ⟦schwarz70⟧ [20/Feb/2024"),
]

# National and international spellings of phone numbers, with the words around them.
PHONES = [
    "call ⟦(555) 213-4442⟧ now", "⟦+1 318 542 0151⟧", "⟦881.629.7744⟧", "⟦1-800-555-0199⟧",
    "⟦+44 20 7946 0958⟧", "mobile ⟦07700 900123⟧", "tel. ⟦020 7946 0958⟧", "⟦+49 (0)30 901820⟧",
    "Tel.: ⟦030/901820⟧", "Handy ⟦0171 1234567⟧", "⟦+33 6 12 34 56 78⟧", "tél. ⟦01 42 68 53 00⟧",
    "⟦06.12.34.56.78⟧", "⟦+34 612 345 678⟧", "Teléfono: ⟦917 27 70 00⟧", "Tfno. ⟦848422206⟧",
    "⟦+39 06 6982 1234⟧", "⟦+351 912 345 678⟧", "⟦+31 6 12345678⟧", "⟦+32 470 12 34 56⟧",
    "⟦+41 44 668 18 00⟧", "⟦+43 1 53115 0⟧", "⟦+46 8 123 456 78⟧", "⟦+47 22 12 34 56⟧",
    "⟦+45 33 12 34 56⟧", "⟦+358 9 1234567⟧", "⟦+48 22 123 45 67⟧", "⟦+420 222 123 456⟧",
    "⟦+36 1 234 5678⟧", "⟦+30 21 0123 4567⟧", "⟦+353 1 234 5678⟧", "⟦+7 495 123-45-67⟧",
    "⟦+91 98765 43210⟧", "⟦+86 138 0013 8000⟧", "⟦+81 3-1234-5678⟧", "⟦+61 2 9876 5432⟧",
    "⟦+55 11 98765-4321⟧", "⟦+52 55 1234 5678⟧", "⟦+27 21 123 4567⟧", "⟦+971 50 123 4567⟧",
    "⟦0044 20 7946 0958⟧", "phone: ⟦4279517380⟧", "Thanks,\nLeila\n⟦4279517380⟧",
    "⟦555-213-4442 ext. 12⟧", '{"phone": "⟦555 2134⟧"}', "you can reach me at ⟦780 6326⟧",
    "⟦416 60 039⟧ office", "rufen Sie mich an: ⟦0221-470123⟧", "appelez-moi au ⟦0612345678⟧",
    "mi móvil es ⟦612345678⟧", "+⟦34 945007359⟧", "phone ⟦＋１ ３１８ ５４２ ０１５１⟧", "fax ⟦030‑901820⟧",
    "es ⟦917 277 000⟧ ahora", "llámame al ⟦91 345 67 89⟧",
]  # fmt: skip

NOT_FOUND = [
    "order number 4539 1488 0343 6460 is not a card",
    "ref 999-99-99999",
    "ISBN 978-3-16-148410-0",
    "close a standard account ISBN 978-3-16-148410-0",
    "invoice 2026/000123",
    "build 192.168 release 10.2.1",
    "page 555-1234 of the manual",
    "version 2026-11-02T10:00:00Z",
    "tracking 1Z999AA10123456784",
    "article 6(1)(f)",
    "purchase 00004587345 and order 00004587345",
    "version 10.2.1.4 and v1.22.333.4",
    "Chrome/120.0.6099.109 Safari/537.36",
    "under 6.1.5.4 the Owner",
    "IBAN DE89 3704 0044 0532 0130 01 has a wrong check digit",
    "GB82 is not an account",
    "level=info latency_ms=3301 commit=2da09a6 ratio=34.417",
    "trace=6111b4b5-61e0-9c2f-a98a-372e9ffd6a18",
    "2023-05-01T15:43:17Z INFO cache warmed",
    "[12/Jul/2025:20:15:17 +0000] GET /health",
    "Nasdaq fell 123,456.78 points to 12 345 678",
    "the account balance is 15000 euros",
    "fiscal year ended December 31, 2019",
    "this Agreement is dated January 1, 2011",
    "revenue 2019 2018 2017 was 876.8 557.8 482.1",
    "C++ uses std::vector and a::b::c",
    "at 12:34:56 the job ran",
    "email me at some point in time",
    "meet me at amazon.com headquarters",
    "User: Hello, can you help me?",
    "user experience and user interface",
    "@dataclass\nclass A: pass",
    "npm install @types/node react@18.2.0",
    "support@example.com answers",
    "2 at 2211 Old Earhart Roads",
    "a 50-year anniversary, 100 people",
    "x = a[1] + b(2) - 3.14159265358979",
    "Potassium 3,6 mEq/l; BP 171/195",
    "<EMAIL_1> wrote to <PHONE_2>",
    "(artículo 5, apartado 2) del Convenio",
    "bearer of 12345678A lives",
    "elle, 1 84 12 76 451 089 47, et",
    "heeft 85.07.30-033.29 daar",
    "customer id 4222 and user id 44541",
]  # fmt: skip


# More written forms, by kind: every value between the brackets must be masked whole.
FORMATS = {
    "email": [
        "Contact: ⟦jane.doe@example.com⟧.", "⟦jane.doe+spam-filter@sub.example.co.uk⟧;",
        "<⟦jane@example.org⟧>", '"Jane Doe" <⟦jane_doe-1@example.org⟧>',
        "mailto:⟦jane@example.org⟧?subject=hi", "(⟦jane@example.museum⟧)", "[⟦jane@example.io⟧]",
        "'⟦o'brien@example.com⟧'", '{"e":"⟦a@b.co⟧"}', '⟦"john smith"@example.com⟧ wrote',
        "⟦李雷@例子.中国⟧ 你好", "⟦用户@example.com⟧", "⟦χρήστης@παράδειγμα.ελ⟧",
        "⟦jane@xn--80akhbyknj4f.xn--p1ai⟧", "⟦अजय@डाटा.भारत⟧ को लिखें", "⟦jane&#64;example.com⟧",
        "⟦jane&#x40;example.com⟧", "⟦jane&commat;example&period;com⟧", "⟦jane%40example.com⟧",
        "⟦jane%2Bnews%40example.com⟧", "⟦jane\\u0040example.com⟧", "⟦jane&#64;example&#46;com⟧",
        "⟦jane (at) example (dot) com⟧", "⟦jane [at] example [dot] com⟧",
        "⟦jane{at}example{dot}com⟧", "⟦jane AT example DOT com⟧",
        "⟦jane.doe at host dot example dot com⟧", "⟦jane.doe at example.com⟧ is my mail",
        "⟦jane<at>example<dot>com⟧", "⟦jane_at_example_dot_com⟧", "⟦jane@example dot com⟧",
        "⟦jane @ example . com⟧", "⟦jane[@]example[.]com⟧", "⟦jane@example[.]com⟧",
        "⟦jane(a)example.com⟧", "⟦jane＠example．com⟧", "⟦jane\u200b@\u200bexample.com⟧",
        "⟦ja\xadne@exam\xadple.com⟧", "email=⟦JANE.DOE@EXAMPLE.COM⟧&x=1",
        "From: ⟦jane@example.com⟧\nTo: bob", "user:⟦jane@example.com⟧:22",
        "to=<⟦jane@example.com⟧>, relay=mx", "e-mail⟦:jane@example.com⟧",
        "⟦jane@example.com⟧,⟦bob@example.com⟧;⟦c@example.com⟧", "⟦jane@example.travel⟧...",
        "⟦x@[192.168.1.1]⟧", "⟦123456@qq.com⟧", "⟦j@d.uk⟧", "⟦jane..doe@example.com⟧",
        "⟦jane#tag@example.com⟧", "⟦jane!bob@example.com⟧", "⟦jane*y@example.com⟧",
        "⟦jane$@example.com⟧", "⟦SRS0=abc=de=example.org=jane@example.com⟧",
        "mein e-mail ist ⟦hans punkt meier at firma punkt de⟧", "⟦hans.meier(ät)firma.de⟧",
        "⟦hans Klammeraffe firma Punkt de⟧",
        "mon mail : ⟦marie point dupont arobase exemple point fr⟧",
        "correo ⟦luis guion bajo perez arroba correo punto es⟧",
        "scrivi a ⟦luca chiocciola esempio punto it⟧",
        "meu e-mail é ⟦ana arroba exemplo ponto com ponto br⟧", "⟦ana@exemplo.com.br⟧",
        '<a href="mailto:⟦jane@example.com⟧">', "e:⟦jane@example.com⟧\\nphone",
        "SMTP RCPT TO:<⟦jane@example.com⟧> ok", "acct:⟦jane@social.example⟧",
        "sip:⟦jane@pbx.example.com⟧", "xmpp:⟦jane@jabber.example⟧/home",
        "ich bin unter ⟦h.meier@firma.de⟧, oder", "⟦jane@example.com⟧'s inbox",
        "**⟦jane@example.com⟧**", "_⟦jane@example.com⟧_", "`⟦jane@example.com⟧`",
        "jane's: ⟦jane-d@ex-ample.com⟧!", "⟦jané@example.com⟧", "⟦J.Doe@students.uni-x.ac.at⟧",
    ],
    "phone-intl": [
        "⟦+14155552671⟧", "call ⟦+1 (415) 555-2671⟧", "⟦+1.415.555.2671⟧", "⟦+1-415-555-2671 x123⟧",
        "⟦+1 415 555 2671 ext 99⟧", "⟦+44 (0)20 7946 0958⟧", "⟦+44(0)2079460958⟧",
        "⟦+447911123456⟧", "⟦0044 7911 123456⟧", "⟦+49 (0) 30 / 901820⟧", "⟦0049 30 901820⟧",
        "⟦+49-30-901820-12⟧", "⟦+49 170 1234567⟧", "⟦+491701234567⟧", "⟦+33 (0)1 42 68 53 00⟧",
        "⟦+33612345678⟧", "⟦0033 6 12 34 56 78⟧", "⟦+34 91 345 67 89⟧", "⟦+34612345678⟧",
        "⟦+39 347 123 4567⟧", "⟦+55 (11) 91234-5678⟧", "⟦+5511912345678⟧", "⟦+81 90-1234-5678⟧",
        "⟦+81 (0)90-1234-5678⟧", "⟦+819012345678⟧", "⟦+82 10-1234-5678⟧", "⟦+86 139 1234 5678⟧",
        "⟦+91-98765-43210⟧", "⟦+91 (22) 2345 6789⟧", "⟦+919876543210⟧", "⟦+61 412 345 678⟧",
        "⟦+61 (0)2 9876 5432⟧", "⟦+64 21 123 4567⟧", "⟦+65 6123 4567⟧", "⟦+852 2123 4567⟧",
        "⟦+886 912 345 678⟧", "⟦+62 812-3456-7890⟧", "⟦+63 917 123 4567⟧", "⟦+66 81 234 5678⟧",
        "⟦+84 91 234 56 78⟧", "⟦+90 532 123 45 67⟧", "⟦+972-50-123-4567⟧", "⟦+966 50 123 4567⟧",
        "⟦+20 100 123 4567⟧", "⟦+234 803 123 4567⟧", "⟦+254 712 345678⟧", "⟦+380 67 123 45 67⟧",
        "⟦+7 (916) 123-45-67⟧", "⟦8 (916) 123-45-67⟧ позвоните", "⟦+1 876 555 1234⟧",
        "⟦+506 2234 5678⟧", "⟦+54 9 11 2345-6789⟧", "⟦+56 9 8765 4321⟧", "⟦+57 300 123 4567⟧",
        "⟦+385 91 123 4567⟧", "⟦+370 612 34567⟧", "⟦+372 5123 4567⟧", "⟦+354 581 2345⟧",
        "⟦+352 621 123 456⟧", "⟦(+49) 170 1234567⟧", "⟦[+44] 7911 123456⟧", "⟦＋４４ ７９１１ １２３４５６⟧",
        "⟦+44 7911 123456⟧", "⟦+44\xa07911\xa0123\xa0456⟧", "⟦+49‑170‑1234567⟧",
        "dial ⟦011 44 20 7946 0958⟧", "⟦٠٥٠ ١٢٣ ٤٥٦٧⟧ اتصل", "⟦+৯১ ৯৮৭৬৫ ৪৩২১০⟧",
        "⟦+1 4 1 5 5 5 5 2 6 7 1⟧", "phone=%2B⟦14155552671⟧", "⟦+43 664 1234567⟧ DW 12",
    ],
    "phone-nat": [
        "Tel: ⟦030 901820⟧", "Tel. (⟦030) 90 18 20⟧", "Telefon ⟦089/1234-567⟧",
        "Mobil: ⟦0171/1234567⟧", "⟦0171 - 123 45 67⟧", "Fax: ⟦(089) 12 34 56-78⟧",
        "Mobil ⟦01711234567⟧", "tél : ⟦0142685300⟧", "Tél. ⟦01.42.68.53.00⟧",
        "portable ⟦06 12 34 56 78⟧", "⟦06-12-34-56-78⟧", "GSM: ⟦0470/12.34.56⟧",
        "Gsm ⟦0470 12 34 56⟧", "natel ⟦079 123 45 67⟧", "tel ⟦044 668 18 00⟧",
        "teléfono: ⟦91 345 67 89⟧", "móvil ⟦612 34 56 78⟧", "tlf ⟦612.345.678⟧",
        "telefono ⟦06 6982 1234⟧", "cell. ⟦347 1234567⟧", "cellulare: ⟦347/1234567⟧",
        "telefone: ⟦(11) 91234-5678⟧", "celular ⟦11 91234-5678⟧", "⟦(11) 3123-4567⟧ liga",
        "telemóvel ⟦912 345 678⟧", "電話：⟦03-1234-5678⟧", "携帯 ⟦090-1234-5678⟧", "TEL ⟦０３－１２３４－５６７８⟧",
        "电话：⟦13812345678⟧", "手机号⟦138 1234 5678⟧", "手机: ⟦138-1234-5678⟧", "전화 ⟦010-1234-5678⟧",
        "телефон: ⟦8 916 123-45-67⟧", "тел. ⟦89161234567⟧", "mobile: ⟦98765 43210⟧",
        "Mob ⟦9876543210⟧", "ph. no. ⟦022-23456789⟧", "call me on ⟦07700 900 123⟧",
        "⟦(020) 7946 0958⟧", "⟦020 7946 0958⟧ today", "⟦0161 496 0000⟧", "phone: ⟦(02) 9876 5432⟧",
        "mob: ⟦0412 345 678⟧", "⟦0412 345 678⟧ mate", "⟦415-555-2671⟧", "⟦(415)555-2671⟧",
        "⟦415.555.2671⟧", "⟦415 555 2671⟧", "⟦1 (415) 555-2671⟧", "tel:⟦4155552671⟧",
        "tel=⟦4155552671⟧", "phone_number=⟦4155552671⟧", '"phoneNumber":"⟦4155552671⟧"',
        '"mobile_no" : ⟦9876543210⟧', "<phone>⟦4155552671⟧</phone>",
        "<Telephone type='home'>⟦4155552671⟧</Telephone>", "phone: '⟦555-2671⟧'",
        "msisdn=⟦447911123456⟧", "caller=⟦4155552671⟧", "callerid: ⟦4155552671⟧",
        "SMS sent to ⟦4155552671⟧", "sms to ⟦447911123456⟧ failed", "WhatsApp ⟦447911123456⟧",
        "reach me at ⟦415 555 2671⟧", "my number is ⟦4155552671⟧",
        "meine Nummer ist ⟦0170 1234567⟧", "Handynummer: ⟦0151-23456789⟧",
        "Ruf mich unter ⟦0151 23456789⟧ an", "mon numéro est le ⟦06 12 34 56 78⟧",
        "mi número es ⟦612345678⟧", "il mio numero è ⟦347 1234567⟧", "meu número é ⟦11912345678⟧",
        "telefoonnummer: ⟦06-12345678⟧", "tel.nr. ⟦020-1234567⟧", "numer telefonu: ⟦501 234 567⟧",
        "tel. kom. ⟦501-234-567⟧", "mobilnummer: ⟦070-123 45 67⟧", "tlf: ⟦22 12 34 56⟧",
        "puhelin: ⟦040 1234567⟧", "telefon: ⟦0532 123 45 67⟧", "phone 1: ⟦415-555-2671⟧",
        "Phone (home): ⟦415-555-2671⟧", "Ph#: ⟦415-555-2671⟧",
        "H: ⟦415-555-2671⟧ W: ⟦415-555-2672⟧", "T: ⟦+44 20 7946 0958⟧ | M: ⟦+44 7911 123456⟧",
        "P ⟦(415) 555-2671⟧ F ⟦(415) 555-2672⟧", "emergency contact: Bob ⟦415-555-2671⟧",
        "phone:\n⟦415-555-2671⟧", "toll-free ⟦1-800-555-1234⟧", "⟦800.555.1234⟧", "⟦415–555–2671⟧",
        "⟦415‑555‑2671⟧", "⟦４１５－５５５－２６７１⟧", "fax no ⟦4155552671⟧", "phone|⟦4155552671⟧|",
        "contact number ⟦07700900123⟧", "Numéro de téléphone : ⟦0612345678⟧",
        "Telefonnummer lautet ⟦0221 470123⟧", "número de teléfono ⟦612345678⟧",
        "ring me: ⟦07700900123⟧", "whatsapp:⟦+447911123456⟧", "&phone=⟦4155552671⟧&",
        "?tel=⟦%2B14155552671⟧",
    ],
    "card": [
        "PAN=⟦4111111111111111⟧", "kartennummer ⟦4111 1111 1111 1111⟧",
        "tarjeta ⟦4111·1111·1111·1111⟧", "⟦4111\xa01111\xa01111\xa01111⟧",
        "⟦4111\u20091111\u20091111\u20091111⟧", "⟦4111\u200b1111\u200b1111\u200b1111⟧",
        "⟦4111 - 1111 - 1111 - 1111⟧", "⟦4111_1111_1111_1111⟧", "⟦4111/1111/1111/1111⟧",
        "card⟦\n4111 1111\n1111 1111⟧", "⟦4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1⟧",
        "%B⟦4111111111111111⟧^DOE/JOHN^2512101", ";⟦4111111111111111⟧=25121010000?",
        "visa ⟦4111111111111111⟧|12|2027|123", "cc_num,⟦4111111111111111⟧,visa",
        "x4111: ⟦4111111111111111⟧", "card_number=⟦4111+1111+1111+1111⟧&cvv",
        "card=⟦4111%201111%201111%201111⟧", "⟦4111  1111  1111  1111⟧", "№⟦4111111111111111⟧",
        "卡号：⟦4111111111111111⟧", "⟦٤١١١ ١١١١ ١١١١ ١١١١⟧",
    ],
    "iban": [
        "IBAN:⟦DE89\xa03704\xa00044\xa00532\xa00130\xa000⟧", "⟦DE89.3704.0044.0532.0130.00⟧",
        "⟦De89 3704 0044 0532 0130 00⟧", "⟦DE 89 3704 0044 0532 0130 00⟧",
        "⟦DE89 37040044 0532013000⟧", "⟦ＤＥ８９ ３７０４ ００４４ ０５３２ ０１３０ ００⟧",
        "acct ⟦FR14 2004 1010 0505 0001 3m02 606⟧", "<IBAN>⟦DE89370400440532013000⟧</IBAN>",
        "IBAN_⟦DE89370400440532013000⟧", "⟦DE89\n3704 0044 0532\n0130 00⟧",
        "IBAN ⟦DE89 3704 0044 0532 0130 00⟧ BIC COBADEFFXXX", "⟦DE89%20370400440532013000⟧",
    ],
    "ssn": [
        "SSN: ⟦123-45-6789⟧", "ssn=⟦123456789⟧", '"ssn": "⟦123-45-6789⟧"', '"ssn":⟦123456789⟧',
        "<ssn>⟦123456789⟧</ssn>", '<SSN type="x">⟦123 45 6789⟧</SSN>',
        "social security no. ⟦123 45 6789⟧", "Social Security Number (SSN) ⟦123.45.6789⟧",
        "ITIN ⟦912-70-1234⟧", "itin: ⟦912701234⟧", "my social is ⟦123-45-6789⟧",
        "S.S.N. ⟦123-45-6789⟧", "SS# ⟦123-45-6789⟧", "SS#: ⟦123456789⟧", "soc sec no ⟦123456789⟧",
        "⟦123–45–6789⟧", "⟦123‑45‑6789⟧", "⟦１２３－４５－６７８９⟧", "ssn⟦:123\u200b-45-\u200b6789⟧",
        "⟦123 - 45 - 6789⟧ ssn", "taxpayer ID ⟦912-70-1234⟧", "ssn_number=⟦123456789⟧",
        "SocialSecurityNumber=⟦123456789⟧", "social_security: ⟦123456789⟧",
        "last4 ssn; full ⟦123-45-6789⟧", "SSN ending... no: ⟦123-45-6789⟧",
        "ssn => '⟦123-45-6789⟧'", "⟦123-45-6789⟧ is my social", "patient SSN was ⟦123456789⟧ today",
        "snn/ssn - ⟦123456789⟧", "ssn|⟦123456789⟧|", "SSN\t⟦123456789⟧", "SSN\n⟦123-45-6789⟧",
        "social insurance number ⟦046 454 286⟧", "SIN: ⟦046-454-286⟧", "SIN ⟦046454286⟧",
    ],
    "natid": [
        "NHS number: ⟦943 476 5919⟧", "NHS No ⟦9434765919⟧", "nhs_number=⟦9434765919⟧",
        "⟦943-476-5919⟧ nhs number", "NINO ⟦AB123456C⟧", "National Insurance: ⟦ab 12 34 56 c⟧",
        "NI no. ⟦QQ 12 34 56 C⟧", "DNI: ⟦12345678Z⟧", "dni ⟦12.345.678-Z⟧", "NIF ⟦12345678-Z⟧",
        "NIE: ⟦X-1234567-L⟧", "nie ⟦y1234567x⟧", "DNI nº ⟦12345678⟧", "CIF: ⟦B12345678⟧",
        "CIF ⟦A58818501⟧", "NIR : ⟦1 85 05 78 006 084 91⟧", "sécurité sociale ⟦185057800608491⟧",
        "n° sécu: ⟦1 85 05 78 006 084⟧", "numéro INSEE ⟦2 69 05 49 588 157 80⟧",
        "INSEE: ⟦269054958815780⟧", "Steuer-ID: ⟦86095742719⟧", "IdNr. ⟦86 095 742 719⟧",
        "Steueridentifikationsnummer ⟦86095742719⟧", "Steuernummer ⟦21/815/08150⟧",
        "St.-Nr. ⟦181/815/08155⟧", "USt-IdNr. ⟦DE136695976⟧", "Personalausweis ⟦T22000129⟧",
        "Ausweisnummer: ⟦L01X00T471⟧", "Sozialversicherungsnr. ⟦65 170839 J 003⟧",
        "SV-Nummer ⟦65170839J003⟧", "KVNR: ⟦A123456780⟧", "SVNR (AT): ⟦1237 010180⟧",
        "codice fiscale: ⟦RSSMRA85T10A562S⟧", "C.F. ⟦rssmra85t10a562s⟧",
        "cod. fisc. ⟦RSS MRA 85T10 A562 S⟧", "P.IVA ⟦12345678903⟧", "partita IVA: ⟦12345678903⟧",
        "carta d'identità n. ⟦CA12345AB⟧", "CPF: ⟦529.982.247-25⟧", "cpf ⟦52998224725⟧",
        "CPF nº ⟦529982247-25⟧", "CNPJ ⟦11.222.333/0001-81⟧", "RG: ⟦12.345.678-9⟧",
        "RG ⟦123456789⟧", "CNH: ⟦12345678900⟧", "PIS/PASEP ⟦120.12345.67-8⟧",
        "título de eleitor: ⟦1234 5678 9012⟧", "Aadhaar: ⟦2345 6789 0124⟧",
        "aadhar no ⟦234567890124⟧", "UIDAI ⟦2345-6789-0124⟧", "PAN: ⟦ABCPE1234F⟧",
        "PAN card ⟦ABCPE1234F⟧", "my pan is ⟦abcpe1234f⟧", "GSTIN ⟦22AAAAA0000A1Z5⟧",
        "voter id ⟦ABC1234567⟧", "EPIC no: ⟦ABC1234567⟧", "TFN: ⟦123 456 782⟧",
        "tax file number ⟦123456782⟧", "Medicare no. ⟦2123 45670 1⟧",
        "Medicare number: ⟦1EG4-TE5-MK73⟧", "MBI ⟦1EG4TE5MK73⟧", "ABN ⟦51 824 753 556⟧",
        "ACN: ⟦004 085 616⟧", "AHV: ⟦756.9217.0769.85⟧", "⟦756.9217.0769.85⟧ steht da",
        "AVS n° ⟦7569217076985⟧", "personnummer: ⟦19811218-9876⟧", "⟦811218-9876⟧ personnummer",
        "henkilötunnus: ⟦131052-308T⟧", "HETU ⟦131052-308T⟧", "CPR-nr. ⟦070761-4285⟧",
        "CPR: ⟦0707614285⟧", "fødselsnummer: ⟦13097248022⟧", "fødselsnr ⟦130972 48022⟧",
        "kennitala ⟦120174-3399⟧", "BSN: ⟦111222333⟧", "burgerservicenummer ⟦1112.22.333⟧",
        "BSN-nummer: ⟦123456782⟧", "PESEL: ⟦44051401359⟧", "pesel=⟦44051401359⟧",
        "NIP ⟦526-000-12-46⟧", "REGON: ⟦123456785⟧", "dowód osobisty ⟦ABA300000⟧",
        "rodné číslo: ⟦736028/5163⟧", "r.č. ⟦736028/5163⟧", "CNP: ⟦1800101221144⟧",
        "EGN ⟦7523169263⟧", "OIB: ⟦33392005961⟧", "EMŠO ⟦0101006500006⟧", "JMBG: ⟦0101006500006⟧",
        "TAJ szám: ⟦111 111 110⟧", "AMKA: ⟦01010100000⟧", "ΑΦΜ: ⟦123456789⟧", "ИНН: ⟦500100732259⟧",
        "ИНН ⟦7707083893⟧", "СНИЛС: ⟦112-233-445 95⟧", "паспорт ⟦4509 123456⟧",
        "паспорт серия ⟦4509 № 123456⟧", "РНОКПП ⟦1234567899⟧", "TC Kimlik No: ⟦10000000146⟧",
        "T.C. kimlik ⟦10000000146⟧", "isikukood ⟦37605030299⟧", "asmens kodas: ⟦33309240064⟧",
        "personas kods ⟦161175-19997⟧", "PPSN: ⟦1234567T⟧", "PPS number ⟦1234567FA⟧",
        "NIF: ⟦123456789⟧", "contribuinte ⟦123 456 789⟧", "cartão de cidadão ⟦00000000 0 ZZ4⟧",
        "CURP: ⟦GODE561231HDFRRN04⟧", "⟦GODE561231HDFRRN04⟧ es", "RFC: ⟦GODE561231GR8⟧",
        "RUT: ⟦12.345.678-5⟧", "rut ⟦12345678-5⟧", "RUN ⟦12.345.678-5⟧", "CUIT: ⟦20-12345678-6⟧",
        "CUIL ⟦20-12345678-6⟧", "cédula: ⟦1712345678⟧", "cédula de ciudadanía ⟦1.023.456.789⟧",
        "C.C. ⟦1.023.456.789⟧", "身份证号：⟦11010519491231002X⟧", "⟦11010519491231002X⟧ 身份证",
        "身份证 ⟦440524188001010014⟧", "マイナンバー：⟦1234 5678 9018⟧", "個人番号 ⟦123456789018⟧",
        "주민등록번호 ⟦900101-1234567⟧", "⟦900101-1234567⟧ 주민", "NRIC: ⟦S1234567D⟧", "FIN ⟦G1234567X⟧",
        "HKID: ⟦A123456(3)⟧", "MyKad ⟦900101-14-1234⟧", "IC no. ⟦900101-14-1234⟧",
        "NIK: ⟦3171234567890123⟧", "KTP ⟦3171234567890123⟧", "Thai ID ⟦1-2345-67890-12-1⟧",
        "teudat zehut ⟦123456782⟧", "CNIC: ⟦35202-1234567-1⟧", "SA ID number ⟦8001015009087⟧",
        "ID number: ⟦8001015009087⟧", "BVN ⟦12345678901⟧", "NIN: ⟦12345678901⟧",
        "Emirates ID ⟦784-1980-1234567-1⟧", "⟦784-1980-1234567-1⟧ EID", "iqama ⟦2123456789⟧",
        "national ID no. ⟦1234567890⟧", "NPI ⟦1234567893⟧", "DEA # ⟦AB1234563⟧",
        "EIN: ⟦12-3456789⟧", "EIN ⟦123456789⟧", "VAT no. ⟦GB123456789⟧", "UTR: ⟦1234567890⟧",
        "Rijksregisternummer ⟦85.07.30-033.28⟧", "numéro national: ⟦85073003328⟧",
        "NISS ⟦85073003328⟧",
    ],
    "docs": [
        "passport no. ⟦123456789⟧", "Passport: ⟦X1234567⟧", "passport_number=⟦C01X00T47⟧",
        "US passport ⟦A12345678⟧", "passport # ⟦512345678⟧", "numéro de passeport ⟦12AB34567⟧",
        "Reisepass: ⟦C4J9Z2K17⟧", "Reisepassnummer ⟦C4J9Z2K17⟧", "pasaporte: ⟦AAB123456⟧",
        "passaporto n. ⟦YA1234567⟧", "passaporte ⟦FZ123456⟧", "paspoortnummer ⟦NW1234567⟧",
        "паспорт № ⟦123456789⟧", "护照号 ⟦E12345678⟧", "パスポート番号 ⟦TK1234567⟧",
        "driver license: ⟦D1234567⟧", "driver's licence ⟦MORGA753116SM9IJ⟧", "DL# ⟦D1234567⟧",
        "DL no ⟦Y1234567⟧", "DL: ⟦S123-4567-8901⟧", "driving licence number ⟦MORGA 753116 SM9IJ⟧",
        "Führerschein-Nr. ⟦B072RRE2I55⟧", "Führerscheinnummer: ⟦B072RRE2I55⟧",
        "permis n° ⟦12AA34567⟧", "permis de conduire ⟦851175000012⟧",
        "permiso de conducir ⟦12345678Z⟧", "patente di guida ⟦AB1234567X⟧",
        "license number ⟦D123-456-789-012⟧", "licence no ⟦1234567⟧", "license plate ⟦7ABC123⟧",
        "plate: ⟦ABC-1234⟧", "plate no ⟦AB12 CDE⟧", "Kennzeichen: ⟦M-AB 1234⟧",
        "Kfz-Kennzeichen ⟦HH-XY 99E⟧", "immatriculation ⟦AB-123-CD⟧", "immatriculé ⟦AB-123-CD⟧",
        "matrícula: ⟦1234 BCD⟧", "matrícula ⟦M-1234-AB⟧", "targa ⟦AB 123 CD⟧", "placa ⟦ABC-1234⟧",
        "placa ⟦ABC1D23⟧", "kenteken ⟦12-ABC-3⟧", "rejestracja ⟦WA 12345⟧", "reg. ⟦AB12 CDE⟧",
        "number plate ⟦AB12CDE⟧", "госномер ⟦А123ВС77⟧", "VIN: ⟦1HGCM82633A004352⟧",
        "⟦1HGCM82633A004352⟧ honda", "Fahrgestellnummer ⟦WVWZZZ1JZXW000001⟧",
        "IMEI: ⟦490154203237518⟧", "imei=⟦49-015420-323751-8⟧", "IMSI ⟦310150123456789⟧",
        "ICCID: ⟦89014103211118510720⟧", "serial number ⟦C02XK1Y7JGH5⟧", "S/N: ⟦C02XK1Y7JGH5⟧",
        "device id: ⟦a1b2c3d4e5f6⟧", "visa number ⟦12345678⟧", "green card ⟦SRC1234567890⟧",
        "A-Number: ⟦A012345678⟧", "alien registration number ⟦A 012 345 678⟧",
        "residence permit ⟦RX1234567⟧", "birth certificate no ⟦123456⟧",
    ],
    "labelled": [
        "MRN: ⟦00123456⟧", "MRN#⟦123456⟧", "MRN ⟦12-34-56⟧", "mrn=⟦A0012345⟧", "mrn:⟦987654⟧;",
        "patient id=⟦P-0012345⟧", "Patient ID: ⟦12345⟧", "patient_id: ⟦483920⟧",
        "patientId=⟦483920⟧", '"patient_id": ⟦483920⟧', "'patient_id': '⟦483920⟧'",
        "<PatientID>⟦483920⟧</PatientID>", '<patient id="⟦483920⟧">', "Patienten-ID ⟦483920⟧",
        "Patientennummer: ⟦483920⟧", "Pat.-Nr. ⟦483920⟧", "n° patient : ⟦483920⟧",
        "IPP: ⟦8003920114⟧", "numéro de patient ⟦483920⟧", "nº de paciente: ⟦483920⟧",
        "ID paciente ⟦483920⟧", "historia clínica nº ⟦483920⟧", "NHC ⟦483920⟧",
        "prontuário: ⟦483920⟧", "cartella clinica n. ⟦483920⟧", "номер карты пациента ⟦483920⟧",
        "病历号：⟦483920⟧", "患者ID：⟦483920⟧", "medical record no ⟦483920⟧", "Medical Record #: ⟦483920⟧",
        "med rec ⟦483920⟧", "hospital no. ⟦H483920⟧", "hospital number: ⟦483920⟧",
        "Unit No: ⟦483920⟧", "chart # ⟦483920⟧", "encounter ⟦E48392011⟧", "visit id ⟦V48392011⟧",
        "accession number ⟦A23-004512⟧", "specimen id: ⟦S23-12345⟧", "account number ⟦0012345678⟧",
        "Acct # ⟦12345678⟧", "acct: ⟦12345678⟧", "a/c no. ⟦12345678⟧", "account=⟦12345678⟧",
        "account_id=⟦12345678⟧", "accountNumber:⟦12345678⟧", "bank account ⟦12345678⟧",
        "savings account ⟦000123456789⟧", "routing number ⟦021000021⟧", "ABA ⟦021000021⟧",
        "sort code ⟦12-34-56⟧", "BSB ⟦062-000⟧", "Kontonummer: ⟦532013000⟧", "Konto ⟦532013000⟧",
        "BLZ ⟦370 400 44⟧", "Kto.-Nr. ⟦532013000⟧", "compte n° ⟦00012345678⟧",
        "numéro de compte : ⟦00012345678⟧", "RIB ⟦20041 01005 0500013M026 06⟧",
        "cuenta ⟦2100 0418 45 0200051332⟧", "nº de cuenta: ⟦21000418450200051332⟧",
        "CLABE ⟦032180000118359719⟧", "conto corrente ⟦000000123456⟧", "conta corrente ⟦12345-6⟧",
        "agência 1234 conta ⟦56789-0⟧", "IFSC code HDFC0001234 a/c ⟦50100012345678⟧",
        "口座番号 ⟦1234567⟧", "银行账号：⟦6222021234567890123⟧", "номер счета ⟦40817810099910004312⟧",
        "rekeningnummer ⟦123456789⟧", "policy number ⟦HX-4820-993⟧", "Policy #⟦4820993⟧",
        "policy: ⟦POL4820993⟧", "policy_no=⟦4820993⟧", "Versicherungsnummer ⟦4820993⟧",
        "Versicherungsschein-Nr.: ⟦KV 4820993⟧", "Vertragsnummer ⟦V-4820993⟧",
        "numéro de contrat ⟦4820993⟧", "n° de police ⟦4820993⟧", "póliza ⟦4820993⟧",
        "número de póliza: ⟦4820993⟧", "polizza n. ⟦4820993⟧", "apólice ⟦4820993⟧",
        "polisnummer ⟦4820993⟧", "member ID: ⟦XYZ123456789⟧", "Member # ⟦123456⟧",
        "membership no ⟦123456⟧", "memberId=⟦123456⟧", "subscriber id ⟦XYZ123456789⟧",
        "group number ⟦0071234⟧", "Mitgliedsnummer ⟦123456⟧", "numéro d'adhérent ⟦123456⟧",
        "número de socio ⟦123456⟧", "beneficiary ID ⟦123456789A⟧", "Medicaid ID ⟦AB12345C⟧",
        "claim number ⟦CLM-2023-00912⟧", "claim # ⟦2023009121⟧", "Schadennummer ⟦2023009121⟧",
        "n° de sinistre ⟦2023009121⟧", "siniestro ⟦2023009121⟧", "loan number ⟦7000123456⟧",
        "loan # ⟦7000123456⟧", "mortgage no. ⟦7000123456⟧", "Darlehensnummer ⟦7000123456⟧",
        "employee ID ⟦E123456⟧", "employee number: ⟦123456⟧", "emp id ⟦123456⟧", "emp_no=⟦123456⟧",
        "EmployeeID=⟦123456⟧", "staff no ⟦123456⟧", "Personalnummer ⟦00123456⟧",
        "Pers.-Nr. ⟦00123456⟧", "matricule ⟦123456⟧", "número de empleado ⟦123456⟧",
        "matricola ⟦123456⟧", "badge number ⟦12345⟧", "student ID ⟦20231234⟧",
        "Matrikelnummer ⟦1234567⟧", "numéro étudiant ⟦20231234⟧", "matrícula de aluno ⟦20231234⟧",
        "case number ⟦2023-CV-001234⟧", "case no ⟦12-3456⟧", "Case ID: ⟦CAS-123456⟧",
        "docket ⟦CR-2023-0456⟧", "docket no. ⟦2023-0456⟧", "file number ⟦2023/4567⟧",
        "Aktenzeichen: ⟦3 C 123/22⟧", "Az.: ⟦12 O 345/21⟧", "Gz. ⟦IV-2023/1234⟧",
        "dossier n° ⟦2023/04512⟧", "RG n° ⟦22/04512⟧", "expediente nº ⟦1234/2023⟧",
        "procedimiento ⟦123/2023⟧", "autos nº ⟦123/2023⟧", "proc. n. ⟦1234/2023⟧",
        "processo nº ⟦0001234-56.2023.8.26.0100⟧", "zaaknummer ⟦C/09/123456⟧",
        "sygn. akt ⟦II C 123/22⟧", "дело № ⟦А40-12345/2023⟧", "customer number ⟦100234567⟧",
        "Customer No.: ⟦100234567⟧", "customer_id=⟦100234567⟧", "cust no ⟦100234567⟧",
        "client ID ⟦100234567⟧", "Kundennr. ⟦100234567⟧", "Kd.-Nr.: ⟦100234567⟧",
        "numéro client ⟦100234567⟧", "número de cliente ⟦100234567⟧", "codice cliente ⟦100234567⟧",
        "klantnummer ⟦100234567⟧", "taxpayer number ⟦123456789⟧",
        "frequent flyer number ⟦AA1234567⟧", "loyalty no ⟦1234567890⟧",
        "library card ⟦21234001234567⟧", "voter registration ⟦VR1234567⟧", "inmate number ⟦A12345⟧",
        "prisoner no. ⟦A1234BC⟧", "license no. ⟦RN123456⟧", "bar number ⟦123456⟧",
        "nº colegiado ⟦282812345⟧", "applicant ID ⟦123456⟧", "SWIFT transfer to a/c ⟦12345678⟧",
        "userid: ⟦88213044⟧", "user_id=⟦88213044⟧", "uid=⟦88213044⟧",
        "device serial: ⟦SN-99812-AB⟧", "prescription no. ⟦7654321⟧", "Rx# ⟦7654321⟧",
        "Rx number: ⟦7654321⟧", "donor ID ⟦D123456⟧", "participant id: ⟦PT-00123⟧",
        "subject ID ⟦SUBJ-0012⟧", "insurance id ⟦W123456789⟧", "insurance no: ⟦123456789⟧",
        "health card number ⟦1234-567-890-AB⟧", "OHIP ⟦1234567890⟧", "PHN: ⟦9123456789⟧",
        "CHI number ⟦0101011234⟧", "tarjeta sanitaria: ⟦ABCD123456789012⟧",
        "CIP ⟦ABCD123456789012⟧", "SIP ⟦12345678⟧",
    ],
    "table": [
        "name,mrn,dob\nAnn,⟦0012345⟧,⟦1980-01-02⟧", "id\tpassport_no\n1\t⟦X1234567⟧",
        "Name;Kundennr;PLZ\nAnn;⟦123456⟧;⟦50667⟧",
        "| name | member id |\n| --- | --- |\n| Ann | ⟦123456⟧ |",
        "patient_id,visit\n⟦48392⟧,3\n⟦48393⟧,4", "mrn: ⟦48392⟧\nname: Ann", "mrn:\n  - ⟦48392⟧",
        "patient:\n  id: ⟦48392⟧\n  name: Ann", "patient: {id: ⟦48392⟧}",
        '{"patient":{"id":"⟦48392⟧"}}', '{"passport":{"number":"⟦X1234567⟧"}}',
        "<passport><number>⟦X1234567⟧</number></passport>", "/users/⟦88213044⟧/orders",
        "/api/patient/⟦48392⟧", "?mrn=⟦48392⟧&x=1", "mrn%3D⟦48392011⟧", "SSN;Name\n⟦123456789⟧;Ann",
        "--mrn ⟦48392⟧", "MRN\t⟦48392⟧", "MRN  :  ⟦48392⟧", "MRN -> ⟦48392⟧", "MRN→⟦48392⟧",
        "MRN is: ⟦48392⟧", "MRN\n⟦48392011⟧", "MRN = “⟦48392⟧”", "[mrn] ⟦48392⟧", "(mrn ⟦48392⟧)",
        "mrn/⟦48392⟧", "<td>MRN</td><td>⟦48392⟧</td>", "<b>MRN:</b> ⟦48392⟧", "MRN:** ⟦48392⟧",
        "**MRN**: ⟦48392⟧", "MRN ｜ ⟦48392⟧", "MRN：⟦48392⟧", "MRN: ⟦４８３９２⟧",
        "mrn: &quot;⟦48392⟧&quot;", '{\\"mrn\\":\\"⟦48392⟧\\"}', 'mrn="⟦48392⟧"',
        '"mrn" => "⟦48392⟧"', "WHERE mrn = '⟦48392⟧'", "mrn IN (⟦48392⟧, ⟦48393⟧)",
        "MRNs: ⟦48392⟧, ⟦48393⟧ and ⟦48394⟧", "accounts ⟦12345678⟧ and ⟦87654321⟧",
    ],
    "ip": [
        "⟦192.168.0.1⟧", "ping ⟦8.8.8.8⟧", "ip ⟦1.2.3.4⟧", "src=⟦172.16.254.1⟧:443", "⟦10.0.0.0⟧/8",
        "⟦203.0.113.7⟧.", 'client_ip":"⟦203.0.113.7⟧"', "[⟦203.0.113.7⟧]",
        "⟦203.0.113.7⟧,⟦198.51.100.2⟧", "X-Forwarded-For: ⟦203.0.113.7⟧, ⟦70.41.3.18⟧",
        "from ⟦2001:db8::1⟧", "[⟦2001:db8::1⟧]:443", "⟦2001:db8::⟧/32", "⟦::ffff:203.0.113.7⟧",
        "⟦64:ff9b::192.0.2.33⟧", "⟦2001:DB8:0:0:8:800:200C:417A⟧", "⟦203[.]0[.]113[.]7⟧",
        "⟦203.0.113[.]7⟧", "ip-⟦203-0-113-7⟧.ec2", "host ⟦203.0.113.7⟧:8080/path",
        "from ⟦203.0.113.7⟧", "IP地址：⟦203.0.113.7⟧", "⟦２０３．０．１１３．７⟧",
        "remote ⟦203.0.113.7⟧ -> ⟦198.51.100.2⟧", "⟦203.0.113.7⟧-⟦203.0.113.99⟧",
        "sshd: from ⟦203.0.113.7⟧ port 22 ssh2", "⟦203.0.113.7⟧ - - [10/Oct/2000:13:55:36 -0700]",
        "ip=⟦5.6.7.8⟧", "IP address is ⟦12.13.14.15⟧", "logged in from ⟦5.6.7.8⟧",
        "SRC=⟦5.6.7.8⟧ DST=⟦9.10.11.12⟧", "remote_addr: ⟦23.4.5.6⟧", "⟦255.255.255.255⟧",
        "⟦2a02:26f0:10e::5f64:3a2b⟧", "inet6 ⟦fe80::a00:27ff:fe4e:66a1⟧/64",
        "login IP: ⟦14.2.3.19⟧", "⟦203.0.113.7⟧/login", "@⟦203.0.113.7⟧",
    ],
    "mac": [
        "⟦00:1A:2B:3C:4D:5E⟧", "⟦00-1a-2b-3c-4d-5e⟧", "⟦001A.2B3C.4D5E⟧", "mac=⟦001A2B3C4D5E⟧",
        "MAC address: ⟦00:1a:2b:3c:4d:5e⟧,", "ether ⟦00:1a:2b:3c:4d:5e⟧",
    ],
    "url": [
        "⟦https://jane:s3cret@host.example/x⟧", "⟦http://example.com/reset?token=abc⟧,",
        "see ⟦https://example.com/a_(b)⟧.", "⟦www.facebook.com/jane.doe⟧",
        "⟦linkedin.com/in/jane-doe-123⟧", "⟦github.com/janedoe⟧ profile",
        "⟦facebook.com/jane.doe.9⟧", "⟦https://bücher.example/jane⟧",
        "⟦hxxps://evil[.]example/jane⟧", "⟦postgres://jane:pw@db.example:5432/x⟧",
        "⟦mongodb+srv://jane:pw@c.example/db⟧", "⟦redis://:pw@10.0.0.1:6379⟧",
        "⟦ftp://jane@ftp.example⟧", "⟦s3://bucket-jane/x.csv⟧", "<⟦https://example.com/u/jane⟧>",
        "[x](⟦https://example.com/u/jane⟧)", "href='⟦https://example.com/u/jane⟧'",
        "⟦HTTPS://EXAMPLE.COM/JANE⟧", "url=⟦https%3A%2F%2Fexample.com%2Fjane⟧", "⟦t.me/janedoe⟧",
        "⟦instagram.com/jane_doe⟧", "⟦https:\\/\\/example.com\\/u\\/jane⟧",
        "⟦http://localhost:8080/users/jane⟧", "⟦http://192.168.1.4/cgi⟧", "⟦example.com/~jane⟧",
        "⟦jane-doe.example.com/cv.pdf⟧", "homepage ⟦www.jane-doe.de⟧", "⟦ws://x.example/jane⟧",
        "⟦https://example.com/jane⟧\nnext", "⟦https://maps.example/?q=1,2⟧;",
    ],
    "dob": [
        "DOB: ⟦01/02/1980⟧", "dob ⟦1980-02-01⟧", "D.O.B. ⟦1 Feb 1980⟧",
        "Date of Birth: ⟦February 1, 1980⟧", "date of birth - ⟦01-Feb-1980⟧",
        "born on ⟦Feb 1st, 1980⟧", "born ⟦1st of February 1980⟧", "born in ⟦February 1980⟧",
        "birthday: ⟦01.02.80⟧", "birthdate=⟦19800201⟧", '"birthDate":"⟦1980-02-01⟧"',
        "<dob>⟦1980-02-01⟧</dob>", '<birthTime value="⟦19800201⟧"/>', "geb. ⟦01.02.1980⟧",
        "geboren am ⟦1. Februar 1980⟧", "Geb.-Datum ⟦1.2.80⟧", "*⟦01.02.1980⟧ in Köln",
        "né le ⟦1er février 1980⟧", "née le ⟦01/02/1980⟧", "date de naissance : ⟦01/02/1980⟧",
        "DDN: ⟦01/02/1980⟧", "nacido el ⟦1 de febrero de 1980⟧", "nacida: ⟦01-02-1980⟧",
        "F. Nac.: ⟦01/02/1980⟧", "fecha de nacimiento ⟦01/02/80⟧", "nato il ⟦1 febbraio 1980⟧",
        "data di nascita: ⟦01/02/1980⟧", "nascido em ⟦1 de fevereiro de 1980⟧",
        "data de nascimento ⟦01/02/1980⟧", "geboren op ⟦1 februari 1980⟧",
        "geboortedatum: ⟦01-02-1980⟧", "data urodzenia: ⟦01.02.1980⟧", "ur. ⟦1 lutego 1980⟧",
        "född ⟦1980-02-01⟧", "fødselsdato: ⟦01.02.1980⟧", "født ⟦1. februar 1980⟧",
        "syntymäaika ⟦1.2.1980⟧", "дата рождения: ⟦01.02.1980⟧", "родился ⟦1 февраля 1980⟧",
        "doğum tarihi ⟦01.02.1980⟧", "生年月日：⟦1980年2月1日⟧", "出生日期：⟦1980年02月01日⟧", "出生日期：⟦1980-02-01⟧",
        "생년월일 ⟦1980년 2월 1일⟧", "تاريخ الميلاد: ⟦1980/02/01⟧", "dob=⟦1980-02-01T00:00:00Z⟧",
        "DOB: ⟦02/1980⟧", "year of birth: ⟦1980⟧", "Geburtsjahr ⟦1980⟧", "⟦1980-02-01⟧ (dob)",
        "my birthday is ⟦February 1⟧", "birthday on ⟦1 Feb⟧", "dob: ⟦1980 Feb 01⟧",
        "dob:⟦1980.02.01⟧", "date_of_birth: !date ⟦1980-02-01⟧", "b. ⟦1 Feb 1980⟧",
        "d/o/b ⟦1/2/80⟧", "dob ⟦0１/０２/１９８０⟧", "deceased ⟦01/02/2020⟧",
        "date of death: ⟦2020-02-01⟧", "admitted ⟦01/02/2020⟧", "discharge date: ⟦02/03/2020⟧",
        "passport expires ⟦01/02/2030⟧", "expiry date ⟦01 FEB 2030⟧", "dob ⟦1/Feb/1980⟧",
        "dob: ⟦Feb-01-1980⟧", "dob: ⟦01 02 1980⟧",
    ],
    "age": [
        "aged ⟦93⟧", "a ⟦92⟧-year-old woman", "⟦101⟧ years old", "⟦95⟧ yo male", "⟦91⟧y/o",
        "age: ⟦90⟧", "Age ⟦99⟧", '"age": ⟦93⟧', "<age>⟦93⟧</age>", "⟦94⟧ Jahre alt",
        "⟦93⟧-jähriger Mann", "Alter: ⟦93⟧", "âgée de ⟦93 ans⟧", "de ⟦93 años⟧ de edad",
        "edad ⟦93⟧", "età ⟦93⟧", "⟦93⟧ jaar oud", "leeftijd ⟦93⟧", "⟦93⟧ anos de idade",
        "I'm ⟦93⟧.", "⟦93⟧F with COPD", "⟦93⟧M presents", "⟦93⟧ y.o.", "⟦93⟧ yr old",
        "turned ⟦93⟧ today", "at the age of ⟦93⟧", "⟦93⟧岁", "⟦93⟧歳",
    ],
    "address": [
        "⟦123 Main St⟧", "⟦123 Main Street, Apt 4B⟧", "lives at ⟦1600 Pennsylvania Ave NW⟧",
        "⟦42 Wallaby Way⟧, Sydney", "⟦221B Baker Street⟧, London", "⟦10 Downing St.⟧",
        "⟦Flat 3, 12 High Street⟧", "⟦Unit 5/22 George Street⟧", "⟦4711 N. Oak Blvd Suite 200⟧",
        "⟦1234 Elm Dr #5⟧", "⟦P.O. Box 123⟧", "⟦PO Box 9876⟧", "⟦RR 2 Box 152⟧", "⟦123 W 45th St⟧",
        "⟦350 Fifth Avenue⟧", "⟦1 Infinite Loop⟧", "⟦100 County Road 12⟧", "⟦123 main street⟧",
        "⟦123 MAIN STREET⟧", "address: ⟦77 Sunset Blvd⟧", '"street":"⟦12 Oak Lane⟧"',
        "⟦Hauptstraße 12⟧", "⟦Hauptstr. 12a⟧", "⟦Berliner Str. 5⟧", "⟦Am Markt 3⟧",
        "⟦Unter den Linden 77⟧", "⟦Goethestrasse 4-6⟧", "⟦Karl-Marx-Allee 91⟧",
        "⟦An der Alten Mühle 7⟧", "⟦Schloßplatz 1⟧", "⟦Kurfürstendamm 21⟧", "⟦Postfach 10 20 30⟧",
        "⟦12, rue de la République⟧", "⟦5 bis avenue des Champs-Élysées⟧", "⟦8 place Bellecour⟧",
        "⟦14 boulevard Saint-Michel⟧", "⟦3 impasse des Lilas⟧", "⟦Calle Mayor, 5⟧",
        "⟦C/ Alcalá 45, 3º B⟧", "⟦Avda. de la Constitución 12⟧", "⟦Paseo de la Castellana, 100⟧",
        "⟦Plaza de España s/n⟧", "⟦Via Roma 12⟧", "⟦Via G. Garibaldi, 3/A⟧", "⟦Viale dei Mille 4⟧",
        "⟦Rua das Flores, 123⟧", "⟦Av. Paulista 1578⟧", "⟦Avenida Paulista, 1578⟧",
        "⟦Keizersgracht 123⟧", "⟦Kerkstraat 12-B⟧", "⟦ul. Marszałkowska 10/12⟧", "⟦Storgatan 5⟧",
        "⟦Vesterbrogade 12, 3. tv⟧", "⟦ул. Ленина, д. 5, кв. 12⟧", "⟦12 Cross Street⟧\nOxford",
    ],
    "zip": [
        "ZIP ⟦90210⟧", "zip code: ⟦90210-1234⟧", "CA ⟦90210⟧", "Beverly Hills, CA ⟦90210⟧",
        "postcode ⟦SW1A 1AA⟧", "⟦SW1A 1AA⟧", "⟦EC1A 1BB⟧", "postcode: ⟦ec1a1bb⟧", "PLZ: ⟦10115⟧",
        "Hauptstr. 5, ⟦10115⟧ Berlin", "D-⟦10115⟧ Berlin", "12 rue Monge, ⟦75005⟧ Paris",
        "code postal ⟦75001⟧", "código postal: ⟦28013⟧", "CAP ⟦00185⟧", "CEP ⟦01310-100⟧",
        "CEP: ⟦01310100⟧", "postal code ⟦K1A 0B1⟧", "⟦K1A 0B1⟧ Ottawa", "postcode ⟦1012 AB⟧",
        "PIN code: ⟦110001⟧", "pincode ⟦560034⟧", "〒⟦100-0001⟧", "邮编：⟦100080⟧",
        "kod pocztowy ⟦00-950⟧", "postnummer ⟦111 22⟧", '"zip":"⟦90210⟧"', "zip=⟦90210⟧",
        "<zip>⟦90210⟧</zip>", '"postalCode": "⟦90210⟧"', "postal_code=⟦90210⟧", "индекс ⟦101000⟧",
        "plz=⟦10115⟧",
    ],
    "user": [
        "user=⟦jdoe⟧", "username: ⟦jane.doe⟧", '"username":"⟦jdoe42⟧"', "login=⟦jdoe⟧",
        "user_name=⟦jdoe⟧", "userName: '⟦jdoe⟧'", "@⟦janedoe⟧ hi", "hey ⟦@jane_doe⟧",
        "⟦@jane.doe⟧ on insta", "twitter: ⟦@jane⟧", "IG handle ⟦janedoe99⟧", "skype: ⟦jane.doe.1⟧",
        "skype id ⟦live:jane.doe⟧", "discord ⟦janedoe#1234⟧", "telegram: ⟦@janedoe⟧",
        "u/⟦janedoe42⟧ posted", "/home/⟦jdoe⟧/x", "C:\\Users\\⟦jdoe⟧\\Docs",
        "/Users/⟦jdoe⟧/Desktop", "CORP\\⟦jdoe⟧ logged on", "uid=1000(⟦jdoe⟧)",
        "Accepted password for ⟦jdoe⟧ from 1.2.3.4", "sudo: ⟦jdoe⟧ : TTY=pts/0",
        "user '⟦jdoe⟧'@'localhost'", "User: ⟦jdoe42⟧", "<user>⟦jdoe⟧</user>",
        "<username>⟦jdoe⟧</username>", "Benutzername: ⟦hmeier⟧", "utilisateur=⟦mdupont⟧",
        "nombre de usuario: ⟦lperez⟧", "login: ⟦jdoe⟧", "account name: ⟦jdoe⟧",
        "Account Name:\t\t⟦jdoe⟧", "screen_name=⟦jdoe⟧", "gamertag: ⟦XxJaneXx⟧",
        "slack: ⟦@jane.doe⟧", "my username is ⟦janedoe⟧", "my handle is ⟦janedoe99⟧",
        'preferred_username":"⟦jdoe⟧"', "actor=⟦jdoe⟧", "created_by=⟦jdoe⟧", "usr:⟦jdoe⟧",
        'user="⟦jdoe⟧" action', "user:⟦jdoe⟧ action=login",
    ],
    "secret": [
        "AKIA: ⟦AKIAIOSFODNN7EXAMPLE⟧",
        "aws_secret_access_key=⟦wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY⟧",
        "aws_secret_access_key = ⟦wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY⟧",
        "⟦ghp_16C7e42F292c6912E7710c838347Ae178B4a⟧",
        "⟦github_pat_11ABCDEFG0123456789_abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRS⟧",
        "⟦gho_16C7e42F292c6912E7710c838347Ae178B4a⟧",
        "⟦xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx⟧",
        "⟦sk_live_4eC39HqLyjWDarjtT1zdp7dc⟧", "⟦sk-proj-abcdefghijklmnopqrstuvwxyz123456⟧",
        "⟦AIzaSyA1234567890abcdefghijklmnopqrstuv⟧",
        "⟦eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U⟧",
        "password=⟦hunter2⟧", "password: ⟦Tr0ub4dor&3⟧", '"password":"⟦Tr0ub4dor3⟧"',
        "passwd=⟦S3cret!x⟧", "pwd: ⟦correcthorse⟧", "Passwort: ⟦Geheim123⟧",
        "mot de passe : ⟦Secret123⟧", "contraseña: ⟦Clave123⟧", "token=⟦f3a9c1d2e4b5a697⟧",
        "Authorization: Bearer ⟦f3a9c1d2e4b5a697abcdef⟧", "Authorization: Basic ⟦amFuZTpzM2NyZXQ=⟧",
        "api-key: ⟦f3a9c1d2e4b5a697⟧", "x-api-key: ⟦f3a9c1d2e4b5a697⟧", "apikey=⟦f3a9c1d2e4b5a697⟧",
        "client_secret=⟦f3a9c1d2e4b5a697⟧", "SECRET_KEY='⟦django-insecure-f3a9c1d2e4⟧'",
        "⟦glpat-ABCdef1234567890xyzA⟧", "⟦npm_abcdefghijklmnopqrstuvwxyz0123456789⟧",
        "⟦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⟧",
        "⟦dop_v1_b7519703e3a9c1d2e4b5a697b7519703e3a9c1d2e4b5a697b7519703e3a9c1d2⟧",
        "⟦AC0123456789abcdef0123456789abcdef⟧ twilio", "⟦ya29.a0AfH6SMBx1234567890abcdefghij⟧",
        "⟦hf_abcdefghijklmnopqrstuvwxyzABCDEFGH⟧", "session_token=⟦f3a9c1d2e4b5a697⟧",
        "access_token=⟦f3a9c1d2e4b5a697⟧&", 'refresh_token":"⟦f3a9c1d2e4b5a697⟧"',
        "cookie: sessionid=⟦38afes7a8f3a9c1d2⟧",
        "Set-Cookie: JSESSIONID=⟦1A530637289A03B07199A44E8D531427⟧;",
        "ssh-rsa ⟦AAAAB3NzaC1yc2EAAAADAQABAAABAQC7⟧ jane@host", "DB_PASSWORD=⟦p4ssw0rd!⟧",
        "MYSQL_PWD=⟦p4ssw0rd⟧",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n⟦b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ⟧\n-----END OPENSSH PRIVATE KEY-----",
    ],
    "crypto": [
        "BTC ⟦1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa⟧", "send to ⟦3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy⟧",
        "⟦bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq⟧",
        "⟦0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe⟧",
        "wallet: ⟦0xde0b295669a9fd93d5f28d9ec85e40f4cb697bae⟧",
        "⟦bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr⟧",
        "wallet address ⟦TJCnKsPa7y5okkXvQAidZBzqx3QyQ6sxMW⟧",
        "XRP address: ⟦rEb8TK3gBgk5auZkwc6sHnwrGVJH8DuaLh⟧",
    ],
    "coord": [
        "lat=⟦52.520008⟧, lon=⟦13.404954⟧", '"latitude": ⟦52.520008⟧, "longitude": ⟦13.404954⟧',
        "GPS: ⟦52.520008, 13.404954⟧", '⟦52°31\'12.0"N 13°24\'17.8"E⟧',
        "coordinates ⟦40.7128° N, 74.0060° W⟧", "lat:⟦-33.8688⟧ lng:⟦151.2093⟧",
        "geo:⟦37.786971,-122.399677⟧", "Koordinaten: ⟦52.5200, 13.4050⟧",
    ],
}  # fmt: skip

FORMAT_TYPES = {"email": "EMAIL", "phone-intl": "PHONE", "phone-nat": "PHONE", "card": "CREDIT_CARD", "iban": "IBAN", "ssn": "SSN", "natid": "ID", "docs": "ID", "labelled": "ID", "table": "ID", "ip": "IP", "mac": "ID", "url": "URL", "dob": "DATE", "age": "AGE", "address": "STREET_ADDRESS", "zip": "ZIP", "user": "USERNAME", "secret": "ID", "crypto": "ID", "coord": "STREET_ADDRESS"}  # fmt: skip

# One of each brand and of each country, with check digits that hold.
CARDS = [
    "4111111111111111", "4012888888881881", "5555555555554444", "2223003122003222",
    "378282246310005", "371449635398431", "30569309025904", "38520000023237", "36227206271667",
    "6011111111111117", "6011000990139424", "3530111333300000", "3566002020360505",
    "6200000000000005", "6759649826438453", "2200000000000004", "6520000000000008",
    "9792123456789018", "6062821234567890", "6363681234567894", "6079841234567899",
    "5019717010103742", "6200000000000000000", "6304123456789015", "5067311234567899",
    "4222222222222",
]  # fmt: skip
IBANS = [
    "GB29NWBK60161331926819", "DE89370400440532013000", "FR1420041010050500013M02606",
    "ES9121000418450200051332", "IT60X0542811101000000123456", "NL91ABNA0417164300",
    "BE68539007547034", "AT611904300234573201", "CH9300762011623852957",
    "PL61109010140000071219812874", "PT50000201231234567890154", "SE4550000000058398257466",
    "NO9386011117947", "DK5000400440116243", "FI2112345600000785", "IE29AIBK93115212345678",
    "LU280019400644750000", "CZ6508000000192000145399", "SK3112000000198742637541",
    "HU42117730161111101800000000", "RO49AAAA1B31007593840000", "BG80BNBG96611020345678",
    "GR1601101250000000012300695", "HR1210010051863000160", "SI56263300012039086",
    "EE382200221020145685", "LV80BANK0000435195001", "LT121000011101001000",
    "MT84MALT011000012345MTLCAST001S", "CY17002001280000001200527600", "TR330006100519786457841326",
    "SA0380000000608010167519", "AE070331234567890123456", "IL620108000000099999999",
    "BR1800360305000010009795493C1", "QA58DOHB00001234567890ABCDEFG", "KZ86125KZT5004100100",
    "UA213223130000026007233566001", "GE29NB0000000101904917", "MD24AG000225100013104168",
    "IS140159260076545510730339", "MC5811222000010123456789030", "SM86U0322509800000000270100",
    "LI21088100002324013AA",
]  # fmt: skip

# Look-alikes of all kinds: nobody's.
LOOKALIKES = [
    "order #100-2345-678 shipped", "Order number: 1234567890", "order_id=415555267",
    "order 415-555-2671 shipped", "Invoice INV-2023-00912 due", "tracking 9400111899223100001234",
    "UPS 1Z999AA10123456784", "FedEx tracking number 449044304137821", "version 1.2.3.4",
    "v10.20.30.40", "release 2.10.0.1", "Chrome/96.0.4664.110", "Python 3.11.4", "nginx/1.25.3",
    "$1,234,567.89", "€ 1.234.567,89", "USD 1234567890", "1234567.89 EUR", "total 4111.11",
    "price: 5555", "SHA1 da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "md5 d41d8cd98f00b204e9800998ecf8427e", "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "550e8400-e29b-41d4-a716-446655440000",
    "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7",
    "2023-05-01T15:43:17.123Z", "2023-05-01 15:43:17,123 INFO started", "1683000000",
    "ts=1683000000123", "epoch 1683000000", "Mon, 01 May 2023 15:43:17 GMT",
    "ISBN 978-3-16-148410-0", "ISBN-10 0-306-40615-2", "ISBN: 9783161484100", "EAN 4006381333931",
    "UPC 036000291452", "part no. 123-45-678", "Part number 415-555-26", "SKU 12345-678-90",
    "model XPS-13-9310", "DOI 10.1000/182", "doi:10.1038/s41586-020-2649-2", "arXiv:2106.09685",
    "PMID: 12345678", "RFC 2616 section 14.35", "IEEE 802.11", "ISO 9001:2015", "12 + 345 = 357",
    "3.14159265358979", "1.23e-10", "6.022 x 10^23", "f(1, 2, 3) = 123456789", "x = 1234567890",
    "100000000 users", "1 234 567 890 rows", "size 1048576 bytes", "took 123456 ms",
    "pages 123-456", "pp. 1023-1045", "Table 12.3.4", "section 1.2.3.4", "§ 4.2.1.3",
    "chapter 10.11.12.13", "10:30-11:45", "09:00 to 17:00", "2019-2020 season", "FY 2019/2020",
    "1990-2005", "in 1980 and 1990", "Q3 2023 results", "May 2023 release",
    "on 12 March 2021 the court ruled", "July 4, 1776", "the 1990s", "score 3-2-1", "ratio 16:9:4",
    "10-20-30", "5/10/15", "A4 paper 210x297", "dosage 500 mg 3x/day", "BP 120/80, HR 72, SpO2 98%",
    "Hb 13.5 g/dl", "ICD-10 E11.9", "CPT 99213", "NDC 0002-8215-01", "NCT01234567", "rs1801133",
    "chr7:55249071", "GRCh38", "17q21.31", "TP53 R175H", "pH 7.4", "temperature 36.6",
    "error code 0x80070005", "port 8080", "HTTP 404", "pid=12345 tid=67890", "line 1234 column 56",
    "thread-12345678", "job 123456789 finished", "ticket 12345678", "JIRA PROJ-1234", "bug 1234567",
    "PR #12345", "build 20230501.1", "ubuntu 22.04.3", "10.2 MB", "127 items", "#hashtag",
    "@media screen", "@Override public void x()", "import x from '@scope/pkg'",
    "npm i lodash@4.17.21", "user agent Mozilla/5.0 (X11; Linux x86_64)",
    "git@github.com:org/repo.git", "noreply@example.com", "a@b", "meet at 5", "at dot com boom",
    "std::vector<int>", "a::b::c", "::before", "10::20", "12:34:56:78", "aa:bb", "0xdeadbeef",
    "0x7fffdeadbeef", "#ff00ff", "rgb(255, 255, 255)", "width: 1024px",
    "lorem 4539148803436460 order", "reference 4539148803436461", "4111 1111 1111 1112",
    "1234 5678 9012 3456", "GB82 WEST 1234 5698 7654 33", "DE00123456789012345678",
    "IT is 60 percent X", "ref 123-456-789", "PO 4500123456", "purchase order 4500123456",
    "transaction 1234567890123", "txn id 9f8e7d6c5b4a", "booking ref ABC123",
    "confirmation number 1234567890", "flight LH1234", "gate B12", "room 1203", "seat 12A",
    "bus 415", "chapter 5 verse 12", "John 3:16", "Psalm 119:105", "Article 6(1)(f) GDPR",
    "Section 1983", "28 U.S.C. § 1331", "410 U.S. 113", "Regulation (EU) 2016/679",
    "Directive 95/46/EC", "§ 823 BGB", "Art. 1382 du code civil", "population 8,336,817", "47,6 %",
    "1.000.000 Einwohner", "12 000 habitants", "3 años de garantía", "a 10-year bond",
    "a 30-day trial", "the company is 25 years strong", "Main Street banks", "Wall Street rallied",
    "Drive safely", "the road to success", "account for 20 percent", "on account of 3 errors",
    "policy of 2019 changed", "member states (27)", "case in point 3", "file 3 of 10",
    "patient 3 of 10", "patient since 2019", "license MIT", "passport to success",
    "serial killer 1990", "vehicle speed 120", "chart 12", "user 42", "user manual", "User: hi",
    "users: 1500", "uid=0(root)", "phone 12", "iPhone 14", "call 911", "dial 112", "channel 5",
    "card 1 of 5", "visa requirements 2024", "pan 30 cm", "ip rating IP67", "ip 65", "MAC OS 10.15",
    "mac 10.15.7", "ssn field missing", "SIN(30)", "sin 45 degrees", "cc: team", "pin 5",
    "token count 4096", "tokens: 123456", "max_tokens=2048", "password must have 8 characters",
    "Password: required", "secret ballot", "key: value", "api_key=None", "age of empires 2",
    "stone age", "page 93", "stage 3", "average: 93", "DOB field", "zip file 12345",
    "zip -r 12345.zip", "postal service 2020", "St. 5", "the 1st of May", "lat 5",
    "latency=52.520008", "long 12.5 m", "translation: 12.5, 13.5", "1000 Genomes Project",
    "The 39 Steps", "5 Guys", "7 Up", "Route 66", "Windows 11", "a.b.c.d", "1.1.1", "1.1.1.1.1.1",
    "255.255.255", "999.999.999.999", "256.1.1.1", "10.5.2 and 10.5.3", "SQLSTATE[23000]: 1062",
    "kernel 5.15.0-91-generic", "cpu 00:00:12.345", "elapsed 01:02:03", "aspect 4:3", "A1B2C3",
    "A1:B2", "=SUM(A1:A10)", "R2D2", "COVID-19", "H1N1", "B12", "C3PO", "MP3", "3D", "4K", "5G",
    "1080p", "mRNA-1273", "BNT162b2", "CAS 50-00-0", "EC 1.1.1.1", "E 330", "UN 1203",
    "Boeing 737-800", "F-150", "GTX 1080", "i7-9700K", "LGA 1151", "HDMI 2.1", "Cat 6", "RS-232",
    "RJ45", "AA 1.5V", "12V 7Ah", "M8x40", "1/4-20 UNC", '5\'10"', "180 cm 75 kg", "2+2",
    "ch 1, v 2", "IL-6 12.3 pg/ml", "CD4 350", "WBC 12.3", "Na 140 K 4.2 Cl 100", "ph 7.35-7.45",
    "tel aviv 2020", "fax machine", "contact lens 1-day", "the reference is 2023/1234/EU",
    "grant 12345",
]  # fmt: skip


def _marked(marked: str) -> tuple[str, int, int]:
    start, end = marked.index("⟦"), marked.index("⟧") - 1
    return marked.replace("⟦", "").replace("⟧", ""), start, end


@pytest.mark.parametrize(("kind", "marked"), [*FOUND, *(("PHONE", p) for p in PHONES)])
def test_found_whole_and_with_its_type(kind, marked):
    text, start, end = _marked(marked)
    spans = find(text)
    covered = {place for span in spans for place in range(span.start, span.end)}
    missing = [
        place for place in range(start, end) if text[place].isalnum() and place not in covered
    ]
    assert not missing, spans
    assert any(span.type == kind and span.start < end and span.end > start for span in spans), spans


@pytest.mark.parametrize("text", NOT_FOUND)
def test_not_found(text):
    assert find(text) == []


def _uncovered(marked: str) -> tuple[str, list[Span]]:
    """The letters and digits between brackets that no span covers."""
    text, golds = "", []
    for char in marked:
        if char == "⟦":
            start = len(text)
        elif char == "⟧":
            golds += range(start, len(text))
        else:
            text += char
    spans = find(text)
    covered = {place for span in spans for place in range(span.start, span.end)}
    return "".join(text[i] for i in golds if text[i].isalnum() and i not in covered), spans


@pytest.mark.parametrize("kind", FORMATS)
def test_every_form_is_masked_whole(kind):
    open_values = {marked: rest for marked in FORMATS[kind] if (rest := _uncovered(marked)[0])}
    assert open_values == {}


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "table"])
def test_forms_have_their_type(kind):
    """Numbers that name nothing may pass for another kind of number, hosts for addresses."""
    numbers = {"ID", "SSN", "PHONE", "CREDIT_CARD", "IBAN"}
    places = {"ZIP", "STREET_ADDRESS"}
    wanted = FORMAT_TYPES[kind]
    allowed = next((group for group in (numbers, places) if wanted in group), {wanted})
    for marked in FORMATS[kind]:
        assert {span.type for span in _uncovered(marked)[1]} & allowed, marked


@pytest.mark.parametrize("text", LOOKALIKES)
def test_lookalikes_are_left_alone(text):
    assert find(text) == []


def _grouped(value: str, gap: str, sizes: tuple[int, ...]) -> str:
    ends = list(accumulate(sizes, initial=0))
    return gap.join(part for a, b in pairwise(ends) if (part := value[a:b]))


@pytest.mark.parametrize("card", CARDS)
def test_cards_of_every_brand_and_spacing(card):
    sizes = (4, 6, 5) if len(card) in (14, 15) else (4, 4, 4, 4, 4)
    for written in (card, *(_grouped(card, gap, sizes) for gap in (" ", "-", "\u00a0"))):
        (span,) = find(f"paid with {written}.")
        assert (span.type, span.end - span.start) == ("CREDIT_CARD", len(written))
    wrong = card[:-1] + str((int(card[-1]) + 1) % 10)
    assert find(f"paid with {wrong}.") == []


@pytest.mark.parametrize("iban", IBANS)
def test_ibans_of_every_country_and_spacing(iban):
    fours = _grouped(iban, " ", (4,) * 9)
    for written in (iban, iban.lower(), fours, fours.lower(), fours.replace(" ", "-")):
        (span,) = find(f"send it to {written} please")
        assert (span.type, span.end - span.start) == ("IBAN", len(written))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("jane%40example.com", ["jane%40example.com"]),
        (r"C:\new\table", []),
        (r"a\njane@example.com\nb", ["jane@example.com"]),
        ("https://example.com/a%20b?c=%22", ["https://example.com/a%20b?c=%22"]),
        ("mail jane&#64;example&#46;com&amp;", ["jane&#64;example&#46;com"]),
        ("50%20of 3%4", []),
        ("联系jane@example.com谢谢", ["jane@example.com"]),
        ("电话是13812345678。", ["13812345678"]),
        ("&#1; &#999999; \\uD83D %7F", []),
    ],
)
def test_escapes_and_scripts_are_seen_through(text, values):
    assert [text[span.start : span.end] for span in find(text)] == values


def test_spans_are_code_points_of_the_input():
    text = "🙂 é\u0301 ＩＤ: jane@example.com\u200b, 😀 +49 30 901820"
    spans = find(text)
    assert [text[s.start : s.end].strip("\u200b") for s in spans] == [
        "jane@example.com",
        "+49 30 901820",
    ]


def test_spans_are_sorted_and_do_not_overlap():
    text = "call 555-213-4442, mail a@example.com, MRN 5153416, https://x.example/patients/5153416"
    spans = find(text)
    assert len(spans) == 4
    assert spans == sorted(spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))


def test_types_limit_what_is_found():
    assert find("a@example.com, 555-213-4442", frozenset({"PHONE"})) == [Span(15, 27, "PHONE")]
    assert find("a@example.com", frozenset()) == []
    with pytest.raises(ValueError, match="CREDITCARD"):
        find("x", frozenset({"CREDITCARD"}))


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("mrn,name,phone\n991,Ann,5552134\n98234,Bo,780-6326", {"98234", "5552134", "780-6326"}),
        ("id;kontonummer;geburtsdatum\n1;9934021;1980-02-01", {"9934021", "1980-02-01"}),
        ("| Name | SSN | DOB |\n|---|---|---|\n| Ann | 078051120 | 1/2/80 |", {"078051120", "1/2/80"}),
        ('login\tzip\n"ann.b"\t50667', {"ann.b", "50667"}),
        ("INSERT INTO t (id, name, phone, dob) VALUES (3, 'Ann, B', '555 21', '1980-02-01')",
         {"555 21", "1980-02-01"}),
    ],
)  # fmt: skip
def test_columns_are_read_by_their_header(table, values):
    assert {table[s.start : s.end] for s in find(table)} == values - {"991"}


def test_dates_of_a_record_are_masked_and_of_a_contract_not():
    contract = "The agreement of 2 March 2021 ends on 03/04/2022."
    assert find(contract) == []
    assert len(find("Date of birth 1/2/1950. " + contract)) == 3


def _texts() -> list[str]:
    forms = [marked for kind in FORMATS.values() for marked in kind]
    texts = [_marked(marked)[0] for marked in [*(m for _, m in FOUND), *PHONES]]
    texts += [marked.replace("⟦", "").replace("⟧", "") for marked in forms]
    return [*texts, *LOOKALIKES, *NOT_FOUND]


def test_triggers_skip_no_rule(monkeypatch):
    texts = _texts()
    with_triggers = [find(text) for text in texts]
    monkeypatch.setattr(detect, "_FEW", 0)
    assert [find(text) for text in texts] == with_triggers


def test_texts_together_are_found_as_one_by_one():
    """Whatever stands before and behind: no pattern reaches into the next text."""
    texts = [*_texts(), "", "SSN", "123456789", "-----BEGIN PRIVATE KEY-----", "é", *_texts()[::-1]]
    assert list(find_many(texts)) == [find(text) for text in texts]
    assert list(find_many([])) == []


def test_what_is_far_from_any_sign_is_not_searched_and_nothing_is_lost():
    """The same finds in the middle of a long text, where windows are cut out of it."""
    for marked in [*(m for _, m in FOUND), *PHONES]:
        text = _marked(marked)[0]
        prose = "und so weiter und so fort, " * 40
        spans = find(f"{prose}\n{text}\n{prose}")
        shift = len(prose) + 1
        assert [Span(s.start - shift, s.end - shift, s.type) for s in spans] == find(text), marked


def test_types_are_those_of_the_rules():
    assert {rule.type for rule in rules.RULES} == TYPES


REPEATED = ["1", "1 ", "555-213-4442, ", "5552134442 / ", "cvv 123 ", "card exp 1226 ", "ssn1234567 ",
            "DE89 3704 0044 ", "sms to=", "=40a.de", "%2540", "12 Main Street ", "age 5 ", "1.", "1-", "a@", "a@a.", "http://", ":", "a:", "(", "mrn: 1 ", "phone 1",
            "user=a ", "4111 1111 1111 1111 ", "DE89", " at a dot ", "1 Aa ", "Calle A ", "eyJ",
            "phone,ssn\n", "(phone) values (1),", "-----BEGIN PRIVATE KEY-----", "é", "1\u200b",
            "born 1/1/1990 ", "a,phone\n\"", "4444 ", "12 ", "%40", "&#64;", "\\n", "电话1", "mrn<td>",
            "mrn 12345, ", "patient:{", " u/ab", "*1.1.1990 ", "1\n", "lat=1.", "a=", "0x1"]  # fmt: skip


def _work(text: str) -> int:
    """Calls made, in Python and in C: the same in every run, unlike time."""
    count = 0

    def called(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        find(text)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("unit", REPEATED)
def test_no_input_is_slow(unit):
    """Four times the text is at most some four times the work, and little for each character."""
    small, large = (_work((unit * (size // len(unit) + 1))[:size]) for size in (8_000, 32_000))
    assert large < 500 + 5 * small
    assert large < 32_000 * 12


@pytest.mark.parametrize("unit", ["4", "4 ", "a@", "mrn 12345, ", "555-213-4442, "])
def test_patterns_read_a_text_a_bounded_number_of_times(unit, monkeypatch):
    """The characters that RE2 is given from each place to the match that it finds."""
    read = 0

    class Counting(Pattern):
        def __init__(self, pattern: str) -> None:
            super().__init__(pattern)
            real = self.find

            def find_counted(data: bytes, start: int, end: int) -> list[tuple[int, int]]:
                nonlocal read
                found = real(data, start, end)
                read += (found[0][1] if found[0][0] >= 0 else end) - start
                return found

            self.find = find_counted

    monkeypatch.setattr(detect, "Pattern", Counting)
    monkeypatch.setattr(detect, "_FAMILIES", [detect._Compiled(f) for f in rules.FAMILIES])
    find((unit * (50_000 // len(unit) + 1))[:50_000])
    assert read < 50_000 * 400
