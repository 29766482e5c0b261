"""What every part of the page uses: texts, trees, drawers, refusals. Never torch."""
