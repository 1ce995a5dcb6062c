"""The instrument: what the learners are measured by, and what they are measured against.

Pure and headless. `plan` says what is lived, `scenes` and `store` make and keep the data, `judge` and `metrics` score,
`rows` hold one family of learners a file, `runner` does the work, `report`, `table` and `plots` show it.
Definitions follow the learning probe, sections 7 and 11.
"""
