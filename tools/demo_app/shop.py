"""The demo's web application: a small book shop with templates, a JSON interface and SQLite. Plain WSGI.

Run as a program it makes the database: python3 shop.py DATABASE
"""

import contextlib
import json
import os
import random
import re
import sqlite3
import sys
import urllib.parse

import jinja2

SUBJECTS = "river winter glass machine garden letter island memory number harbour copper orchard".split()
FORMS = ["A history of the {}", "The {} keeper", "Notes on a {}", "The last {}", "How the {} works"]
OPINIONS = "kept me awake|too long|a fine book|the middle drags|read it twice|well made|not for me".split("|")
BOOKS, REVIEWS_EACH, ORDERS = 400, 6, 3000


def make_database(path):
    pick = random.Random(7)
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.executescript(
            """
            CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT, blurb TEXT, cents INTEGER);
            CREATE TABLE review (book INTEGER, stars INTEGER, text TEXT);
            CREATE TABLE sale (book INTEGER, month INTEGER, copies INTEGER);
            CREATE INDEX review_book ON review (book);
            """
        )
        for number in range(1, BOOKS + 1):
            title = pick.choice(FORMS).format(pick.choice(SUBJECTS)) + f", volume {number % 9 + 1}"
            blurb = " ".join(pick.choices(SUBJECTS, k=30))
            db.execute("INSERT INTO book VALUES (?, ?, ?, ?)", (number, title, blurb, pick.randrange(500, 6000)))
            for _ in range(REVIEWS_EACH):
                review = (number, pick.randint(1, 5), pick.choice(OPINIONS))
                db.execute("INSERT INTO review VALUES (?, ?, ?)", review)
        for _ in range(ORDERS):
            sale = (pick.randint(1, BOOKS), pick.randint(1, 12), pick.randint(1, 4))
            db.execute("INSERT INTO sale VALUES (?, ?, ?)", sale)


class Catalogue:
    """The queries, over one connection that a worker opens when it first needs it."""

    def __init__(self, path):
        self._path = path
        self._connection = None

    def _rows(self, query, *values):
        if self._connection is None:
            self._connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)
            self._connection.row_factory = sqlite3.Row
        return [dict(row) for row in self._connection.execute(query, values)]

    def page_of_books(self, start, count):
        return self._rows("SELECT * FROM book ORDER BY title LIMIT ? OFFSET ?", count, start)

    def all_books(self):
        return self._rows("SELECT id, title, blurb, cents FROM book")

    def book(self, number):
        return next(iter(self._rows("SELECT * FROM book WHERE id = ?", number)), None)

    def reviews(self, number):
        return self._rows("SELECT stars, text FROM review WHERE book = ?", number)

    def sales(self):
        return self._rows("SELECT month, copies, cents FROM sale JOIN book ON book.id = sale.book")


def words_of(text):
    return re.findall(r"[a-z]+", text.lower())


def relevance(book, wanted):
    title, blurb = words_of(book["title"]), words_of(book["blurb"])
    return sum(5 * title.count(word) + blurb.count(word) for word in wanted)


def rank_by_relevance(books, wanted):
    scored = [(relevance(book, wanted), book) for book in books]
    matches = [pair for pair in scored if pair[0] > 0]
    matches.sort(key=lambda pair: (-pair[0], pair[1]["title"]))
    return matches[:20]


def average_stars(reviews):
    return sum(review["stars"] for review in reviews) / len(reviews) if reviews else 0.0


def monthly_revenue(sales):
    totals = dict.fromkeys(range(1, 13), 0)
    for sale in sales:
        totals[sale["month"]] += sale["copies"] * sale["cents"]
    return totals


def price(cents):
    return f"{cents // 100}.{cents % 100:02d}"


class Shop:
    """Routes a request to the page that answers it."""

    def __init__(self, database):
        self.catalogue = Catalogue(database)
        folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates")
        self.templates = jinja2.Environment(loader=jinja2.FileSystemLoader(folder), autoescape=True)
        self.templates.filters["price"] = price

    def render(self, template, **values):
        return "text/html; charset=utf-8", self.templates.get_template(template).render(**values)

    def front_page(self, query):
        start = int(query.get("start", ["0"])[0])
        books = self.catalogue.page_of_books(start, 40)
        for book in books:
            book["stars"] = average_stars(self.catalogue.reviews(book["id"]))
        return self.render("front.html", books=books)

    def book_page(self, query):
        number = int(query.get("id", ["1"])[0])
        book = self.catalogue.book(number)
        if book is None:
            return None
        similar = rank_by_relevance(self.catalogue.all_books(), set(words_of(book["title"])))
        reviews = self.catalogue.reviews(number)
        return self.render("book.html", book=book, reviews=reviews, similar=[other for _, other in similar])

    def search(self, query):
        wanted = set(words_of(query.get("q", [""])[0]))
        ranked = rank_by_relevance(self.catalogue.all_books(), wanted)
        return "application/json", json.dumps([{"score": score, **book} for score, book in ranked])

    def revenue_report(self, query):
        totals = monthly_revenue(self.catalogue.sales())
        return "application/json", json.dumps({month: price(cents) for month, cents in totals.items()})

    def page_for(self, path):
        return {
            "/": self.front_page,
            "/book": self.book_page,
            "/search": self.search,
            "/revenue": self.revenue_report,
        }.get(path)

    def __call__(self, environ, start_response):
        page = self.page_for(environ["PATH_INFO"])
        answer = page and page(urllib.parse.parse_qs(environ["QUERY_STRING"]))
        status = "200 OK" if answer else "404 Not Found"
        kind, text = answer or ("text/plain", "there is no such page\n")
        body = text.encode()
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]


if __name__ == "__main__":
    make_database(sys.argv[1])
else:
    application = Shop(os.environ["SAMPLER_DEMO_DATABASE"])
