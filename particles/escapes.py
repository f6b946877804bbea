"""Text from files and other programs, made harmless to print."""

_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def escaped(text: str, keep: str = "") -> str:
    r"""The text with an escape for each character that is not visible, as `repr` shows them; those in `keep` stay.

    Not visible are controls (C0, C1, DEL), separators other than the space, format characters (bidirectional overrides,
    zero widths), surrogates, and what Unicode has not assigned. Escapes are `\n`, `\u001b`, `\U000e0001`, which Python,
    TOML and, up to U+FFFF, JSON read back. Escaped text is not changed by a second call.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in keep else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    code = ord(letter)
    return _SHORT.get(letter) or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
