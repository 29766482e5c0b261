"""What page, API and command line stand on: sessions, roles, quotas, files. Never gradio, never torch."""
