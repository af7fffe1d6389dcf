"""Load on `mindres serve`: images/s, median and 99th percentile of response times, and memory.

    python -m benchmarks.serve pets.onnx photo.jpg --seconds 60

The clients run on the same machine, which costs speed. Every response is compared with the result
of the file in ONNX Runtime.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from mindres.data.images import read_image
from mindres.export.runtime import EndToEndFile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", help="file of mindres export --end_to_end")
    parser.add_argument("image", type=Path, help="image that all clients send")
    parser.add_argument("--seconds", type=float, default=60, help="for each number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    args = parser.parse_args()
    body = args.image.read_bytes()
    file = EndToEndFile(args.network)
    best = int(file.answer(read_image(io.BytesIO(body))).argmax())
    alone = images_per_second_alone(file, body)
    command = [sys.executable, "-m", "mindres", "serve", args.network, "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline().split()[2].rpartition(":")[2])
        print(f"ONNX Runtime alone, batches of 32, decoding too: {alone:,.0f} images/s")
        print("clients  images/s  of alone  median ms  99% ms  wrong  MiB before  MiB after")
        for clients in args.clients:
            before = memory(server.pid)
            times, wrong = load(port, body, best, clients, args.seconds)
            rate = len(times) / args.seconds
            median, late = np.percentile(times, [50, 99]) * 1000
            print(
                f"{clients:7} {rate:9,.0f} {rate / alone:9.2f} {median:10.1f} {late:7.1f} {wrong:6} "
                f"{before:11} {memory(server.pid):10}"
            )
    finally:
        server.terminate()
        server.wait(70)


def images_per_second_alone(file: EndToEndFile, body: bytes, seconds: float = 3.0) -> float:
    """The images/s of a single thread that decodes, prepares and predicts batches of 32."""
    count, start = 0, time.perf_counter()
    while time.perf_counter() < start + seconds:
        file.answer_all([read_image(io.BytesIO(body)) for _ in range(32)])
        count += 32
    return count / (time.perf_counter() - start)


def load(port: int, body: bytes, best: int, clients: int, seconds: float):
    """The seconds of each response, and how many were wrong or missing."""
    times: list[float] = []
    wrong: list[object] = []
    end = time.perf_counter() + seconds

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.perf_counter() < end:
            start = time.perf_counter()
            connection.request("POST", "/predict?top_k=1", body)
            answer = connection.getresponse()
            found = json.load(answer)
            times.append(time.perf_counter() - start)
            if answer.status != 200 or found[0]["predictions"][0]["index"] != best:
                wrong.append(found)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, len(wrong)


def memory(process: int) -> int:
    """The resident memory of a process in MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) >> 10


if __name__ == "__main__":
    main()
