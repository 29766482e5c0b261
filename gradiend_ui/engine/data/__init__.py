"""Evaluation rows and neutral texts: from tables of any spelling to checked rows."""
