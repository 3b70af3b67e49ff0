"""The items of the general-ability probe, written for this project.

A choice is (question, right answer, wrong answers); a written item is (question, pattern that the
reply must have). They are easy: a base of 135M parameters gets about half of them, so that a drop
can be seen.
"""

from __future__ import annotations

CHOICES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("What is the capital of France?", "Paris", ("Rome", "Berlin", "Oslo")),
    ("What is the capital of Japan?", "Tokyo", ("Seoul", "Bangkok", "Delhi")),
    ("What is the capital of Egypt?", "Cairo", ("Lagos", "Athens", "Tunis")),
    ("On which continent is Brazil?", "South America", ("Africa", "Asia", "Europe")),
    ("Which planet do we live on?", "Earth", ("Mars", "Venus", "Jupiter")),
    ("Which planet is known for its rings?", "Saturn", ("Mars", "Mercury", "Earth")),
    ("How many legs does a spider have?", "Eight", ("Two", "Five", "Thirty")),
    ("How many days are in a week?", "Seven", ("Four", "Nine", "Twelve")),
    ("How many months are in a year?", "Twelve", ("Five", "Eight", "Twenty")),
    ("What do bees make?", "Honey", ("Milk", "Bread", "Wool")),
    ("What does a cow give us to drink?", "Milk", ("Petrol", "Ink", "Sand")),
    ("At what temperature in Celsius does water boil?", "100 degrees", ("5 degrees", "20 degrees")),
    ("What is frozen water called?", "Ice", ("Steam", "Smoke", "Glass")),
    ("What do plants need to grow?", "Sunlight and water", ("Plastic", "Loud music", "Coins")),
    ("Which gas do humans need to breathe?", "Oxygen", ("Helium", "Neon", "Chlorine")),
    ("Which organ pumps blood through the body?", "The heart", ("The liver", "The ear", "Skin")),
    ("Who wrote Romeo and Juliet?", "William Shakespeare", ("Isaac Newton", "Mozart")),
    ("Who developed the theory of relativity?", "Albert Einstein", ("Napoleon", "Picasso")),
    ("What is the opposite of hot?", "Cold", ("Warm", "Tall", "Loud")),
    ("What is the opposite of up?", "Down", ("Over", "Green", "Fast")),
    ("What is the plural of mouse, the animal?", "Mice", ("Mouses", "Moose", "Mouse's")),
    ("What is the past tense of go?", "Went", ("Goed", "Gone to", "Going")),
    ("Which word means the same as big?", "Large", ("Tiny", "Slow", "Blue")),
    ("Which word means the same as begin?", "Start", ("End", "Sleep", "Break")),
    ("What is two plus two?", "Four", ("Seven", "Nine", "Zero")),
    ("What is 10 minus 3?", "7", ("2", "9", "15")),
    ("What is 3 times 5?", "15", ("8", "20", "53")),
    ("What is half of 20?", "10", ("4", "15", "40")),
    ("Which number is larger, 9 or 90?", "90", ("9",)),
    ("Which color do you get by mixing blue and yellow?", "Green", ("Red", "Black", "White")),
    ("What color is a ripe banana?", "Yellow", ("Blue", "Purple", "Gray")),
    ("Which animal barks?", "A dog", ("A fish", "A snake", "A bee")),
    ("Which animal has a trunk?", "An elephant", ("A cat", "A duck", "A frog")),
    ("Which of these is a fruit?", "Apple", ("Hammer", "Chair", "Iron")),
    ("Which of these is a musical instrument?", "Violin", ("Shovel", "Plate", "Sock")),
    ("What do you use to cut paper?", "Scissors", ("A spoon", "A pillow", "A towel")),
    ("Where do fish live?", "In water", ("In the sky", "In books", "In ovens")),
    ("Which season comes after winter?", "Spring", ("Summer", "Autumn", "Monday")),
    ("Which day comes after Monday?", "Tuesday", ("Sunday", "Friday", "March")),
    ("What do you wear on your feet?", "Shoes", ("A hat", "Gloves", "A scarf")),
    ("In which direction does the sun rise?", "East", ("West", "North", "South")),
    ("Which metal do magnets attract?", "Iron", ("Wood", "Gold", "Paper")),
)
WRITTEN: tuple[tuple[str, str], ...] = (
    ("What is the capital of Italy? Answer in one word.", r"\brome\b"),
    ("What is the capital of Germany? Answer in one word.", r"\bberlin\b"),
    ("What is 2 + 3? Answer with the number only.", r"\b(5|five)\b"),
    ("Name one color of the rainbow.", r"\b(red|orange|yellow|green|blue|indigo|violet)\b"),
    ("Name a pet that many people keep at home.", r"\b(dog|cat|fish|bird|rabbit|hamster)s?\b"),
    ("Which language do people speak in Spain?", r"\bspanish\b"),
    ("Say hello in a friendly way.", r"\b(hello|hi|hey)\b"),
    ("Complete the sentence: The sky is", r"\b(blue|clear|gr[ae]y|dark|bright)\b"),
    ("What comes next: one, two, three, ...?", r"\b(four|4)\b"),
    ("Name a country in Europe.", r"\b(france|germany|italy|spain|poland|england|greece|portugal|"
     r"sweden|norway|finland|austria|belgium|switzerland|united kingdom|ireland|denmark)\b"),
    ("Name a drink that is made from beans and served hot.", r"\bcoffee\b"),
    ("What is the name of the star at the center of our solar system?", r"\bsun\b"),
)  # fmt: skip

# For settings.kl: what the base says after these must stay likely. None is an item of the probe.
GENERAL: tuple[tuple[str, str], ...] = (
    ("What is photosynthesis?", "Photosynthesis is the process by which green plants turn "
     "sunlight, water and carbon dioxide into sugar and oxygen."),
    ("Write a short sentence about the sea.", "The waves rolled slowly onto the quiet beach."),
    ("How do I boil an egg?", "Put the egg into boiling water for seven to ten minutes, then cool "
     "it under cold water and peel it."),
    ("What is a triangle?", "A triangle is a shape with three straight sides and three angles."),
    ("Translate 'good morning' into French.", "Good morning in French is 'bonjour'."),
    ("Give me three tips for sleeping better.", "1. Go to bed at the same time every day. "
     "2. Keep your bedroom dark and quiet. 3. Avoid coffee in the evening."),
    ("What is the largest ocean?", "The largest ocean is the Pacific Ocean."),
    ("Who painted the Mona Lisa?", "The Mona Lisa was painted by Leonardo da Vinci."),
    ("What is 12 divided by 4?", "12 divided by 4 is 3."),
    ("Why do we have seasons?", "Seasons occur because the axis of the Earth is tilted, so that "
     "each half of the planet gets more sunlight during a part of the year."),
    ("Write a haiku about rain.", "Soft rain on the roof,\nthe garden drinks in silence,\nleaves "
     "shine in the dusk."),
    ("What does a doctor do?", "A doctor examines people who are ill, finds out what is wrong, and "
     "treats them."),
    ("Summarize: The cat sat on the mat because it was warm.", "The cat chose the mat for its "
     "warmth."),
    ("What is the difference between weather and climate?", "Weather is what happens in the "
     "atmosphere from day to day; climate is the average of the weather over many years."),
    ("How do you say thank you in Spanish?", "Thank you in Spanish is 'gracias'."),
    ("Name the four seasons.", "The four seasons are spring, summer, autumn and winter."),
)  # fmt: skip
