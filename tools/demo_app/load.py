"""Loads the demo's own server on loopback: a few clients, each asking one page after the other, until time is up.

It talks to 127.0.0.1 only, ends by itself, and ends at once on SIGTERM.
"""

import argparse
import http.client
import random
import sys
import threading
import time

PAGES = [
    (5, lambda pick: f"/?start={pick.randrange(0, 360, 40)}"),
    (3, lambda pick: f"/book?id={pick.randint(1, 400)}"),
    (3, lambda pick: "/search?q=" + pick.choice(["river+glass", "winter", "copper+machine+island"])),
    (1, lambda pick: "/revenue"),
]
MOST_REQUESTS = 200_000  # a client's; it ends here even where its clock does not


def client(port, deadline, seed, answers):
    pick = random.Random(seed)
    weights, pages = zip(*PAGES)
    for _ in range(MOST_REQUESTS):
        if time.monotonic() >= deadline:
            return
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", pick.choices(pages, weights)[0](pick))
            answer = connection.getresponse()
            answer.read()
            answers.append(answer.status)
        except (OSError, http.client.HTTPException):
            answers.append(0)
            time.sleep(0.05)
        finally:
            connection.close()


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--spare", type=float, default=0, help="seconds more, for what starts before and ends after")
    asked = parser.parse_args()
    deadline = time.monotonic() + min(asked.seconds + asked.spare, 600)
    answers = []
    clients = [
        threading.Thread(target=client, args=(asked.port, deadline, seed, answers), daemon=True)
        for seed in range(min(asked.clients, 32))
    ]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    good = answers.count(200)
    print(f"{good} pages, {len(answers) - good} failures", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
