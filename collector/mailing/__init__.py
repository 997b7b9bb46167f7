"""Reports by e-mail on a schedule that is set from a page."""
