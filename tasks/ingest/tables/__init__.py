"""Tables and lists that label images, as people have them.

finding      finds the tables among the files of data/raw, and reads them
choosing     decides which column holds the files, the labels, the splits, the groups
columns      what columns are called, and the types of tables to read
readers      reads the rows of JSONL and Parquet files; names the reader of each kind of file
delimited    reads the rows of CSV and TSV files and of lists
text_lines   the lines of a text file, whatever its encoding
values       one form of a label, whatever the format
names        finds the file that a table names, where the name differs from the file's
merging      what all tables together say of each file
"""
