"""What a visitor may upload: which settings, tokenizers and sizes, and for whom the worker reads."""
