"""A report as people and pipelines read it: Markdown, JUnit XML, an HTML page. Pure functions, nothing is looked up."""
