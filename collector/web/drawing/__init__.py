"""The geometry of charts and maps in SVG. Pure; colours are in the style sheet."""
