"""Information security (PDF), data protection (ODT) and procurement (DOCX)."""

SECURITY = """
# Information security policy

Version 5.0, valid from 1 June 2025. Owner: Aylin Serdar, information security officer. It applies
to everyone who uses our systems, service providers included.

## 1. Why we bother

In 2021 a forged invoice cost us 23,000 EUR and a lot of sleep. Since then we have kept to a few
rules that are easy to remember. Security is not the opposite of speed; it is what lets us be fast
on the next day as well.

## 2. Passwords and sign-in

A password has at least 14 characters. It is changed only if there is a suspicion that somebody else
knows it; regular changes are no longer required. Passwords are kept in the password manager
"Schlüsselbrett". All sign-ins from outside the company network need the second factor. After ten
wrong attempts an account is locked for 30 minutes.

Administrators use a separate account for administration and never read mail with it.

## 3. Devices

Screens lock after five minutes. Notebooks are encrypted. Only the blue USB sticks issued by IT may
be connected; sticks found in the car park go to IT in an envelope and not into a computer. Private
devices may use the guest network only.

A lost or stolen notebook or telephone is reported to IT within four hours, also at night, on
+00 555 0199. IT wipes the device from afar. There is no reproach for a prompt report.

Software is installed from the company portal. Anything else is requested from IT and tested within
five working days.

===
## 4. Classes of information

| Class | Examples | Rule |
| Open | brochures, price list, website | may be shared with anyone |
| Crew | handbook, minutes, telephone list | stays inside the company |
| Closed | pay data, contracts, drawings of unreleased units | named people only, encrypted |

Documents without a label count as Crew. Closed documents are not sent by mail to outside addresses;
they are shared through the data room with an expiry date of 30 days at the most.

## 5. Suspicious mails

If you receive a suspicious mail, do this:

1. Do not click, do not answer and do not forward it to colleagues.
2. Press the button "Alarm" in the mail program.
3. If you have clicked already, pull the network cable or switch off the wireless network.
4. Leave the computer running and call +00 555 0199.
5. Write down what you saw and when.

Incidents are reported within one hour of being noticed. Changes to a supplier's bank account are
confirmed by calling back on a number we already know, never on the one in the mail.

## 6. Backups and updates

Servers are backed up every night at 22:00. Backups are kept for 35 days, one copy of them at a
second site and out of reach of the network. A restore test takes place every quarter. Local disks of
notebooks are not backed up; store your work on the share.

Security updates are installed within 14 days, critical ones within 72 hours. Systems of the plant
that cannot be updated stand in a network of their own.

===
## 7. Visitors and service providers

Visitors use the guest network, whose password changes every Monday and hangs at reception. Service
providers receive accounts that expire after 90 days. Remote maintenance of machines is switched on
by our people for each session and switched off after it.

## 8. Artificial intelligence and online services

Closed information must not be entered into public online services. Tools approved by IT are listed
in the company portal. Results are checked by a person before they reach a customer.

## 9. Leaving the desk

Paper of the class Closed is locked away in the evening. Whiteboards are wiped after meetings.
Printouts left in the printer are shredded at 19:00.

## 10. Training and consequences

The security lesson in Logbuch is repeated once a year and takes 40 minutes. Three times a year IT
sends a harmless test mail. Whoever falls for it gets a short explanation, nothing more.
Deliberate breaches are a matter for the People team and can end in dismissal.
"""

DATA_PROTECTION = """
# Data protection policy

Version 2.3, valid from 1 March 2025. Owner: Finance and IT. Data protection officer: Ruben
Hartkamp, privacy@tarnhagen.example.

## 1. Principle

We process personal data only if a law allows it or the person has agreed, only for a stated
purpose, and no longer than needed. Every department keeps its part of the register of processing
up to date; the register is reviewed each November.

## 2. How long we keep data

| Data | Kept for |
| Applications that were not successful | 6 months |
| Hire contracts and invoices | 10 years |
| Dry Desk tickets | 3 years |
| Recordings of training calls | 30 days |
| Positions of units (telematics) | 90 days |
| Video of the yard in Brunnfeld | 72 hours |
| Visitor lists | 4 weeks |

After that the data are deleted automatically or, if the system cannot do this, by the person in
charge in January and July.

## 3. Telematics in units

Kondor 400, Merle 80 and Kranich 45 units of the hire fleet carry a box that reports position,
operating hours and temperature once an hour. The data serve the billing, maintenance and recovery of
stolen units. They are not used to judge how customers or drivers work. The customer is informed in
the terms of hire.

## 4. Video

Cameras watch the yard and the return lane in Brunnfeld. There are none in Osterwede and
Marrensund. The pictures are looked at only after an incident, by the depot head and a
member of the works council together.

## 5. Requests by persons concerned

Everyone may ask what we have stored about them. Requests are passed on to the data protection
officer on the same day and answered within one month. The identity is checked by a question about
the contract, not by a copy of an identity card.

## 6. When data have got into the wrong hands

1. Tell the data protection officer at once, by telephone on +00 555 0195.
2. Do not delete anything and do not contact the persons concerned yourself.
3. Note which data, how many people and since when.
4. The data protection officer decides whether the authority is informed; the time limit is 72 hours.

## 7. Service providers

Whoever processes data for us signs a processing agreement first. Providers outside the European
Union are admitted only after an examination by the data protection officer.

## 8. Pictures of people

Photographs from celebrations are published only with the consent of those shown. Consent can be
withdrawn at any time; the picture then disappears from the intranet within five working days.
"""

PROCUREMENT = """
# Procurement policy

Version 3.1, valid from 1 May 2025. Owner: Franka Löwe, Purchasing.

## 1. Purpose

This policy tells everybody who buys for Tarnhagen how to do so. It applies to goods and services,
but not to salaries, taxes, rents and insurance.

## 2. How many offers

| Order value without VAT | What is needed | Who signs |
| up to 1,000 EUR | no offer | crew lead |
| above 1,000 EUR up to 10,000 EUR | two written offers | head of department |
| above 10,000 EUR up to 50,000 EUR | three written offers | head of department and head of Purchasing |
| above 50,000 EUR | tender run by Purchasing | managing director |

Orders may not be split in order to stay below a limit. For framework suppliers a single offer is
enough, because the comparison was made when the framework was agreed.

## 3. From the need to the order

1. Check whether the article is in the catalogue; if so, order it there and stop reading.
2. Describe the need in the form "Bedarf" and name the cost centre.
3. Obtain the offers that the table asks for and attach them.
4. Wait for the order number. No order is valid without it.
5. Confirm the goods in Logbuch within two working days of their arrival.

## 4. Terms

Our standard term of payment is 30 days net. A discount of 2 per cent is used whenever the supplier
grants it for payment within 14 days. Advance payments above 5,000 EUR need a bank guarantee.

## 5. Choosing suppliers

New suppliers sign our supplier code before the first order. Price counts for 50 per cent,
quality and delivery for 35 per cent, environment and working conditions for 15 per cent. Suppliers
within 150 km are preferred when offers are otherwise equal. Critical suppliers are audited every
three years; a supplier is critical if the plant would stand still after two weeks without it.

## 6. Conflicts of interest

Whoever is related to a bidder, or has a share in it, says so and takes no part in the decision.
Buyers change their group of goods after six years at the latest. Invitations by suppliers to
sporting events or concerts are declined.

## 7. Emergencies

If people or buildings are in danger, the head of a site may order up to 20,000 EUR without offers.
The reason is handed in within three working days.

## 8. Old equipment

Computers and furniture no longer needed are offered to crew first, by lot, and then to schools.
Units of the hire fleet are sold by the outlet only.
"""
