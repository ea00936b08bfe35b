"""Many tests against the verdicts that they must get.

`cases` (a TOML file, or the built-in catalogue) -> cells -> `tasks` that an `executor` carries out
-> `expectations` judge what each cell found -> a table, JUnit, GitHub, a page.
"""
