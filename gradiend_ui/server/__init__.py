"""What page, API and command line stand on: session, runs, data, exports, files. Never gradio, never torch."""
