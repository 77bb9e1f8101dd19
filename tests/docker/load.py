#!/usr/bin/env python3
"""Ask a server for detections, each over a connection of its own, and count what comes back.

    load.py URL PICTURE --count 1000          so many
    load.py URL PICTURE --while-exists FILE   as long as the file is there; writes into it when the first answer has come

Prints `ANSWERED FAILED`; what failed goes to stderr, the first ten. Ends with 1 when anything failed.
"""

import argparse
import http.client
import os
import sys
import threading
import urllib.parse


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("picture")
    parser.add_argument("--count", type=int)
    parser.add_argument("--while-exists")
    parser.add_argument("--threads", type=int, default=4)
    arguments = parser.parse_args()
    url = urllib.parse.urlsplit(arguments.url)
    with open(arguments.picture, "rb") as file:
        picture = file.read()
    lock = threading.Lock()
    left = arguments.count
    answered, failed = 0, []

    def more():
        nonlocal left
        if arguments.while_exists:
            return os.path.exists(arguments.while_exists)
        with lock:
            left -= 1
            return left >= 0

    def ask():
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
        try:
            headers = {"Content-Type": "image/jpeg", "Connection": "close"}
            connection.request("POST", url.path or "/detect", picture, headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200 or b'"detections"' not in body:
                return f"{answer.status}: {body[:200]!r}"
            return None
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connection.close()

    def work():
        nonlocal answered
        while more():
            fault = ask()
            with lock:
                if fault is None:
                    answered += 1
                    if answered == 1 and arguments.while_exists:
                        with open(arguments.while_exists, "w") as file:
                            file.write("under way\n")
                else:
                    failed.append(fault)

    threads = [threading.Thread(target=work) for _ in range(arguments.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for fault in failed[:10]:
        print(fault, file=sys.stderr)
    print(answered, len(failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
