"""Reports: tables, figures and HTML pages made from recorded results."""
