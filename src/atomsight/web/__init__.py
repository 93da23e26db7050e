"""The local web page: an API for `check` and `rank`, and a static page that uses it.

| module | contents |
|---|---|
| `app` | `create_app`: the ASGI app, static files, error answers |
| `api`, `api_explore` | routes of the API: checks and rankings; distributions and confusion matrix |
| `state` | what the routes of one server share |
| `run` | `serve`: the server and the browser |
| `guard`, `protocol`, `addresses` | allowed hosts and origins, limits of size and time of requests |
| `uploads` | uploaded files in a temporary folder that is deleted when the server stops |
| `reading` | uploaded files read in worker processes under limits of time and memory |
| `jobs` | long work with progress and cancellation |
| `checking` | checks, details of crystals and sites, trials of other elements |
| `scene` | atoms and bonds for the 3D view |
| `corrected` | CIFs with other elements on some sites |
| `ranking` | rankings, tables and files to download |
| `tables`, `precedents` | distance distributions and similar sites, bundled or computed from a dataset |
| `shapes` | requests and answers of the API for its OpenAPI description |
| `static/` | the page; `static/vendor` contains 3Dmol.js |
| `examples/` | example crystals and candidates |
"""

from __future__ import annotations
