"""Files read and written safely: whole or not at all, of trusted owners, of a size and a form that are known."""
