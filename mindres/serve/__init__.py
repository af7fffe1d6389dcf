"""An HTTP server for an exported network, which loads no MindSpore.

| file | what it has |
| --- | --- |
| `app.py` | the routes: the page, `POST /predict`, `GET /healthz` |
| `batches.py` | batches of the images of all requests |
| `uploads.py` | reading images from requests, within limits |
| `connections.py` | limits on connections and on the time of a request's head |
| `server.py` | starting and stopping |
| `page.html` | the page, in a single file |

The limits are at the top of the files that enforce them.
"""
