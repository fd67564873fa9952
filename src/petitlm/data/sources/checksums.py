"""Numbers that carry their own proof: cards, bank accounts, French social numbers."""

from __future__ import annotations

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20,
    "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24,
    "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27,
    "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
"""Characters of an account number, by country (ISO 13616 registry)."""

# First digits and lengths of Visa, Mastercard, American Express, Discover and UnionPay, Diners, JCB and Maestro.
_ISSUERS = (
    (("4",), (13, 16, 19)),
    (tuple(str(n) for n in [*range(51, 56), *range(2221, 2721)]), (16,)),
    (("34", "37"), (15,)),
    (("6011", "62", "64", "65", "81"), (16, 17, 18, 19)),
    (("36", "38", "39", *(str(n) for n in range(300, 306))), (14,)),
    (tuple(str(n) for n in range(3528, 3590)), (16, 17, 18, 19)),
    (("50", "56", "57", "58", "6304", "6759", "6761", "6762", "6763"), (12, 13, 14, 15, 16, 17, 18, 19)),
)


def is_card(digits: str) -> bool:
    """Whether digits are a card number: an issuer's first digits and length, and the check digit.

    Source: ISO/IEC 7812-1, annex B (Luhn 1960).
    """
    if not any(digits.startswith(starts) and len(digits) in lengths for starts, lengths in _ISSUERS):
        return False
    return len(set(digits)) > 1 and luhn(digits) == 0


def luhn(digits: str) -> int:
    """The Luhn sum modulo 10: every second digit from the right is doubled, its digits added. 0 for a valid number."""
    total = 0
    for at, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + at % 2)
        total += value - 9 * (value > 9)
    return total % 10


def is_iban(account: str) -> bool:
    """Whether an account number, without spaces, has the length of its country and the right check digits.

    Source: ISO 13616-1 with ISO 7064, mod 97-10.
    """
    if len(account) != IBAN_LENGTHS.get(account[:2]) or not account.isascii():
        return False
    turned = account[4:] + account[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


def is_social_fr(number: str) -> bool:
    """Whether 15 signs are a French social number (NIR): sex, year, month, department, and the key.

    Corsica's 2A and 2B count as 19 and 18. Source: décret n° 82-103 of 22 January 1982, article 4 (key: 97 minus the
    remainder of the 13 digits by 97).
    """
    body, key = number[:13], number[13:]
    digits = body.replace("2A", "19").replace("2B", "18") if body[5:7] in ("2A", "2B") else body
    if len(number) != 15 or not digits.isdigit() or not key.isdigit() or body[0] not in "123478":
        return False
    month = int(body[3:5])
    real_month = 1 <= month <= 12 or 20 <= month <= 42 or 50 <= month <= 99  # the last two: month unknown
    return real_month and 97 - int(digits) % 97 == int(key)
