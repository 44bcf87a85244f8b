"""A run as one page: question, scenario, assumptions, results, figures, methods, provenance."""

from poq_abm.report.page import report_page, write_report

__all__ = ["report_page", "write_report"]
