"""Expenses (DOCX), leave (PDF) and whistleblowing (RTF)."""

EXPENSES = """
# Expenses policy

Version 1.4, valid from 1 October 2025. Owner: Finance. It covers expenses other than travel; for
trips see the travel policy.

## 1. Principle

The company refunds what was spent for its business, was necessary and was proven. We trust
you, and we check every twentieth claim by lot.

## 2. How to claim

1. Photograph the receipt on the day you receive it.
2. Open the form "Auslage" in Logbuch and attach the photograph.
3. Enter purpose, cost centre and, for entertainment, the names of all guests.
4. Send the form to your crew lead.
5. Keep the paper until the amount is on your account.

Claims that arrive by the 10th of the month are paid with the salary on the 25th. Claims older than
90 days lapse, unless illness was the reason.

## 3. Who approves

| Amount per claim | Approved by |
| up to 250 EUR | crew lead |
| above 250 EUR up to 1,500 EUR | head of department |
| above 1,500 EUR | head of finance |

Nobody approves a claim of their own. If two people ate together, the one with the higher position
pays and claims.

## 4. Entertaining guests

Meals with customers or suppliers are refunded up to 45 EUR per person, drinks included. Alcohol is
refunded in moderation; spirits are not. Meals among ourselves are entertainment only if the
head of department approved them in advance, for example at the end of a project, up to 25 EUR
per person.

## 5. Gifts we make

Gifts to customers may cost up to 30 EUR per person and year. Public officials receive no gifts
from us, not even a calendar.

## 6. Telephone and internet

Crew who use a private mobile telephone for work, with the consent of their crew lead, receive 18 EUR
a month. There is no contribution to the internet connection at home.

## 7. Company credit card

Heads of department, buyers and on-call technicians receive a company credit card. The monthly limit
is 2,000 EUR, for buyers 6,000 EUR. Withdrawing cash is blocked. Receipts are uploaded within
five working days of the payment; after two reminders the card is suspended. A lost card is blocked
at once on +00 555 0188 and reported to Finance afterwards.

## 8. Lost receipts

If a receipt is lost, a replacement receipt is filled in and signed by the crew lead. This is
possible three times per person and year, for up to 40 EUR each.

## 9. Small things for the team

Each team has a budget of 60 EUR per person and year for flowers, cake and similar. It is managed by
the crew lead and does not carry over.
"""

LEAVE = """
# Leave policy

Version 4.2, valid from 1 January 2026. Owner: People team (Ilka Wendisch). Agreed with the works
council on 26 November 2025.

## 1. Annual leave

Full-time crew have 30 working days of annual leave per calendar year, on the basis of a five-day
week. Part-time crew have leave in proportion to their working days. After ten years of service
there is one additional day, after twenty years there are two. Crew at Marrensund also have the
Founding Day, the first Monday in June, as a paid day off.

In the year of joining or leaving, a twelfth of the annual leave is due for each full month.

## 2. Applying

Leave is applied for in Logbuch. For more than five days in a row, apply at least three weeks ahead;
for shorter leave three working days are enough. The crew lead answers within one week. Silence
after that time counts as consent.

Between 1 November and 28 February no more than a third of a depot team may be on leave at the same
time, because this is the season of burst pipes. Parents of schoolchildren have priority in the
school holidays.

## 3. Carrying over

Up to five days can be carried over into the next year. They must be taken by 31 March; after that
they lapse. Days that could not be taken because of illness or parental leave remain until
31 March of the year after next. Leave is not paid out, except at the end of employment.

## 4. Company closure

The plant is closed from 24 December to 1 January. Three days of annual leave are used for it. The
depots and the Dry Desk remain open with a skeleton crew, who receive one extra day off for each
shift between the holidays.

===
## 5. Special leave

Paid special leave is granted for these occasions:

| Occasion | Working days |
| Own wedding or registration of a partnership | 2 |
| Birth of a child of one's own, partner of the mother | 5 |
| Death of a spouse, partner, child or parent | 3 |
| Death of a grandparent or sibling | 1 |
| Moving house, once in two years | 1 |
| 25 or 40 years with the company | 2 |
| Call-out of the voluntary fire brigade | as needed |

Special leave is taken within four weeks of the occasion. Moving house because of a change of site
at the company's request gives two days instead of one.

## 6. Illness

A doctor's certificate is needed from the third calendar day of an illness. If a child under twelve
is ill, crew stay at home on up to 15 days per child and year; single parents on up to
30 days. The health insurance pays for these days. If you fall ill during your leave, the days
with a certificate are credited.

## 7. Volunteering

Everybody has one paid day a year for voluntary work, to be agreed with the crew lead. The
organisation must be of public benefit. Two half days are possible.

## 8. Sabbatical

After five years of service a sabbatical of up to six months is possible. It is saved through
reduced pay or accumulated overtime and applied for nine months ahead. The job remains reserved; the
company car does not.

===
## 9. Parental leave and care

Parental leave follows the law. We ask for notice eight weeks before it begins. During parental leave
crew are invited to celebrations and keep access to Logbuch. On return, part-time work of at least 20
hours a week is offered in every department with more than ten people.

Those who have to organise care for a close relative at short notice may stay away for up to ten
working days; the first three of them are paid by the company.

## 10. Unpaid leave

Unpaid leave of up to 20 working days a year may be granted by the head of department. Social
insurance continues for one month only; please talk to the People team first.
"""

WHISTLEBLOWING = """
# Whistleblowing policy

Version 1.1, valid from 17 February 2025. Owner: managing director. Agreed with the works council.

## What it is for

Where people work, mistakes happen, and sometimes worse than mistakes. Whoever notices a breach of
law or of our code should be able to say so without fear. This policy describes the ways to do it
and protects everybody who uses them in good faith, including suppliers, temporary workers,
applicants and former employees.

## What can be reported

Reports may concern fraud, corruption, breaches of safety or environmental law, of data protection,
of competition law or of human rights in the supply chain. Personal conflicts with a colleague are
not a matter for the reporting office; the People team and the works council help with those.

## Two ways to report

The internal reporting office is run by an ombudswoman outside the company, the lawyer Edda
Kornfeld. She is bound to secrecy and passes on names only with consent. She can be reached at
ombud@kornfeld-law.example, by telephone on +00 555 0190 on working days from 10:00 to 16:00, or by
letter. The portal "Klarluft" accepts anonymous reports and allows questions and answers without
giving a name.

Everybody is also free to turn to the external reporting office of the authorities straight away.

## How to make a report

1. Write down what you saw, when and where, and keep to facts.
2. Do not search offices or computers for evidence.
3. Choose the ombudswoman or the portal Klarluft.
4. Note the case number you are given.
5. Look into the portal again after a week; there may be questions.

## What happens next

Receipt of a report is confirmed within seven days. The ombudswoman examines it and proposes
measures to the managing director; if the report concerns the managing director, to the chair of the
foundation's advisory board. Feedback on the measures is given within three months. The file is
deleted three years after the case has been closed.

## Protection

Reprisals are forbidden: no dismissal, no transfer, no worse appraisal, no coldness on command.
If somebody suffers a disadvantage after a report, the company has to prove that it had other
reasons. Whoever knowingly reports something false is not protected.

## Figures

The number of reports is published once a year in the intranet, without names. In 2025 there were
four reports; two were confirmed.
"""
