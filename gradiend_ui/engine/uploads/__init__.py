"""What a visitor may upload: which zips, settings, tokenizers and sizes, and for whom the worker reads."""
