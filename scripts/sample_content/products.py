"""Data sheet and manual of the Kondor dryers (PDF), safety data sheet (RTF)."""

DATASHEET = """
# Kondor building dryers – data sheet

Edition 01/2026. All values measured at 230 V and 50 Hz. We reserve the right to make
technical changes.

## The range

Kondor dryers condense the moisture of the air on a cold coil. They need no outside air and work
best with closed windows. The Kondor 200 is the workhorse for single rooms. The Kondor 200 S has the
same drying performance, but a slower fan and an insulated housing, for rooms next to which people
sleep. The Kondor 210 has hot gas defrost and a larger coil and works down to 1 °C. The
Kondor 400 is made for whole floors and drains through its built-in pump.

## Technical data

| Property | Kondor 200 | Kondor 200 S | Kondor 210 | Kondor 400 |
| Article number | 41-0200 | 41-0205 | 41-0210 | 41-0400 |
| Drying performance at 30 °C / 80 % r.h. | 38 l/24 h | 38 l/24 h | 46 l/24 h | 82 l/24 h |
| Air flow | 420 m³/h | 360 m³/h | 520 m³/h | 950 m³/h |
| Power consumption | 640 W | 620 W | 780 W | 1,450 W |
| Sound level at 1 m | 56 dB(A) | 47 dB(A) | 54 dB(A) | 61 dB(A) |
| Tank | 8.5 l | 8.5 l | 11 l | none |
| Condensate pump | option | option | built in | built in |
| Operating range | 5 to 32 °C | 5 to 32 °C | 1 to 35 °C | 1 to 35 °C |
| Refrigerant | R290, 145 g | R290, 145 g | R290, 150 g | R454C, 620 g |
| Weight | 31 kg | 33.5 kg | 36 kg | 58 kg |
| Width × depth × height (mm) | 440 × 430 × 760 | 440 × 470 × 760 | 480 × 470 × 840 | 620 × 590 × 1,010 |
| Protection class | IPX4 | IPX4 | IPX4 | IP44 |

The Kondor 200 of the years 2012 to 2022 (serial numbers below 200-23-0001) contains R134a. Its
values differ; see the plate on the unit.

===
## What is in the box

Each Kondor comes with a power cable of 4.5 m, a drain hose of 3 m and a short guide. The
Kondor 400 comes with a hose of 10 m instead. The castors of the Kondor 200 and the Kondor 200 S are
an accessory; the Kondor 210 and the Kondor 400 have fixed wheels.

## Accessories

| Accessory | Fits | Article number |
| Condensate pump kit, lift 3.5 m | Kondor 200, Kondor 200 S | 62-0200 |
| Castor set | Kondor 200, Kondor 200 S | 62-0204 |
| Replacement tank 8.5 l | Kondor 200, Kondor 200 S | 62-0208 |
| Rubber mat against vibration | all | 62-0230 |
| Energy meter, calibrated | all | 62-0240 |
| Drain hose 10 m | all | 62-0250 |

## Warranty

The warranty is 24 months, for the Kondor 200 S 36 months. It does not cover filters, damage
by chlorine or ammonia, and units opened by others than an authorised workshop.

## Disposal

Units are taken back free of charge at both depots. Refrigerant is drawn off by certified people only.
"""

MANUAL = """
# Kondor 200, 200 S and 210 – operating manual

Original instructions, edition 09/2025, article 41-9000. Keep this manual with the unit.

## 1. Safety

Kondor 200, 200 S and 210 units contain the flammable refrigerant R290 (propane). Set them up only in
rooms with a floor area of more than 6 m², away from open flames and heaters with glowing wires.
Do not drill into the unit and do not use tools to speed up defrosting. If you smell gas, ventilate,
leave the room and call the Dry Desk from outside.

The unit must be connected to a socket with a residual current device of 30 mA. Do not operate it
in standing water. Children do not play with it.

## 2. Setting up

Carry the unit upright with two people. After transport lying down, it has to stand upright for four
hours before it is switched on, so that the oil flows back into the compressor.

1. Choose a place in the middle of the room, at least 50 cm away from every wall.
2. Close windows and doors; seal gaps with tape if necessary.
3. Push the tank in until it clicks, or connect the drain hose.
4. Unroll the cable completely and plug it in.
5. Press POWER and set the humidity to "CO" for continuous operation.
6. Note the meter reading and the date on the drying log.

Do not place the unit on a freshly laid screed before people can walk on it.

## 3. Draining through a hose

With a hose the unit runs without supervision. The hose must fall all the way; the outlet
is 12 cm above the floor. Where there is no fall, use a pump: the kit of the Kondor 200 and 200 S lifts
3.5 m, the built-in pump of the Kondor 210 also lifts 3.5 m.

===
## 4. Running

After switching off, wait three minutes before starting again; the unit protects its
compressor and does not start earlier. In rooms below 12 °C the unit defrosts
itself about every 40 minutes and does not dry during that time. This is normal.

If the tank is full, the unit stops and the blue lamp flashes. Empty the tank:

1. Wait until the fan has stopped.
2. Pull the tank forward with both hands and keep it level.
3. Pour the water away; it is not drinking water.
4. Wipe the float and push the tank back until it clicks.

## 5. Care

The air filter is cleaned every 150 operating hours; the display then shows K04.

1. Pull the plug and press both clips of the grille.
2. Take the filter out and vacuum it on both sides.
3. Wash it in lukewarm water without detergent.
4. Let it dry for 24 hours, out of the sun.
5. Put it in, plug in and hold FILTER for five seconds until the code disappears.

Clean the housing with a damp cloth. Spray the coil with Lamella Klar once a year, never with a
pressure washer.

===
## 6. Storing

Empty the tank, let the unit run for an hour with the tank removed and the fan on, and store it
upright, dry and above 0 °C. Cover it with cloth, not with plastic.

## 7. If it does not work

Before you call, look at three things: does the socket have power, is the tank in place, is the room
warm enough? Error codes are explained in the list of the Dry Desk. Have the serial number ready; it
stands on the silver plate beside the cable outlet.

## 8. Inspection

Hired units are inspected by the Bench after every hire. Units that were bought are inspected once
a year for electrical safety; the sticker on the back shows the next date. The Kondor 200 S has a
second sticker for its insulation, which is renewed every four years.

## 9. Declaration

The declaration of conformity is supplied with the unit.
"""

SAFETY_DATA = """
# Safety data sheet – Lamella Klar

Coil cleaner, 5 l canister, article number 62-0300. Version 2, revised on 12 May 2025. Shortened
edition for crew; the full sheet is available from the safety officer.

## 1. Product and company

Lamella Klar is an alkaline cleaner for the coils of dryers. It is diluted before use: one part of
cleaner with nine parts of water. Supplier: Tarnhagen Lufttechnik GmbH, Osterwede. Poison
emergency line: +00 555 0112.

## 2. Hazards

Causes severe skin burns and eye damage. May be corrosive to metals. Signal word: danger.

## 3. Composition

Sodium hydroxide 2 to 4 per cent, non-ionic surfactants below 5 per cent, water.

## 4. First aid

- Eyes: rinse with water for at least 15 minutes, lids open, then see an eye doctor.
- Skin: take off soaked clothes and wash with plenty of water.
- Swallowed: rinse the mouth, drink a glass of water, do not provoke vomiting, call a doctor.
- Inhaled: fresh air and rest.

## 5. Fire and spillage

The product does not burn. Spilled cleaner is taken up with sand or the grey granulate, never with
sawdust. Small remains are rinsed away with much water.

## 6. Handling and storage

Wear goggles with side shields, gloves of nitrile rubber of at least 0.4 mm and long sleeves. Do not
spray overhead. Store between 5 and 30 °C, separate from acids and not in aluminium containers. The
canister keeps for 24 months; once opened, it keeps for twelve.

## 7. How to use

1. Pull the plug of the dryer and remove the filter.
2. Dilute the cleaner in the spray bottle with the red ring.
3. Spray the coil from the clean side until it drips, and wait five minutes.
4. Rinse with clear water at low pressure and catch the water in the tank.
5. Let the unit dry for two hours before you plug it in.

## 8. Physical data

pH value 12.8 undiluted, about 11 when diluted. Density 1.04 g/ml. Colourless, faint smell of citrus.

## 9. Transport

UN 1719, class 8, packing group III. Up to 5 l per canister it travels as a limited quantity.
"""
