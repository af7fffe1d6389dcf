"""`mindres serve`: serves an exported network over HTTP, with a web page."""

from __future__ import annotations

from mindres.cli.arguments import non_negative_int, positive_int
from mindres.errors import UserError


def add_flags(parser) -> None:
    parser.add_argument("file", metavar="FILE", help="ONNX file of mindres export --end_to_end")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 lets other machines connect, too, and there is no "
        "password (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--port", type=non_negative_int, default=8000, help="0 for any free one (default: 8000)"
    )
    parser.add_argument(
        "--batch_size",
        type=positive_int,
        default=32,
        help="most images in a batch for the network (default: 32)",
    )


def run(args) -> None:
    try:
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"the server needs the package {error.name}: pip install 'mindres[serve]'"
        ) from None
    from mindres.export.runtime import EndToEndFile
    from mindres.serve.server import serve

    file = EndToEndFile(args.file)
    serve(file, args.host, args.port, args.batch_size, _say)


def _say(address: str) -> None:
    print(f"listening on {address} (press Ctrl-C to stop)", flush=True)
