"""The decision core without a database: cases named by sentences, and laws."""
