"""The local page: an API over `check` and `rank`, and one static page that uses it.

| module | what it holds |
|---|---|
| `app` | `create_app`: what the app holds, the page's files, how errors are told |
| `api`, `api_explore` | the routes |
| `run` | `serve`: the server and the browser |
| `guard` | who may ask: host names, origins, sizes, and what the page may load |
| `uploads` | files that were dropped, in a temporary folder that goes when the server ends |
| `jobs` | long work that can be watched and cancelled |
| `checking` | crystals checked, opened, changed, written again |
| `scene` | a crystal as atoms and bonds to draw |
| `corrected` | a CIF with other elements on some sites |
| `ranking` | candidates ranked; tables and survivors to download |
| `explore` | what is usual: distances, confusions |
| `tables`, `make_tables` | where neighbours usually lie; the tables that ship |
| `shapes` | what the API takes and answers, for its OpenAPI description |
| `static/` | the page; `static/vendor` holds 3Dmol.js |
| `examples/` | crystals to begin with |
"""

from __future__ import annotations
