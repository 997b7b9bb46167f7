"""Pictures as geometry: what goes into the pages' SVG. Pure; colours are the style sheet's."""
