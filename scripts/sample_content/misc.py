"""Management minutes (DOCX), primer (EPUB) and the members of the ZIP archive."""

MINUTES_NOVEMBER = """
# Management round – minutes of 18 November 2025

Place: the House, room "Weser". Time: 09:00 to 12:20. Chair: Maren Oltmann. Minutes: Jule Ahrens.

Present: Joachim Petersdorff, Ilka Wendisch, Tomasz Bielak, Signe Aarup (by video), Dr. Cornelius
Vahl, Piet Verstegen, Franka Löwe.

## 1. Budget 2026

Joachim Petersdorff presents the draft. Investments of 3.6 million EUR are planned, of which 1.9
million EUR go into the hire fleet and 0.8 million EUR into the laser cutter for Hall 2. The round
approves the budget without the item "new ERP system", which is postponed by one year.

## 2. Hire prices

Piet Verstegen proposes to raise hire rates by 3 per cent on average from 1 January 2026. Dryers with
R290 rise less, old heaters rise more. Framework customers were informed in September. The
round agrees. Spare part prices remain unchanged until the middle of the year.

## 3. Fleet

The round approves the purchase of 40 Kondor 210 for the hire fleet. Thirty go to Brunnfeld and ten
to Marrensund. Tomasz Bielak wants them before the frost; Dr. Vahl promises delivery by the second
week of January.

## 4. A fourth site

Sales would like a depot in the south. Three places have been looked at. The round sees the need,
but wants to have a calculation first. No decision on place or time was taken. Signe Aarup asks that
the lease in Marrensund be clarified before anything new is rented.

## 5. Year-end bonus

The shareholders have set the year-end bonus 2025 at 900 EUR for full-time crew; part-time crew
receive it in proportion, apprentices receive 450 EUR. It is paid with the November salary.

## 6. Customer survey

1,140 customers answered. Overall satisfaction is 4.3 out of 5 after 4.1 in the year before. The
weakest mark, 3.6, is for keeping to delivery times. Nadja Rehwald is asked to test text messages
with the arrival time. Recommendation is strongest among insurers.

## 7. Decisions and tasks

| Task | Who | By when |
| Test text messages to announce deliveries | Nadja Rehwald | 28 February 2026 |
| Calculate a fourth depot | Joachim Petersdorff | 30 April 2026 |
| Offer for enclosure of the sheet metal press | Dr. Cornelius Vahl | 31 January 2026 |
| Options for the lease in Marrensund | Signe Aarup | 31 March 2026 |
"""

PRIMER_TITLE = "Dry walls, calm nerves – a primer"

PRIMER = [
    """
# Where the water goes

Water that has got into a house does not leave it because somebody wishes it to. It leaves as liquid,
through a pump or a mop, or it leaves as vapour, through a dryer or an open window. The first way is
a thousand times faster. So before anyone thinks of a dryer, every bucket that can be carried out is
carried out.

What is left sits in pores. A brick wall of 24 cm can hold up to 50 litres per square metre,
a calcium sulphate screed far less, but the screed lies on an insulating layer, and water between
screed and slab has no way out at all. It has to be sucked or blown out through core holes.
""",
    """
# Warm, closed and moving

Three things make a wall give up its water. The air must be dry, the wall must be warm and the air
must move. A dryer makes the air dry; it warms it a little as well. A fan breaks the thin film
of damp air that clings to every surface. A heater helps only if the dryer can keep up.

The best temperature for a condensation dryer is between 20 and 25 °C. Below 10 °C every litre takes
twice as much electricity. Above 30 °C the wall dries fast on the outside and closes its pores: this
is how cracks appear in old plaster.

Keep the relative humidity between 35 and 50 per cent. Wooden floors and pianos suffer below 30 per
cent; take the piano out.
""",
    """
# Measure, do not guess

A hand on the wall tells you whether it is cold, not whether it is dry. Measure at the same five
points in every room, at the same height, every second day, and write it down. Points are marked with
painter's tape.

How to use the drying log:

1. Mark five points in each room and number them.
2. Measure at 10 cm and at 100 cm above the floor.
3. Write down value, time, air temperature and humidity.
4. Note the operating hours of every unit.
5. Draw the curve; if it stays flat for three readings, change the set-up.

A mineral wall counts as dry when the readings have changed by less than 3 digits in a week and
match those of a wall that was never wet. Cement screed is released for parquet at 1.8 CM per
cent, calcium sulphate screed at 0.5 CM per cent.
""",
    """
# When it smells

Mould needs about three days of damp to germinate and about ten to be seen. A cellar that smells
after a week is not yet lost, but wallpaper in it is. Remove what is soft, keep what is hard.

Never point a fan at mould. Set up an air cleaner with an H14 filter first, keep the room at slightly
lower pressure than the rest of the house, and let a specialist remove areas larger than half a
square metre.

Chlorine bleach takes away the colour and leaves the fungus alive. It also destroys the coil of your
dryer. Alcohol of 70 per cent works on smooth surfaces, far from flames and from propane units.
""",
]

ZIP_MEMBERS = {
    "first-hours.md": """# Water damage – the first hours

A guide for site managers and caretakers. Print it and hang it beside the meter cupboard.

1. Close the main stopcock and note the time.
2. Switch off the electricity for the flooded rooms at the fuse box, from a dry place.
3. Photograph everything before you move it, with a folding rule in the picture.
4. Pump or mop up standing water; our flat suction pump works down to 2 mm.
5. Lift furniture onto wooden blocks and take carpets out.
6. Call the Dry Desk and have ready: floor area, floor type and hours since the burst.

Do not heat the room in the first 24 hours. Warm, wet and closed is what mould likes best.

Sewage is a different matter. If the water came from the drain, nobody enters without boots, gloves
and an FFP2 mask, and porous material is thrown away.
""",
    "hose-routing.txt": """ROUTING DRAIN HOSES - FIELD GUIDE 4

A hose without a pump must fall by at least 2 cm per metre. It never leads uphill,
not even over a door sill.

Greatest lifts: pump kit of the Kondor 200 and 200 S and pump of the Kondor 210
3.5 m, pump of the Kondor 400 4.0 m. Measure from the floor, not from the outlet.
For more than that put a lifting station in between (article 62-0260, up to 9 m).

In frost: keep the hose as short as possible, no sags, insulate it, and use the
heated hose outdoors from -3 degrees on. A frozen hose is thawed with warm water,
not with a flame.

Hoses across escape routes lie in a bridge and are marked with yellow tape.
""",
    "return-checklist.txt": """RETURN CHECKLIST - TAKE TWO MINUTES, SAVE THE CLEANING CHARGE

[ ] Tank emptied and wiped out
[ ] Filter vacuumed (Kondor) or left in place (Merle: never take it out)
[ ] Cable wound up in loose loops, plug undamaged
[ ] Hose emptied, both ends taped
[ ] Plaster and paint splashes wiped off while they are still fresh
[ ] Operating hours read off and entered on the delivery note
[ ] Kranich 45: tank emptied down to the reserve mark
[ ] Key to the transport lock in its bag

Photograph the unit on the return lane. In a dispute the photograph counts.
""",
    "moisture-log-template.csv": "date;room;point;height_cm;reading_digits;air_temp_c;humidity_pct\n"
    "2026-01-12;cellar north;1;10;128;19.5;62\n"
    "2026-01-12;cellar north;1;100;97;19.5;62\n"
    "2026-01-14;cellar north;1;10;119;20.1;54\n"
    "2026-01-14;cellar north;1;100;88;20.1;54\n",
}

SLIDES = [
    (
        "Good air to you!",
        [
            "You are number 313 or so: we were 312 on 1 January 2026",
            "Three sites: Osterwede, Brunnfeld, Marrensund",
            "We build it, we hire it out, we mend it",
        ],
        "Say hello first. Coffee is at the back; the break is at 10:15.",
    ),
    (
        "What we make",
        [
            "Kondor: building dryers, from the cellar to the whole floor",
            "Merle: air cleaners with H14 filter",
            "Kranich: heaters; Sperber: fans (bought in, tested at the Bench)",
            "All birds were drawn by Henrike Oltmann herself",
        ],
        "Show the sketch book from 1981. It stays in the glass case, nobody touches it.",
    ),
    (
        "Your first day",
        [
            "08:00 reception, badge and shoes",
            "09:00 safety briefing, room Oste",
            "11:30 lunch with your godparent, the company pays",
            "13:00 IT counter, bring your telephone",
            "15:30 end of day one",
        ],
        "Apprentices go to Hall 3 at 13:00 instead.",
    ),
    (
        "Safety in four sentences",
        [
            "Stop any work that looks dangerous",
            "Beyond the yellow line: shoes and ears",
            "Nobody lifts more than 25 kg alone (since 1 February 2026)",
            "Propane units: no more than 120 in one section at Brunnfeld",
        ],
        "",
    ),
    (
        "Systems you will meet",
        [
            "Logbuch: time, leave, payslips, lessons",
            "Fernweg: business trips",
            "Schlüsselbrett: passwords",
            "Klarluft: reports you would rather not sign",
            "IT counter: room B 1.02, Monday to Friday 07:30 to 15:30",
        ],
        "",
    ),
    (
        "How we sound",
        [
            "Number first, then the reason",
            "A customer is a neighbour, a machine is a unit",
            "Nothing is broken: it is out of breath",
            "The voice guide is eight minutes of reading",
        ],
        "Read one good and one bad example aloud.",
    ),
    (
        "The ride-along",
        [
            "Half a day in a van or at a counter within your first week",
            "Sign up at the Dry Desk by Tuesday",
            "Wear your own rain jacket; we have vests and shoes",
            "Afterwards: tell us one thing that surprised you",
        ],
        "The best surprise of the month is printed in the newsletter and wins a breakfast.",
    ),
    (
        "Who helps you",
        [
            "Your godparent, for everything you do not dare to ask",
            "People team: people@tarnhagen.example, room A 0.12",
            "Works council: Wednesdays 14:00 to 16:00, room A 1.15",
            "Company doctor: every second Thursday",
        ],
        "",
    ),
]
