import sqlite3
from pathlib import Path

import pytest

from ragtune.errors import DocumentError
from ragtune.ingest import sql
from ragtune.types import Document


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as db:
        db.executescript(
            """
            CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, price REAL, note TEXT);
            INSERT INTO products VALUES (10, 'Tent', 199.0, NULL), (3, 'Lamp', 24.5, 'warm white');
            CREATE TABLE lines (sale INTEGER, pos INTEGER, what TEXT, PRIMARY KEY (sale, pos));
            INSERT INTO lines VALUES (7, 2, 'Lamp'), (7, 1, 'Tent'), (8, 1, 'Stove');
            CREATE TABLE words (lang TEXT, word TEXT);
            INSERT INTO words VALUES ('de', 'Zelt'), ('en', 'tent'), ('de', 'Lampe');
            CREATE TABLE pictures (id INTEGER PRIMARY KEY, data BLOB);
            INSERT INTO pictures VALUES (1, x'0001');
            CREATE VIRTUAL TABLE search USING fts5(body);
            INSERT INTO search VALUES ('not a table of its own');
            """
        )
    db.close()
    return path


def read(text: str, root: Path) -> list[Document]:
    return list(sql.read(sql.parse_spec(text, str(root)), 10, 200, 0.0))


def by_uri(text: str, root: Path) -> dict[str, Document]:
    return {document.uri: document for document in read(text, root)}


def test_every_table_is_read_by_its_key(shop: Path) -> None:
    found = by_uri("sqlite:///shop.db", shop.parent)
    assert list(found) == [
        "sqlite:///shop.db#lines/sale=7,pos=1",
        "sqlite:///shop.db#lines/sale=7,pos=2",
        "sqlite:///shop.db#lines/sale=8,pos=1",
        "sqlite:///shop.db#products/id=3",
        "sqlite:///shop.db#products/id=10",
        "sqlite:///shop.db#words/lang=de",
        "sqlite:///shop.db#words/lang=en",
    ]
    lamp = found["sqlite:///shop.db#products/id=3"]
    assert lamp.text == "name: Lamp\nid: 3\nprice: 24.5\nnote: warm white"
    assert lamp.title == "products: Lamp"
    anchor = lamp.map.anchors[0]
    assert (anchor.table, anchor.key, anchor.start, anchor.end) == (
        "products",
        "id=3",
        0,
        len(lamp.text),
    )
    assert (
        found["sqlite:///shop.db#words/lang=de"].text
        == "lang: de\nword: Zelt\n\nlang: de\nword: Lampe"
    )


def test_a_file_in_a_folder_is_named_by_its_uri(shop: Path) -> None:
    spec = sql.file_spec(str(shop), "data/shop.db")
    assert next(iter(sql.read(spec, 10, 200, 0.0))).uri == "data/shop.db#lines/sale=7,pos=1"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id, name FROM products WHERE name LIKE 'T%' OR name = 'a&key;b' ORDER BY name;",
        "SELECT%20id%2C%20name%20FROM%20products%20WHERE%20id%20%3E%205",
        "SELECT+id,name+FROM+products+WHERE+id=10",
        "WITH big AS (SELECT * FROM products WHERE id > 5) SELECT id, name FROM big -- last",
    ],
)
def test_queries_may_be_url_encoded_or_not(shop: Path, query: str) -> None:
    found = by_uri(f"sqlite:///shop.db?query={query}&table=products", shop.parent)
    assert list(found) == ["sqlite:///shop.db#products/id=10"]


def test_group_key_and_title(shop: Path) -> None:
    url = "sqlite:///shop.db?query=SELECT * FROM lines&group=sale&key=pos&title=what"
    found = by_uri(url, shop.parent)
    assert list(found) == ["sqlite:///shop.db#lines/sale=7", "sqlite:///shop.db#lines/sale=8"]
    seven = found["sqlite:///shop.db#lines/sale=7"]
    assert seven.text == "what: Tent\nsale: 7\npos: 1\n\nwhat: Lamp\nsale: 7\npos: 2"
    assert [anchor.key for anchor in seven.map.anchors] == ["pos=1", "pos=2"]
    for block in seven.map.blocks:
        assert seven.text[block.start : block.end].startswith("what: ")


@pytest.mark.parametrize(
    "bad",
    [
        "DELETE FROM products",
        "SELECT 1; DELETE FROM products",
        "PRAGMA writable_schema=1",
        "ATTACH 'x' AS y",
        "/* SELECT */ DROP TABLE products",
    ],
)
def test_only_one_select_is_sent(shop: Path, bad: str) -> None:
    with pytest.raises(DocumentError, match="query="):
        sql.parse_spec(f"sqlite:///shop.db?query={bad}", str(shop.parent))


def test_nothing_can_be_written_through_the_connection(shop: Path) -> None:
    from sqlalchemy import exc

    from ragtune.ingest.sql_connection import Connection

    with Connection(str(shop), None, 10, 200) as db, pytest.raises(exc.OperationalError):
        db._execute("DELETE FROM products")


def test_a_semicolon_in_quotes_is_no_statement(shop: Path) -> None:
    found = read(
        "sqlite:///shop.db?query=SELECT id, 'a;b' AS note FROM products -- ; x", shop.parent
    )
    assert found[0].text == "id: 3\nnote: a;b"


def test_endless_queries_end(shop: Path) -> None:
    query = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT max(i) AS m FROM n"
    )
    spec = sql.parse_spec(f"sqlite:///shop.db?query={query}", str(shop.parent))
    with pytest.raises(DocumentError, match="gave no rows for"):
        list(sql.read(spec, 0.2, 200, 0.0))


def test_a_damaged_file_and_a_wrong_column_are_document_errors(shop: Path) -> None:
    with pytest.raises(DocumentError, match="no column 'nr'; there are id, name"):
        read("sqlite:///shop.db?table=products&key=nr", shop.parent)
    with pytest.raises(DocumentError, match="no such table"):
        read("sqlite:///shop.db?table=gone", shop.parent)
    data = bytearray(shop.read_bytes())
    data[200:] = b"\xff" * (len(data) - 200)
    shop.write_bytes(data)
    with pytest.raises(DocumentError, match=r"malformed|not a database"):
        read("sqlite:///shop.db", shop.parent)


def test_a_locked_database_is_unreachable_not_damaged(shop: Path) -> None:
    db = sqlite3.connect(shop, isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sql.Unreachable, match="locked"):
        list(sql.read(sql.parse_spec("sqlite:///shop.db", str(shop.parent)), 0.3, 200, 0.0))
    db.close()


def test_odd_names_keys_and_bytes(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "odd ?#%41.db") as db:
        db.execute('CREATE TABLE "a/b #1" ("the key" TEXT, "x"" y" TEXT)')
        rows = [("k/1,=", "v"), ("long" * 100, "w"), (None, "n"), ("inv", "bad")]
        db.executemany('INSERT INTO "a/b #1" VALUES (?, ?)', rows)
        db.execute(
            """UPDATE "a/b #1" SET "x"" y" = CAST(x'62ff' AS TEXT) WHERE "the key" = 'inv'"""
        )
    db.close()
    spec = sql.file_spec(str(tmp_path / "odd ?#%41.db"), "odd.db")
    found = {document.uri: document.text for document in sql.read(spec, 10, 200, 0.0)}
    assert found["odd.db#a%2Fb %231/the key=k%2F1%2C%3D"] == 'the key: k/1,=\nx" y: v'
    assert found["odd.db#a%2Fb %231/the key=NULL"] == 'x" y: n'
    assert found["odd.db#a%2Fb %231/the key=inv"].endswith("b\ufffd")
    assert len({uri for uri in found if "longlong" in uri and len(uri) < 200}) == 1


def test_long_rows_are_cut_by_column(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("CREATE TABLE posts (id INTEGER PRIMARY KEY, title TEXT, body TEXT)")
        body = "\n\n".join(f"Paragraph {n} " + "word " * 60 for n in range(5))
        db.execute("INSERT INTO posts VALUES (1, 'Hello', ?)", (body,))
    db.close()
    (post,) = read("sqlite:///a.db", tmp_path)
    spans = [post.text[block.start : block.end] for block in post.map.blocks]
    assert spans[0] == "title: Hello"
    assert spans[1] == "id: 1"
    assert [span[:12] for span in spans[3:]] == [f"Paragraph {n} "[:12] for n in range(1, 5)]
    assert all(a.end <= b.start for a, b in zip(post.map.blocks, post.map.blocks[1:], strict=False))


def test_passwords_are_masked_and_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = "postgresql+psycopg://reader:se:c@ret@db.local/shop?sslmode=require&query=SELECT 1"
    assert "ret" not in sql.masked(plain)
    assert sql.masked(plain).startswith("postgresql+psycopg://reader:***@db.local/shop?sslmode")
    by_name = "postgresql://reader:${PW_OF_SHOP}@db.local/shop"
    assert sql.masked(by_name) == by_name
    spec = sql.parse_spec(by_name + "?table=x", str(tmp_path))
    assert spec.base == "postgresql://db.local/shop"
    with pytest.raises(sql.Unreachable, match="environment variable PW_OF_SHOP"):
        list(sql.read(spec, 1, 1, 0.0))
    monkeypatch.setenv("PW_OF_SHOP", "p@ss/word")
    assert sql._expanded(spec.url).password == "p@ss/word"
    stored = sql.parse_spec(sql.masked(plain), str(tmp_path))
    with pytest.raises(sql.Unreachable, match="add it again"):
        list(sql.read(stored, 1, 1, 0.0))
    assert "tok" not in sql.masked("mysql://h/db?password=tok")


def test_missing_driver_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="pip install"):
        list(sql.read(sql.parse_spec("postgresql+pg8000://h/db?table=t", str(tmp_path)), 1, 1, 0.0))
    with pytest.raises(DocumentError, match="no such kind"):
        list(sql.read(sql.parse_spec("nosuchdb://h/db?table=t", str(tmp_path)), 1, 1, 0.0))


def test_stored_specs_are_seen_from_the_workspace(shop: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "a b.db").write_bytes(b"")
    root = str(tmp_path)
    assert sql.stored_spec("sqlite:///../a b.db?table=x", root, str(inner)) == (
        "sqlite:///a b.db?table=x"
    )
    assert sql.stored_spec(f"sqlite:///{shop}", root, str(inner)) == "sqlite:///shop.db"
    assert sql.stored_spec(f"sqlite:///{shop}", str(inner), "/") == f"sqlite:///{shop}"
    with pytest.raises(DocumentError, match="no such file"):
        sql.stored_spec("sqlite:///none.db", root, root)
    with pytest.raises(DocumentError, match="names no file"):
        sql.stored_spec("sqlite://", root, root)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "many.db") as db:
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)")
        db.executemany("INSERT INTO t VALUES (?, ?)", ((n, f"row {n}") for n in range(20_000)))
    db.close()
    return tmp_path


def test_rows_stream(many: Path) -> None:
    rows = sql.read(sql.parse_spec("sqlite:///many.db", str(many)), 10, 200, 0.0)
    assert [next(rows).text for _ in range(2)] == ["id: 0\nbody: row 0", "id: 1\nbody: row 1"]
    assert sum(1 for _ in rows) == 19_998
