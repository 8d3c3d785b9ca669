"""What each page shows, as plain data from the ledger: the pages and the JSON say the same numbers."""
