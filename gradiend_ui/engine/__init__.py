"""The engine: from a GRADIEND checkpoint to scored grids and rewritten models. Never gradio, never plotly."""
