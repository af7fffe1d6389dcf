"""A web server before an exported network; it loads no MindSpore.

| file | what it has |
| --- | --- |
| `app.py` | what is answered: the page, `POST /predict`, `GET /healthz` |
| `batches.py` | gathers the images of all requests into batches |
| `uploads.py` | reads what was sent, within limits |
| `connections.py` | limits on connections and on how long a request may take to come |
| `server.py` | starts and ends it |
| `page.html` | the page: one file, which asks for nothing else |

The limits stand at the top of the files that hold them.
"""
