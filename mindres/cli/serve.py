"""`mindres serve`: serves an exported network or a checkpoint over HTTP, with a web page."""

from __future__ import annotations

from mindres.cli.arguments import non_negative_int, positive_int
from mindres.errors import UserError


def add_flags(parser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        help="ONNX file of mindres export --end_to_end; or a checkpoint (.ckpt), of which the page "
        "also shows a Grad-CAM heat map of each answer",
    )
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
    parser.add_argument(
        "--precision",
        type=float,
        help="fraction of predictions that must be right, such as 0.99; those that are less "
        "certain are marked, as by mindres predict",
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
    from mindres.evaluation.confidence import threshold_of
    from mindres.serve.app import application
    from mindres.serve.server import serve

    file = _network(args.file)
    threshold = threshold_of(file.metadata, args.precision) if args.precision else None
    serve(application(file, args.batch_size, threshold), args.host, args.port, _say)


def _network(path: str):
    if not path.endswith(".ckpt"):
        from mindres.export.runtime import EndToEndFile

        return EndToEndFile(path)
    from mindres.devices.set_device import set_device
    from mindres.serve.checkpoint import Checkpoint

    set_device("auto")
    return Checkpoint(path)


def _say(address: str) -> None:
    print(f"listening on {address} (press Ctrl-C to stop)", flush=True)
