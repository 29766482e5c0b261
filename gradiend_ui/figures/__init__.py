"""Pictures from plain values: payloads for the page's plots. Imports neither gradio nor torch."""
