"""`mindres serve`: puts a web page before an exported network."""

from __future__ import annotations

from mindres.cli.arguments import non_negative_int, positive_int
from mindres.errors import UserError


def add_flags(parser) -> None:
    parser.add_argument("file", metavar="FILE", help="ONNX file of mindres export --end_to_end")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 is reached from other machines, too, by whoever "
        "likes: nobody is asked for a password (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--port", type=non_negative_int, default=8000, help="0 takes a free one (default: 8000)"
    )
    parser.add_argument(
        "--batch_size",
        type=positive_int,
        default=32,
        help="images that the network takes at once at most (default: 32)",
    )


def run(args) -> None:
    try:
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"the server takes the package {error.name}: pip install 'mindres[serve]'"
        ) from None
    from mindres.export.runtime import EndToEndFile
    from mindres.serve.server import serve

    file = EndToEndFile(args.file)
    serve(file, args.host, args.port, args.batch_size, _say)


def _say(address: str) -> None:
    print(f"listening on {address} (Ctrl-C ends it)", flush=True)
