"""The engine: from a GRADIEND checkpoint to scored grids and rewritten models.

Never imports gradio or plotly. Importing this package imports nothing: pick the module that is needed, so that
a process without torch (the web server) can use values, the store and the selection.
"""
