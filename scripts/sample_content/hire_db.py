"""The hire database (SQLite): stock, customers, orders and service contracts."""

from __future__ import annotations

import sqlite3
from pathlib import Path

SCHEMA = """
CREATE TABLE stock (id INTEGER PRIMARY KEY, article TEXT, name TEXT, site TEXT,
  in_fleet INTEGER, available INTEGER, at_bench INTEGER, shelf TEXT);
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, town TEXT, kind TEXT,
  payment_days INTEGER, contact TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers(id),
  article TEXT, quantity INTEGER, start_date TEXT, end_date TEXT, site TEXT, status TEXT,
  remark TEXT);
CREATE TABLE service_contracts (id INTEGER PRIMARY KEY,
  customer_id INTEGER REFERENCES customers(id), number TEXT, covers TEXT, units INTEGER,
  yearly_fee_eur REAL, next_visit TEXT, ends TEXT);
"""

STOCK = """
41-0200|Kondor 200|Brunnfeld|1180|402|37|hall A
41-0205|Kondor 200 S|Brunnfeld|310|44|6|hall A
41-0210|Kondor 210|Brunnfeld|860|191|29|hall B
41-0400|Kondor 400|Brunnfeld|190|23|11|hall B
61-0055|Merle 55|Brunnfeld|540|188|14|hall C
61-0080|Merle 80|Brunnfeld|220|9|8|hall C
51-0030|Kranich 30|Brunnfeld|410|97|12|hall D
51-0045|Kranich 45|Brunnfeld|170|52|19|outdoor cage
71-0012|Sperber 12|Brunnfeld|780|315|21|hall C
41-0200|Kondor 200|Marrensund|420|133|0|row 1
41-0205|Kondor 200 S|Marrensund|120|17|0|row 1
41-0210|Kondor 210|Marrensund|330|88|0|row 2
41-0400|Kondor 400|Marrensund|70|14|0|row 3
61-0055|Merle 55|Marrensund|150|61|0|row 4
61-0080|Merle 80|Marrensund|80|21|0|row 4
51-0030|Kranich 30|Marrensund|190|58|0|row 5
51-0045|Kranich 45|Marrensund|90|36|0|container 2
71-0012|Sperber 12|Marrensund|290|127|0|mezzanine
61-5501|H14 filter Merle 55|Brunnfeld||260||P-11
61-8001|H14 filter Merle 80|Brunnfeld||74||P-12
61-0010|Pre-filter, set of ten|Brunnfeld||415||P-13
62-0200|Condensate pump kit|Brunnfeld||38||P-20
62-0208|Replacement tank 8.5 l|Brunnfeld||112||P-22
62-0250|Drain hose 10 m|Brunnfeld||540||P-24
62-0260|Lifting station|Brunnfeld||7||P-25
62-0300|Lamella Klar 5 l|Brunnfeld||66||cage 2
"""

CUSTOMERS = """
Baugilde Nordmark eG|Lühe|framework|45|Henning Stoever
Wohnbau Elmtal|Elmtal|business|30|Dörte Siebrand
Malerhof Quendt|Brunnfeld|business|14|Arno Quendt
Gasthof Drei Linden|Wiesenau|business|14|Hedda Lindner
Estrich Hollmann|Lühe|business|30|Bernd Hollmann
Tischlerei Vosskamp|Brunnfeld|business|14|Ute Vosskamp
Dachdeckerei Imhoff|Osterwede|business|14|Jannis Imhoff
Zeltverleih Oste|Osterwede|business|14|Silke Marbach
Schwimmhalle Brunnfeld|Brunnfeld|public|30|Volker Reents
Archiv der Stadt Lühe|Lühe|public|30|Dr. Amalie Gröne
Island Clinic Norrö|Norrö|public|30|Birte Sandvig
Kita Regenbogen|Elmtal|public|30|Mareike Tolle
Sanierung Petri & Kahn|Elmtal|framework|30|Lasse Petri
Hausverwaltung Morgenstern|Osterwede|business|21|Inken Morgenstern
Orgelbau Tremmel|Wiesenau|business|14|Kaspar Tremmel
Fährhaus Sydstrand|Marrensund|business|14|Mads Ravnkilde
Bootswerft Jessen|Marrensund|business|21|Lone Jessen
Museum am Deich|Marrensund|public|30|Dr. Owe Klintholm
Zimmerei Baltrup|Marrensund|business|14|Preben Baltrup
Feuerwehr Wiesenau|Wiesenau|public|30|Heiko Ahlborn
"""

# customer|article|quantity|start|end|site|status|remark; the id of the first order is 4001
ORDERS = """
1|41-0400|3|2026-02-16||Brunnfeld|running|site Hafenspeicher
1|41-0210|14|2026-01-08|2026-02-19|Brunnfeld|returned|site Rathausquartier
1|61-0080|6|2026-02-02||Brunnfeld|running|site Rathausquartier
2|41-0200|8|2026-01-12|2026-02-09|Brunnfeld|returned|burst pipe, stairwell 3
2|61-0080|2|2026-01-08|2026-01-29|Brunnfeld|returned|
3|41-0210|2|2026-01-02|2026-01-23|Brunnfeld|returned|
3|71-0012|6|2026-02-06|2026-02-20|Brunnfeld|returned|
4|51-0045|2|2026-01-09|2026-01-19|Brunnfeld|returned|tent, one unit swapped
4|51-0030|1|2026-02-25|2026-03-04|Brunnfeld|returned|
5|41-0400|4|2026-02-02||Brunnfeld|running|screed, 1,200 m²
5|71-0012|24|2026-02-02||Brunnfeld|running|
6|61-0055|1|2026-01-05||Brunnfeld|running|sanding room
7|41-0200|2|2026-01-12|2026-01-15|Brunnfeld|returned|
8|51-0045|5|2026-02-05|2026-02-09|Brunnfeld|returned|wedding tent
9|41-0400|1|2026-01-14|2026-01-22|Brunnfeld|withdrawn|not suitable for pool halls
10|41-0205|4|2026-02-12||Brunnfeld|running|paper store, quiet operation
11|41-0210|3|2026-02-11||Marrensund|running|sent with the ferry of 11 February
12|61-0055|2|2026-02-23||Brunnfeld|running|renovation of the group room
13|61-0080|12|2026-01-19||Brunnfeld|running|mould, school in Elmtal
13|41-0210|10|2026-01-19||Brunnfeld|running|mould, school in Elmtal
14|41-0205|3|2026-02-18|2026-03-11|Brunnfeld|reserved|
15|41-0205|1|2026-02-03||Brunnfeld|running|organ loft, carried by crane
16|41-0200|5|2026-01-27|2026-02-17|Marrensund|returned|storm flood
16|71-0012|10|2026-01-27|2026-02-10|Marrensund|returned|storm flood
17|51-0030|3|2026-01-05||Marrensund|running|boat hall
18|41-0205|2|2026-02-09||Marrensund|running|picture store
18|61-0055|1|2026-02-09|2026-02-16|Marrensund|returned|
19|51-0045|1|2026-01-15|2026-02-12|Marrensund|returned|
19|71-0012|4|2026-02-20||Marrensund|running|
20|71-0012|8|2026-02-14|2026-02-21|Brunnfeld|returned|fire station cellar
2|41-0200|4|2026-03-02||Brunnfeld|running|laundry room
14|41-0200|2|2026-03-05||Brunnfeld|reserved|
7|71-0012|2|2026-03-09||Brunnfeld|reserved|
5|51-0030|2|2026-03-16||Brunnfeld|reserved|
"""

CONTRACTS = """
1|SC-0107|inspection twice a year|0|0|2026-04-20|2028-02-28
2|SC-0111|inspection once a year|12|540|2026-05-11|2026-12-31
3|SC-0112|inspection once a year|3|165|2026-06-02|2027-05-31
4|SC-0115|burner service|2|318|2026-09-14|2026-10-31
5|SC-0118|full service|9|1620|2026-03-23|2028-01-31
6|SC-0120|filter exchange by us|2|290|2026-04-07|2026-12-31
8|SC-0123|burner service|6|834|2026-08-24|2027-08-31
10|SC-0126|full service|4|760|2026-04-15|2027-12-31
11|SC-0127|full service, island surcharge|5|1240|2026-05-20|2027-06-30
12|SC-0129|filter exchange by us|2|290|2026-07-13|2026-12-31
13|SC-0130|full service|22|3740|2026-03-30|2029-03-31
14|SC-0133|inspection once a year|7|385|2026-06-15|2026-11-30
15|SC-0134|inspection once a year|1|65|2026-10-05|2027-09-30
16|SC-0138|inspection once a year|4|220|2026-04-28|2026-12-31
17|SC-0139|burner service|3|477|2026-09-02|2027-10-31
18|SC-0141|full service|6|1110|2026-03-18|2028-12-31
19|SC-0142|inspection once a year|2|110|2026-05-05|2026-12-31
20|SC-0145|inspection once a year|5|0|2026-04-09|2030-12-31
9|SC-0146|inspection once a year|1|65||2026-03-31
7|SC-0148|inspection once a year|2|110|2026-07-01|2027-06-30
"""


def _rows(text: str) -> list[list[str | None]]:
    return [[cell or None for cell in line.split("|")] for line in text.strip().splitlines()]


def write_db(path: Path) -> None:
    """Write the database anew; numbers in the texts above become numbers in the columns."""
    path.unlink(missing_ok=True)
    tables = [("stock", STOCK, 1), ("customers", CUSTOMERS, 1)]
    tables += [("orders", ORDERS, 4001), ("service_contracts", CONTRACTS, 1)]
    with sqlite3.connect(path) as base:
        base.executescript(SCHEMA)
        for table, text, first in tables:
            rows = [[first + n, *row] for n, row in enumerate(_rows(text))]
            marks = ", ".join("?" * len(rows[0]))
            base.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        base.commit()
        base.execute("VACUUM")
    base.close()
