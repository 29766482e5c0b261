"""The page and the public API, in Gradio. Never torch."""
