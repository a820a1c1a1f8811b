"""What a token can be, and what the words of other annotation schemes mean in ours."""

from ft_assets.corpus.detector import TYPES

OUTSIDE = "O"
LABELS = (OUTSIDE, *sorted(TYPES))  # the order of the network's outputs
NUMBER = {label: number for number, label in enumerate(LABELS)}

# Types of annotated sets by our names; any other one is outside.
_SAME = {
    "PER": "PERSON",
    "NAME": "PERSON",
    "LEGAL_PROF": "PERSON",
    "LOC": "LOCATION",
    "GPE": "LOCATION",
    "CITY": "LOCATION",
    "ORGANIZATION": "ORG",
    "ORGANISATION": "ORG",
    "COMPANY": "ORG",
    "ADDRESS": "STREET_ADDRESS",
    "STREET": "STREET_ADDRESS",
    "ZIPCODE": "ZIP",
    "ZIP_CODE": "ZIP",
    "POSTCODE": "ZIP",
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "US_SSN": "SSN",
    "IP_ADDRESS": "IP",
    "DATE_TIME": "DATE",
    "DOB": "DATE",
    "IBAN_CODE": "IBAN",
    "MRN": "ID",
    "ACCOUNT_NUMBER": "ID",
    "DOMAIN_NAME": "URL",
}


def our_type(name: str) -> str:
    """The label for a type of an annotated set or a model, OUTSIDE for what we do not look for."""
    name = name.upper()
    name = _SAME.get(name, name)
    return name if name in NUMBER else OUTSIDE
