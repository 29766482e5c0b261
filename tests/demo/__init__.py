"""The bundled demo: what is shipped, and how it is made."""
