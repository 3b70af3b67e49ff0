"""Employee handbook (DOCX) and organisation chart (ODT)."""

HANDBOOK = """
# Employee handbook

Edition 7, valid from 1 January 2026. Published by the People team of Tarnhagen Lufttechnik GmbH.
Agreed with the works council. Earlier editions are no longer valid.

## A word from Maren Oltmann

When my grandmother Henrike dried her first flooded cellar in 1974, she had one fan, one heater and
a borrowed van. She charged nothing, because the cellar belonged to a friend, and went home with
three new orders. We have grown since then, but the idea has stayed the same: people call us when
their house is wet and their nerves are bare. Whoever answers that call, builds the unit or drives
the van is Tarnhagen for them.

This handbook tells you how we work together. It does not replace your contract of employment. If
the two contradict each other, the contract counts; if a policy contradicts the handbook, the
policy counts.

## Who we are

Tarnhagen Lufttechnik GmbH builds, hires out and services building dryers, air cleaners and site
heaters. On 1 January 2026 we were 312 people at three sites: 187 in Osterwede, 84 in Brunnfeld and
41 in Marrensund. The company belongs to the Henrike Oltmann Foundation, which uses its share of
the profit for the training of refugees and for the repair of listed buildings.

The hire fleet comprises around 6,400 units. A third of them are out after a storm, two thirds in an
ordinary week. Kondor and Merle units are built in Osterwede; heaters and fans are bought in and
tested by the Bench.

## Starting with us

The probationary period is six months. During that time either side may give two weeks' notice.
You are given a godparent from another department, who shows you around and has lunch with you in
the first week. There are two review talks, one after six weeks and one after five months.

In your first week you do the following, in this order:

1. Collect your badge at reception and sign the receipt.
2. Set up your account at the IT counter, with your telephone at hand for the second factor.
3. Pick up your work clothes or notebook, depending on your role.
4. Take part in the safety briefing on your site; nobody works without it.
5. Spend half a day in a van or at a depot counter, whatever your job is.
6. Complete the data protection lesson in Logbuch before Friday.

## Working time

The working week is 38.5 hours. Overtime is recorded in Logbuch and taken as time off within six
months; it is paid out only if the crew lead and the People team agree. More than ten hours a day
are not permitted. Between two working days there are eleven hours of rest.

The following bands apply:

| Area | Start | End | Break |
| Office functions, all sites | 06:30 to 09:30 | 15:00 to 19:00 | 45 minutes |
| Plant, early shift | 06:00 | 14:15 | 30 minutes |
| Plant, late shift | 14:00 | 22:15 | 30 minutes |
| Plant, night shift | 22:00 | 06:15 | 30 minutes |
| Depot Brunnfeld, early | 06:15 | 14:30 | 45 minutes |
| Depot Brunnfeld, late | 10:15 | 18:30 | 45 minutes |
| Depot Marrensund | 06:45 | 15:15 | 45 minutes |

The late shift carries a supplement of 12 per cent, the night shift one of 28 per cent. Work on
Sundays is paid with a supplement of 60 per cent, work on public holidays with 125 per cent.

## Pay

Salaries are paid on the 25th of the month. Pay bands are reviewed every two years, most recently
in 2025, and are open to all crew in Logbuch. A thirteenth salary is not part of the contract.
There is capital-forming support of 27 EUR a month from the seventh month on.

## Free time and illness

Annual leave, special leave and sabbaticals are set out in the leave policy. If you fall ill, tell
your crew lead before the start of your shift. Long-term illness is nobody's fault; after six weeks
the People team offers a return plan with reduced hours.

## Learning

Everybody has four learning days a year, which are agreed in the annual talk. Courses above 1,500
EUR come with an agreement: whoever leaves within 24 months repays a part, reduced by one
twenty-fourth each month. Language lessons in German or Danish take place during working time, two
hours a week at most.

Refrigeration work may be done only by people with certificate category I. The certificate is
renewed every five years; the training plan lists who is due.

## Safety

You may stop any work that you think is dangerous, and nobody will hold it against you. Near misses
are reported with the green card or in Logbuch; the best idea of the quarter receives 150 EUR.
Alcohol and other drugs are forbidden in the plant, in the depots and on the road. In the House a
glass at a celebration is allowed after work if the head of department agrees.

## Conduct

We treat each other with respect. Harassment and discrimination have no place here; turn to the
People team, the works council or the whistleblowing office. Gifts from suppliers or customers up to
a value of 35 EUR may be kept. Anything above that is handed to the People team and raffled in
December for a good cause.

Second jobs must be reported before they begin. They are refused only if they serve a competitor,
tire you out or use our tools.

## Leaving us

After the probationary period the notice period is six weeks to the end of a calendar quarter. On
the last day you hand in badge, keys, notebook, clothes and company car. You receive an
interview with the People team, if you wish, and a reference without having to ask for it.
"""

ORGANISATION = """
# Organisation of Tarnhagen Lufttechnik GmbH

As of 1 February 2026. Kept by the People team. Numbers are people, not full-time posts.

## Management

The managing director is Maren Oltmann. Joachim Petersdorff, head of finance, is her deputy and
holds full power of representation together with her. Contracts above 100,000 EUR are signed by
both.

The advisory board of the foundation meets four times a year. Its chair is Professor Elmar
Tiedeken.

## Departments

| Department | Head | People | Site |
| Engineering and plant | Dr. Cornelius Vahl | 121 | Osterwede |
| Hire & Service | Tomasz Bielak | 98 | Brunnfeld |
| Depot Marrensund | Signe Aarup | 41 | Marrensund |
| Sales and marketing | Piet Verstegen | 24 | Osterwede |
| Finance and IT | Joachim Petersdorff | 16 | Osterwede |
| People and facilities | Ilka Wendisch | 7 | Osterwede |
| Purchasing | Franka Löwe | 5 | Osterwede |

Of the 98 people in Hire & Service, 84 work in Brunnfeld; the other 14 form the Dry Desk, which is
led by Nadja Rehwald and sits in the House. Marketing is led by Liv Andresen and reports to Piet
Verstegen. Facility Services (Jule Ahrens) report to Ilka Wendisch.

## Officers

- Safety officer: Oskar Timmig, appointed by the managing director, reports to her directly
- Information security officer: Aylin Serdar
- Data protection officer: Ruben Hartkamp (external)
- Waste and refrigerants officer: Milena Kost
- Equal opportunities: Femke Oltrogge
- Company doctor: Dr. Hanne Brodersen (external, every second Thursday in room B 0.07)

## Works council

The works council has nine members. Its chair is Beate Krummholz, her deputy is Kalle Brinkum. The
works council is consulted on Wednesdays from 14:00 to 16:00 in room A 1.15. The next election takes
place in spring 2030.

## Standing in

If a head of department is absent for more than ten working days, the standing-in rule takes effect:
the named deputy signs up to half of the usual limit. Deputies are named in Logbuch.
"""
