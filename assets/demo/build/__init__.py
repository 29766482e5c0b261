"""How the bundled demo was made: `python -m assets.demo.build`. Not needed to use the app."""
