"""What every other package uses: crystals, elements, errors, progress, results and output files.

| module | contents |
|---|---|
| `crystal`, `labels` | `Crystal`, the one in-memory form; labels of sites in one buffer |
| `batch` | many crystals as flat arrays |
| `elements` | symbols, atomic numbers, formulas |
| `errors` | errors raised on purpose |
| `progress`, `results` | `Progress` of long work; `Results` of verbs, as dictionaries and tables |
| `files` | output files that are complete or absent; CSV |
| `scores` | scores that training and evaluation share |
| `optional`, `wording`, `version` | packages of extras; words of messages; the version |
"""
