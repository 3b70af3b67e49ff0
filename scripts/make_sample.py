"""Write the sample company's generated files (PDF, office formats, archive, database).

Usage: python scripts/make_sample.py [target folder]
Needs reportlab, python-docx, python-pptx and openpyxl. The texts are in
scripts/sample_content; Markdown, HTML, mails and other plain text lie in the target
folder as they are and are not touched. Run twice, it writes the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sample_content import (
    contracts,
    handbook,
    hire_db,
    misc,
    office,
    policies_people,
    policies_rules,
    products,
    tables,
    travel,
    writers,
)
from sample_content.package import write_zip

TARGET = Path(__file__).parent.parent / "src" / "ragtune" / "sample" / "company"

TEXTS = {
    "handbook/employee-handbook.docx": handbook.HANDBOOK,
    "handbook/organisation.odt": handbook.ORGANISATION,
    "policies/travel-policy-2023.pdf": travel.TRAVEL_2023,
    "policies/travel-policy.pdf": travel.TRAVEL_2025,
    "policies/expenses-policy.docx": policies_people.EXPENSES,
    "policies/leave-policy.pdf": policies_people.LEAVE,
    "policies/whistleblowing.rtf": policies_people.WHISTLEBLOWING,
    "policies/information-security.pdf": policies_rules.SECURITY,
    "policies/data-protection.odt": policies_rules.DATA_PROTECTION,
    "policies/procurement-policy.docx": policies_rules.PROCUREMENT,
    "contracts/framework-agreement-baugilde.pdf": contracts.FRAMEWORK,
    "contracts/supply-agreement-frigora.docx": contracts.SUPPLIER,
    "products/kondor-datasheet.pdf": products.DATASHEET,
    "products/kondor-manual.pdf": products.MANUAL,
    "products/safety-data-lamella-klar.rtf": products.SAFETY_DATA,
    "minutes/2025-11-18-management.docx": misc.MINUTES_NOVEMBER,
}

WRITERS = {
    ".pdf": writers.write_pdf,
    ".docx": writers.write_docx,
    ".odt": writers.write_odt,
    ".rtf": writers.write_rtf,
}


def make(target: Path) -> None:
    """Write every generated file below `target`."""
    for name in ("handbook", "policies", "contracts", "products", "minutes", "support", "data"):
        (target / name).mkdir(parents=True, exist_ok=True)
    for name, text in TEXTS.items():
        path = target / name
        WRITERS[path.suffix](path, text)
    office.write_pptx(
        target / "handbook/onboarding.pptx",
        "Welcome to Tarnhagen",
        "Your first week – slides of the People team, February 2026",
        misc.SLIDES,
    )
    office.write_xlsx(
        target / "products/price-list-2026.xlsx", "Price list 2026", tables.PRICE_LIST
    )
    office.write_xlsx(
        target / "data/training-plan-2026.xlsx", "Training plan 2026", tables.TRAINING_PLAN
    )
    writers.write_epub(target / "handbook/drying-primer.epub", misc.PRIMER_TITLE, misc.PRIMER)
    members = {name: text.encode() for name, text in misc.ZIP_MEMBERS.items()}
    write_zip(target / "support/field-guides.zip", members)
    hire_db.write_db(target / "data/hire.db")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
