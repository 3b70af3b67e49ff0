"""Price list and training plan (XLSX)."""

from __future__ import annotations

from .office import Cell

# name, article, day, week, month (28 days), deposit, list price
UNITS: list[tuple[str, str, float, float, float, int, int]] = [
    ("Kondor 200", "41-0200", 14.90, 74.50, 238.00, 150, 1290),
    ("Kondor 200 S", "41-0205", 18.50, 92.50, 296.00, 150, 1520),
    ("Kondor 210", "41-0210", 17.20, 86.00, 275.00, 200, 1640),
    ("Kondor 400", "41-0400", 32.00, 160.00, 512.00, 400, 3480),
    ("Merle 55", "61-0055", 16.00, 80.00, 256.00, 150, 1180),
    ("Merle 80", "61-0080", 24.50, 122.50, 392.00, 250, 1790),
    ("Kranich 30", "51-0030", 12.40, 62.00, 186.00, 100, 690),
    # the month rate is a printing error on purpose; a mail of February 2026 corrects it
    ("Kranich 45", "51-0045", 27.00, 135.00, 432.00, 300, 2250),
    ("Sperber 12", "71-0012", 8.90, 44.50, 142.00, 80, 420),
]


def euro(amount: float) -> str:
    """Amounts are written as text, so that they read the same in every program."""
    return f"{amount:,.2f}"


HIRE_RATES: list[list[Cell]] = [
    [a, n, euro(d), euro(w), euro(m), euro(p)] for n, a, d, w, m, p, _ in UNITS
]
LIST_PRICES: list[list[Cell]] = [[a, n, euro(s), ""] for n, a, _, _, _, _, s in UNITS]

HIRE: list[list[Cell]] = [
    ["*Tarnhagen price list 2026 – hire (EUR, including VAT for private customers)"],
    ["Valid from 1 January 2026. A week is seven days, a month 28 days."],
    ["*Article", "Unit", "Day", "Week", "Month", "Deposit"],
    *HIRE_RATES,
    ["*Delivery and collection, one way"],
    ["Z1", "Zone 1, up to 25 km", "39.00"],
    ["Z2", "Zone 2, above 25 up to 60 km", "69.00"],
    ["Z3", "Zone 3, above 60 up to 120 km", "119.00"],
    ["Z4", "Further away", "on request"],
    ["*Extras"],
    ["X1", "Cleaning charge per unit", "28.00"],
    ["X2", "Lost or cut power cable", "19.50"],
    ["X3", "Energy meter, calibrated, per week", "4.00"],
    ["X4", "Carrying upstairs, per floor and unit", "15.00"],
    ["X5", "Return to the other depot, per unit", "45.00"],
    ["X6", "Set-up and first measurement by a technician", "95.00"],
    ["X7", "Trailer, per day", "22.00"],
    ["X8", "Flat suction pump, per day", "11.50"],
]

SALES: list[list[Cell]] = [
    ["*Tarnhagen price list 2026 – units and parts for sale (EUR, including VAT)"],
    ["*Article", "Description", "Price", "Remark"],
    *LIST_PRICES,
    ["61-5501", "H14 filter for Merle 55", "84.00", "change after 2,000 h"],
    ["61-8001", "H14 filter for Merle 80", "118.00", "change after 2,000 h"],
    ["61-0010", "Pre-filter, set of ten", "22.50", "Merle 55 and Merle 80"],
    ["62-0200", "Condensate pump kit", "149.00", "Kondor 200 and 200 S"],
    ["62-0204", "Castor set", "38.00", "Kondor 200 and 200 S"],
    ["62-0208", "Replacement tank 8.5 l", "46.00", "Kondor 200 and 200 S"],
    ["62-0230", "Rubber mat against vibration", "17.50", "all Kondor units"],
    ["62-0240", "Energy meter, calibrated", "96.00", "all units"],
    ["62-0250", "Drain hose 10 m", "31.00", "all Kondor units"],
    ["62-0260", "Lifting station, up to 9 m", "268.00", ""],
    ["62-0300", "Lamella Klar, 5 l canister", "24.90", "dangerous goods"],
    ["71-0112", "Carpet clamp", "12.80", "Sperber 12"],
    ["51-4510", "Nozzle for Kranich 45", "33.40", "fitted by the Bench only"],
]

TRAINING: list[list[Cell]] = [
    ["*Course", "Title", "Date", "Place", "Places", "Trainer"],
    ["TR-01", "First aid, two days", "2026-04-14", "Osterwede, Weser", 16, "Red van academy"],
    ["TR-02", "Forklift licence", "2026-04-20", "Brunnfeld, yard", 8, "Kalle Brinkum"],
    ["TR-03", "Propane in the workshop", "2026-05-06", "Brunnfeld, Bench", 10, "Milena Kost"],
    ["TR-04", "Talking to upset customers", "2026-05-19", "Osterwede, Leine", 8, "Nadja Rehwald"],
    ["TR-05", "Load securing", "2026-06-09", "Marrensund, hall", 12, "Oskar Timmig"],
    ["TR-06", "Moisture measuring, basic", "2026-06-23", "Brunnfeld, room 2", 12, "Radek Duda"],
    ["TR-07", "Moisture measuring, advanced", "2026-09-15", "Brunnfeld, room 2", 6, "Radek Duda"],
    ["TR-08", "Leading without shouting", "2026-10-07", "Osterwede, Aller", 10, "Ilka Wendisch"],
]

CERTIFICATES: list[list[Cell]] = [
    ["*Name", "Certificate", "Valid until", "Site"],
    ["Milena Kost", "Refrigeration category I", "2029-03-31", "Brunnfeld"],
    ["Radek Duda", "Refrigeration category I", "2026-08-31", "Brunnfeld"],
    ["Jonte Harms", "Refrigeration category I", "2027-11-30", "Brunnfeld"],
    ["Femke Oltrogge", "Refrigeration category I", "2030-01-31", "Marrensund"],
    ["Bogdan Lisiecki", "Lorry driver module", "2026-12-31", "Brunnfeld"],
    ["Tove Lindqvist", "Lorry driver module", "2028-05-31", "Marrensund"],
    ["Kalle Brinkum", "Forklift trainer", "2027-02-28", "Brunnfeld"],
]

PRICE_LIST = {"Hire 2026": HIRE, "Sales and parts 2026": SALES}
TRAINING_PLAN = {"Courses 2026": TRAINING, "Certificates": CERTIFICATES}
