"""Tables, engine per URL, transactions and migrations."""
