"""Where each page answers; one file a page."""
