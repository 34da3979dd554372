"""Who is calling: how secrets look and are kept, and the look-up from a header to a Principal."""
