"""Does a fixed amount of work on a command, and says how long it took: N -> seconds of N turns. `work.py THREADS`."""
import sys
import time

import bench_target

now = getattr(time, "perf_counter", time.time)


class Account(object):
    def __init__(self, number):
        self.number, self.entries = number, []

    def add(self, amount):
        self.entries.append(amount)
        return len(self.entries)

    def balance(self):
        return sum(amount for amount in self.entries if amount % 3)


def words(number):
    return " ".join("%d-%x" % (number, digit) for digit in range(20)).split()


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def turn(number):
    accounts = [Account(each) for each in range(10)]
    for amount in range(200):
        accounts[amount % 10].add(amount * number)
    index = {}
    for word in words(number):
        index.setdefault(word[-1], []).append(word)
    return sum(account.balance() for account in accounts) + len(index) + fib(12)


def work(turns):
    begin = now()
    for number in range(turns):
        turn(number)
    return now() - begin


bench_target.start(int(sys.argv[1]) - 1, lambda: bench_target.descend("recursion", 10)(bench_target.block))
bench_target.ready()
while True:
    bench_target.say(work(bench_target.listen()))
