"""What page, API and command line stand on: the session, its runs, data, exports and files. Never gradio, never torch."""
