"""The travel policy in force and the one it replaced (PDF)."""

TRAVEL_2023 = """
# Travel policy 2023

Version 2.0, valid from 1 January 2023. Owner: Finance. This version applies until it is replaced.

## 1. Scope

This policy applies to business trips of all employees of Tarnhagen Lufttechnik GmbH. A business
trip is a journey to a place other than the usual workplace that lasts longer than four hours.
Deliveries and service calls within the region of a depot are not business trips.

## 2. Booking

Trips are booked through the travel desk, at least five working days ahead. The travel desk is
open from 08:00 to 15:00. Short-notice bookings are possible with the signature of the head of
department.

## 3. Means of transport

Rail is used in second class. First class is not reimbursed. Flights are permitted for distances of
more than 500 km. For journeys in a private car 0.30 EUR per kilometre are paid. Taxis are
reimbursed only with luggage of more than 15 kg or after 22:00.

## 4. Hotels

Hotel costs are reimbursed up to 95 EUR a night within the country and up to 125 EUR abroad,
breakfast included. Higher prices need the written approval of the head of department before the
trip.

## 5. Daily allowance

For an absence of more than eight hours the daily allowance is 14 EUR, for a full day 28 EUR. If
breakfast is provided, 5.60 EUR are deducted.

## 6. Settlement

Travel expenses are claimed on the green form within 60 days of the return. Original receipts are
stapled to the form. Finance pays with the next salary.

## 7. Travel time

Travel time by rail counts as working time if work is done. Travel time as a driver always counts as
working time. Travel time as a passenger in a car does not.
"""

TRAVEL_2025 = """
# Travel policy

Version 3.0, valid from 1 April 2025. Owner: Finance (Joachim Petersdorff). This version replaces the
travel policy 2023 (version 2.0), which applies only to trips that began before 1 April 2025.

## 1. Scope and principles

This policy applies to business trips of all employees of Tarnhagen Lufttechnik GmbH and of
applicants whom we invite. A business trip is a journey to a place other than the usual workplace
that lasts longer than four hours. Deliveries and service calls within the region of a depot are not
business trips; for on-call technicians the rules of Hire & Service apply.

Before every trip we ask whether a call would do. If two people travel to the same customer, they
travel together. Safety comes before thrift: nobody has to drive home tired in order to save a
hotel.

## 2. Approval

Trips within the country are approved by the crew lead. Trips abroad with more than three
nights are approved by the head of department. Trips outside Europe are approved by the managing
director. Approval is given in the portal "Fernweg" before anything is booked; a booking without
approval is paid by the traveller until approval has been granted afterwards.

## 3. Booking

All trips are booked in Fernweg. The portal shows the cheapest suitable connection and the hotels of
our partners. The travel desk was closed on 31 March 2025. If the portal does not work, the
emergency line of the travel agency helps around the clock on +00 555 0147.

A trip is booked like this:

1. Open Fernweg from Logbuch and enter purpose, place and dates.
2. Choose the cost centre; for customer projects, enter the order number too.
3. Send the request to your crew lead and wait for the green tick.
4. Book rail and hotel in the same basket, so that changes reach both.
5. Save the confirmation in the calendar entry of the trip.

===
## 4. Means of transport

Rail comes first. Tickets are booked in second class; first class is permitted for journeys of more
than three hours. A private rail card is reimbursed as soon as it has paid for itself.

Flights are permitted only if the journey by rail takes longer than six hours in one direction.
For every flight the department pays a climate levy of 25 EUR per flight segment into the internal
climate fund. The fund pays for heat pumps and shading at our sites.

If a private car has to be used, 0.34 EUR per kilometre are paid, plus 0.04 EUR for each passenger.
Pool cars come before private cars. For a bicycle 0.10 EUR per kilometre are paid. Taxis are
reimbursed with luggage of more than 15 kg, after 22:00, or if no bus or tram runs within 20 minutes.

Units of ours may be carried in a company vehicle on a business trip only if they stand upright and
are secured with two straps.

## 5. Hotels

Hotel costs are reimbursed up to 115 EUR a night within the country and up to 145 EUR abroad,
breakfast included. In capital cities and at trade fairs up to 175 EUR are possible if the crew
lead has approved the amount before booking. Those who stay with friends or family
receive 20 EUR a night for a present, without a receipt.

## 6. Daily allowance

For an absence of more than eight hours the daily allowance is 16 EUR, for a full day 32 EUR. On the
days of arrival and departure of a trip with an overnight stay 16 EUR are paid. If meals are
provided, 20 per cent of the full rate are deducted for breakfast and 40 per cent each for lunch and
dinner. Abroad, the rates of the tax authority for the country apply.

===
## 7. Settlement

Travel expenses are entered in Fernweg within 30 days of the return. Receipts are photographed;
the paper may be thrown away after the settlement has been paid. Settlements that are complete by
the 10th of a month are paid with the salary of that month. Tips up to 5 per cent are reimbursed.

Costs that are not reimbursed: minibar, films, fines, and the extra cost of travelling earlier or
later for private reasons. A private extension of up to four nights is allowed if it does not make
the ticket more expensive.

## 8. Travel time

Travel time counts as working time up to ten hours a day, whether it is spent at the wheel, in a
passenger seat or on a train. Whoever returns after 23:00 need not start before 10:00 the next day.

## 9. If something goes wrong

In case of illness or an accident abroad the travel health insurance pays; its card is in Fernweg.
The certificate A1 must be carried within the European Union. The loss of luggage is reported
to the carrier first and to Finance within seven days. If a region becomes unsafe, the managing
director decides on the return; the traveller may leave earlier on their own decision, at the
company's cost.

## 10. Miles and points

Bonus miles and hotel points collected on business trips belong to the company and are used for
further trips. Whoever uses them privately owes the tax.
"""
