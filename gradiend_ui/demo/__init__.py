"""How the bundled demo was made: `python -m gradiend_ui.demo.build`. Not needed to use the app."""
