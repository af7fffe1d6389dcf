"""An HTTP server for an exported network, for which it loads no MindSpore, or for a checkpoint.

| file | what it has |
| --- | --- |
| `app.py` | the routes: the page, `POST /predict`, `POST /explain`, `GET /healthz` |
| `batches.py` | batches of the images of all requests |
| `uploads.py` | reading images from requests, within limits |
| `checkpoint.py` | the network of a checkpoint, which MindSpore runs |
| `connections.py` | limits on connections and on the time of a request's head |
| `server.py` | starting and stopping |
| `page.html` | the page, in a single file |

The limits are at the top of the files that enforce them.
"""
