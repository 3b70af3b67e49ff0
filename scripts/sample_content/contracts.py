"""Customer framework agreement (PDF) and supplier agreement (DOCX)."""

FRAMEWORK = """
# Framework agreement for the hire of drying equipment

between Tarnhagen Lufttechnik GmbH, Osterwede, hereinafter "Tarnhagen", and Baugilde Nordmark eG,
Lühe, hereinafter "the Customer". Contract number FA-2025-014, signed on 19 February 2025.

## Article 1 – Subject

Tarnhagen hires out building dryers, air cleaners, heaters and fans to the Customer and its member
companies, sets them up on request and services them. Each order is placed by a call-off under this
agreement. General terms of either party do not apply.

## Article 2 – Term

The agreement starts on 1 March 2025 and runs until 28 February 2028. It is extended by one year at a
time unless it is terminated in writing six months before its end. The right to terminate for good
cause is not affected.

## Article 3 – Reserved pool

Tarnhagen keeps a pool of units ready for the Customer: 60 Kondor 210, 12 Kondor 400 and 20 Merle
80. Units from the pool are delivered within one working day of the call-off, other units as
available. If the Customer uses less than half of the pool in two consecutive quarters, Tarnhagen may
reduce it by a quarter.

## Article 4 – Prices

The price list in force applies, less a discount of 12 per cent on hire rates. Delivery charges,
consumables and spare parts are not discounted. If the net hire turnover of a calendar year exceeds
180,000 EUR, the Customer receives a bonus of 2 per cent on the whole turnover of that year, paid
by 31 March of the following year. Price increases are announced three months in advance and are
limited to 4 per cent a year.

===
## Article 5 – Service levels

Faults are reported to the Dry Desk by telephone at any hour. The times run from the report. For
priorities 2 and 3 only working hours count, which are Monday to Friday from 07:00 to 17:00.

| Priority | Meaning | First answer | Technician on site | Replacement or repair |
| 1 | Job stands still or danger | 30 minutes | 8 hours | 24 hours |
| 2 | Reduced output | 4 working hours | 2 working days | 4 working days |
| 3 | Everything else | 1 working day | by agreement | 10 working days |

Tarnhagen reports on these times once a quarter. Both parties meet twice a year to review them.

## Article 6 – Penalty

If Tarnhagen misses an on-site or replacement time of priority 1 or 2 through its own fault, the
Customer may claim 5 per cent of the monthly hire of the unit concerned for each case. The
penalties of a calendar year are limited to 15 per cent of the monthly average hire turnover. A
penalty must be claimed within six weeks of the event, otherwise it lapses. Ice, flood and closed
roads are not the fault of Tarnhagen if the authorities have warned of them.

## Article 7 – Duties of the Customer

The Customer provides access, electricity and a drain. It names a contact person for each site,
checks filters once a week and protects the units from theft. Units in containers are locked in with
a closed-shackle padlock. Moving units between sites is allowed if the Dry Desk is told on the same
day.

===
## Article 8 – Invoices

Tarnhagen invoices monthly, one invoice for each site. Payment is due within 45 days without
deduction. Objections are raised within 30 days of receipt. In default, interest of eight percentage
points above the base rate is due.

## Article 9 – Liability and insurance

Tarnhagen is liable for damage caused by its units or people up to 250,000 EUR per event and
1,000,000 EUR per year, without limit in cases of intent, gross negligence and injury to persons.
The Customer insures the units against fire, water and theft at their replacement value. A theft is
reported to the police and to Tarnhagen within 24 hours.

## Article 10 – Data

Units with telematics report position and operating hours. The Customer may see the data of its
units in the portal. They are deleted after 90 days.

## Article 11 – Contacts

For the Customer: Henning Stoever, technical purchasing. For Tarnhagen: Piet Verstegen for contract
questions, Tomasz Bielak for operations. Notices of termination are valid only in writing.

## Article 12 – Final provisions

Amendments need the written form, and so does any waiver of this clause. Should a provision be
invalid, the rest remains in force. Disputes are settled first by a conversation between the managing
directors, then by mediation, then by the courts at the seat of the defendant.

## Annex A – Net hire rates for the Customer in 2026 (EUR)

| Unit | Day | Week | Month |
| Kondor 200 | 13.11 | 65.56 | 209.44 |
| Kondor 210 | 15.14 | 75.68 | 242.00 |
| Kondor 400 | 28.16 | 140.80 | 450.56 |
| Merle 80 | 21.56 | 107.80 | 344.96 |
| Sperber 12 | 7.83 | 39.16 | 124.96 |
"""

SUPPLIER = """
# Supply agreement for compressors

between Frigora Kompressoren AG ("the Supplier") and Tarnhagen Lufttechnik GmbH ("the Buyer").
Contract number SA-2023-007, signed on 8 November 2023, valid from 1 January 2024.

## 1. Goods

The Supplier delivers hermetic compressors of the types FK 9 and FK 14. The FK 9 is released for
propane and goes into the Kondor 200, Kondor 200 S and Kondor 210. The FK 14 goes into the
Kondor 400. Technical changes need the consent of the Buyer three months before they are introduced.

## 2. Prices and quantities

| Type | Price per piece | Minimum quantity per year | Packing unit |
| FK 9 | 71.40 EUR | 1,600 | 24 |
| FK 14 | 96.80 EUR | 400 | 16 |

Prices are fixed until 31 December 2025. After that they may be adjusted once a year if the price of
copper has changed by more than 10 per cent since the last adjustment; half of the change in cost of
copper is passed on. If less than the minimum quantity is bought, the Buyer pays 6 per cent of the
value of the shortfall.

## 3. Ordering and delivery

The Buyer sends a forecast for six months on the first working day of each month. The first two
months of it are binding. The lead time is six weeks from the order. Delivery is made DAP
Osterwede, Gate 2, from Monday to Thursday between 07:00 and 13:00. The Supplier keeps a safety stock
of 80 pieces of each type.

## 4. Late delivery

For each week of delay begun, the Supplier pays 0.5 per cent of the value of the delayed goods, up to
a maximum of 5 per cent. After four weeks of delay the Buyer may buy elsewhere at the Supplier's cost.

## 5. Inspection and defects

The Buyer checks quantity and visible damage on arrival and reports visible defects within ten
working days. Hidden defects are reported within ten working days of their discovery.

## 6. Warranty

The warranty is 30 months from delivery. The Supplier replaces faulty compressors within two weeks
and pays a flat rate of 85 EUR for each exchange in the field. If more than 1.5 per cent of a
batch fail, it is a serial defect; the Supplier then pays for the recall of the whole batch.

## 7. Quality and environment

The Supplier keeps a certified quality management system. It discloses the origin of copper and
rare earths on request. Packaging is taken back with the next delivery.

## 8. Confidentiality

Drawings and test results remain confidential for five years after the end of the agreement.

## 9. Term

The agreement ends on 31 December 2027. Either party may terminate it early with twelve months'
notice. The Supplier delivers spare compressors for ten years after the last series delivery.

## 10. Contacts

For the Buyer: Franka Löwe. For the Supplier: key account management, sales@frigora.example.
"""
